//! The Redis protocol, version 2: requests in, replies out.

use redis::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::keyspace::Bytes;

/// Arguments of one request, and bytes of one argument, at most.
const ARGUMENTS_MAX: usize = 1 << 20;

/// The next request; `None` when the client is gone.
pub async fn request<R: AsyncRead + Unpin>(from: &mut BufReader<R>) -> Option<Vec<Bytes>> {
    let count = header(from, b'*').await?;
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let len = header(from, b'$').await?;
        let mut bytes = vec![0; len + 2];
        from.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(len);
        args.push(bytes);
    }
    Some(args)
}

async fn header<R: AsyncRead + Unpin>(from: &mut BufReader<R>, kind: u8) -> Option<usize> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).await.ok().filter(|read| *read > 0)?;
    assert_eq!(line.first(), Some(&kind), "{line:?}");
    let number = std::str::from_utf8(&line[1..]).ok()?.trim_end().parse().ok()?;
    assert!(number <= ARGUMENTS_MAX);
    Some(number)
}

/// Appends a reply.
pub fn reply(out: &mut Bytes, value: &Result<Value, String>) {
    match value {
        Err(message) => out.extend_from_slice(format!("-{message}\r\n").as_bytes()),
        Ok(value) => append(out, value),
    }
}

fn append(out: &mut Bytes, value: &Value) {
    match value {
        Value::Nil => out.extend_from_slice(b"$-1\r\n"),
        Value::Okay => out.extend_from_slice(b"+OK\r\n"),
        Value::Int(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
        Value::BulkString(bytes) => {
            out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Value::Array(values) => {
            out.extend_from_slice(format!("*{}\r\n", values.len()).as_bytes());
            values.iter().for_each(|value| append(out, value));
        }
        other => unreachable!("no reply is {other:?}"),
    }
}
