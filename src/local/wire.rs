//! The three words exchanged with the private server: are you well, who are you, please stop.
//!
//! Spoken over the bare socket with a timeout on every step, because a client library would wait
//! for a paused server in its own greeting.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::status::ServerState;

/// How long a server that took a connection may take for a word.
const WORD_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest reply read, in bytes; `INFO server` has about two thousand.
const REPLY_LEN_MAX: usize = 64 << 10;

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It takes commands.
    Well,
    /// Somebody listens, but does not take commands now (loading, paused).
    Busy,
    /// Nobody listens at the socket.
    Nobody,
}

/// Asks whether the server takes commands.
pub(super) fn ping(socket: &Path) -> Answer {
    match ask(socket, "PING\r\n") {
        Reply::Nobody => Answer::Nobody,
        Reply::Text(text) if text.starts_with("+PONG") => Answer::Well,
        Reply::Text(_) | Reply::Silence => Answer::Busy,
    }
}

/// Asks the server to write its data and end.
pub(super) fn shutdown(socket: &Path) {
    // No reply is the reply.
    ask(socket, "SHUTDOWN\r\n");
}

/// Asks who the server is; `None` if it does not say.
pub(super) fn info(socket: &Path) -> Option<ServerState> {
    let Reply::Text(text) = ask(socket, "INFO\r\n") else { return None };
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    Some(ServerState::Running {
        pid: field("process_id")?.parse().ok()?,
        version: field("valkey_version").or_else(|| field("redis_version"))?.to_owned(),
        uptime: Duration::from_secs(field("uptime_in_seconds")?.parse().ok()?),
        used_memory: field("used_memory")?.parse().ok()?,
    })
}

enum Reply {
    Nobody,
    Silence,
    Text(String),
}

fn ask(socket: &Path, command: &str) -> Reply {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Reply::Nobody };
    let timeout = Some(WORD_TIMEOUT);
    let sent = stream
        .set_read_timeout(timeout)
        .and_then(|()| stream.set_write_timeout(timeout))
        .and_then(|()| stream.write_all(command.as_bytes()));
    if sent.is_err() {
        return Reply::Silence;
    }
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    while reply.len() < REPLY_LEN_MAX && !is_whole(&reply) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => reply.extend(piece.iter().take(count)),
        }
    }
    if reply.is_empty() {
        Reply::Silence
    } else {
        Reply::Text(String::from_utf8_lossy(&reply).into_owned())
    }
}

/// Whether a status, an error or a bulk string is complete.
fn is_whole(reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    let Some((head, rest)) = text.split_once("\r\n") else { return false };
    match head.strip_prefix('$').map(str::parse::<usize>) {
        Some(Ok(len)) => rest.len() >= len + 2,
        _ => true,
    }
}
