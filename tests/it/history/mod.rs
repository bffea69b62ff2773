//! Looking back: the log of a ref, all of it or what touched some paths.

mod apart;
mod cost;
mod model;
mod order;
mod refs;

use futures::TryStreamExt;
use onward::internals::repo::LogRequest;
use onward::{CommitId, Onward, RefExpr};

/// The ids of a log, newest first.
pub async fn log(onward: &Onward, reference: &str, request: &LogRequest) -> Vec<CommitId> {
    let reference: RefExpr = reference.parse().unwrap();
    let log = onward.repo("lake").log(&reference, request).await.unwrap();
    log.map_ok(|info| info.id).try_collect().await.unwrap()
}

/// Only commits that touched this object.
pub fn of_object(path: &str) -> LogRequest {
    LogRequest { objects: vec![path.parse().unwrap()], ..LogRequest::default() }
}

/// Only commits that touched a path below this prefix.
pub fn of_prefix(prefix: &str) -> LogRequest {
    LogRequest { prefixes: vec![prefix.to_owned()], ..LogRequest::default() }
}
