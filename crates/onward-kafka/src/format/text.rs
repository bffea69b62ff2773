//! A record's place, time, key and headers as members of a JSON object, without a loss: what is not UTF-8 is
//! in base64 under a name of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use onward::{Error, Result};

use crate::record::Record;

/// Writes where a record comes from and what it has besides its value, as members of an object:
/// `"topic":…,"partition":…,"offset":…,"timestamp_ms":…,"key":…,"headers":[…]`.
pub(crate) fn place(record: &Record, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(b"\"topic\":");
    string(&record.topic, out)?;
    let time = record.timestamp_ms.map_or_else(|| "null".to_owned(), |ms| ms.to_string());
    let numbers = format!(
        ",\"partition\":{},\"offset\":{},\"timestamp_ms\":{time},",
        record.partition, record.offset
    );
    out.extend_from_slice(numbers.as_bytes());
    member("key", record.key.as_ref(), out)?;
    out.extend_from_slice(b",\"headers\":[");
    for (index, header) in record.headers.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
        string(&header.name, out)?;
        out.push(b',');
        member("value", header.value.as_ref(), out)?;
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// Writes `"NAME":"text"`; of bytes that are not UTF-8 `"NAME_base64":"…"`; of none `"NAME":null`.
pub(crate) fn member(name: &str, bytes: Option<&Bytes>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => out.extend_from_slice(b"\":null"),
        Some(Ok(text)) => {
            out.extend_from_slice(b"\":");
            string(text, out)?;
        }
        Some(Err(bytes)) => {
            out.extend_from_slice(b"_base64\":\"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
    }
    Ok(())
}

/// Writes a JSON string.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, text)
        .map_err(|error| Error::internal("a text is no JSON").with_source(error))
}
