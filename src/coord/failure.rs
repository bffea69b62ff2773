//! What a failed call means: whether to make it again, and whether its connection can be kept.

use redis::RedisError;

use crate::model::error::{Error, ErrorKind};

/// A call that failed.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) error: Error,
    /// The same call may succeed on this or another connection soon.
    pub(super) retry: bool,
    pub(super) lane: LaneFate,
}

impl Clone for CallError {
    fn clone(&self) -> Self {
        Self { error: self.error.again(), retry: self.retry, lane: self.lane }
    }
}

/// What becomes of the connection that a call failed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneFate {
    /// It is as good as before.
    Kept,
    /// It is broken or leads to the wrong server.
    Dropped,
}

pub(super) fn classify(name: &str, url: &str, error: RedisError) -> CallError {
    use LaneFate::{Dropped, Kept};
    let code = error.code();
    let (retry, lane, advice) = match code {
        Some("READONLY" | "MASTERDOWN") => {
            (true, Dropped, "this server is a replica; name the primary with --redis")
        }
        // The map of slots knows better by now; or this is one server of a cluster, named alone.
        Some("MOVED" | "ASK") => {
            (true, Kept, "its slot is moving; a cluster is named with redis-cluster://HOST:PORT,…")
        }
        Some("LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN") => {
            (true, Kept, "the server is not ready yet; try again")
        }
        Some("NOREPLICAS") => (
            true,
            Kept,
            "fewer replicas than 'min-replicas-to-write' follow the primary: start or reconnect them",
        ),
        Some("OOM") => (false, Kept, "Redis is out of memory: raise maxmemory or free some"),
        Some("MISCONF") => (
            false,
            Kept,
            "Redis cannot persist its data: free disk space or mend its save settings",
        ),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => {
            (false, Kept, "check the user and password in the Redis URL")
        }
        Some(_) if !error.is_io_error() => {
            let message = format!("Redis at {url} refused '{name}': {error}");
            let error = Error::new(ErrorKind::Internal, message);
            return CallError { error, retry: false, lane: Kept };
        }
        _ => (
            true,
            Dropped,
            "it may have been carried out all the same; check that the server runs and can be reached",
        ),
    };
    let message = format!("Redis at {url} did not carry out '{name}': {error}; {advice}");
    let error = Error::unavailable(message);
    // A URL that names the wrong server is not mended by waiting for long.
    let outage = retry && !matches!(code, Some("READONLY" | "MASTERDOWN" | "MOVED" | "ASK"));
    CallError { error: if outage { error.outage() } else { error }, retry, lane }
}
