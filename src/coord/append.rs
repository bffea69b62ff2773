//! A stream in a Redis that others read: entries behind its end, the oldest given up beyond a length.

use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::name::RepoName;

use super::lanes::Lanes;

/// The stream that the sink of `repo` with this own name writes to in the deployment's own Redis.
pub fn stream_key(repo: &RepoName, name: &str) -> String {
    format!("onward:{{{repo}}}:sink:{name}:events")
}

/// Adds an entry of these fields to the stream `key`, which keeps the newest `length_max`, about. Where the reply
/// is lost it is added again: entries say by a field of their own which of them are the same. Returns its id.
pub async fn append(
    lanes: &Lanes,
    key: &str,
    length_max: u64,
    fields: &[(&str, &str)],
) -> Result<String> {
    let mut call = redis::cmd("XADD");
    call.arg(key).arg("MAXLEN").arg("~").arg(length_max).arg("*");
    for (name, value) in fields {
        call.arg(name).arg(value);
    }
    match lanes.call("xadd", &call).await? {
        Value::BulkString(id) => Ok(String::from_utf8_lossy(&id).into_owned()),
        _ => Err(Error::unavailable("XADD did not answer with an id")),
    }
}
