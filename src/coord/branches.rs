//! Names of branches, and rows of producers: plain commands, `unname.lua` and `rows.lua`.

use std::collections::BTreeMap;

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::BranchName;

use super::reply::{Reply, int, unknown_code};
use super::script::{ROWS, UNNAME};
use super::{BranchKeys, Lanes};

/// The incarnation that `name` stands for, as this Redis knows it. `branches` is the key of the
/// repository's names, see [`super::keys::branches_key`].
pub async fn find(lanes: &Lanes, branches: &str, name: &BranchName) -> Result<Option<BranchUid>> {
    let mut call = redis::cmd("HGET");
    call.arg(branches).arg(name.as_str());
    match lanes.call("hget", &call).await? {
        Value::BulkString(text) => parse_uid(&text).map(Some),
        _ => Ok(None),
    }
}

/// Makes `name` stand for `uid`. The object store has decided that it does.
pub async fn name(lanes: &Lanes, branches: &str, name: &BranchName, uid: BranchUid) -> Result<()> {
    let mut call = redis::cmd("HSET");
    call.arg(branches).arg(name.as_str()).arg(uid.to_string());
    lanes.call("hset", &call).await.map(drop)
}

/// Removes `name` if it stands for `uid`.
pub async fn unname(
    lanes: &Lanes,
    branches: &str,
    name: &BranchName,
    uid: BranchUid,
) -> Result<bool> {
    let uid = uid.to_string();
    let args: [&[u8]; 2] = [name.as_str().as_bytes(), uid.as_bytes()];
    let value = lanes.run(&UNNAME, &[branches], &args).await?;
    Ok(int(UNNAME.name, &value)? == 1)
}

/// Rows of producers, and up to which ticket they are decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProducerRows {
    /// Tickets decided.
    pub done: u64,
    /// The rows of those that have one.
    pub rows: BTreeMap<String, Bytes>,
}

/// The decided rows of `producers`, at most a batch of them; `None` where Redis does not have the
/// branch.
pub async fn producer_rows(
    lanes: &Lanes,
    keys: &BranchKeys,
    producers: &[String],
) -> Result<Option<ProducerRows>> {
    let args: Vec<&[u8]> = producers.iter().map(String::as_bytes).collect();
    let value = lanes.run(&ROWS, &[&keys.head, &keys.producers], &args).await?;
    let mut reply = Reply::new(ROWS.name, value)?;
    match reply.int()? {
        0 => return Ok(None),
        1 => {}
        other => return Err(unknown_code(ROWS.name, other)),
    }
    let mut found = ProducerRows { done: reply.count()?, ..ProducerRows::default() };
    for producer in producers {
        let row = reply.bytes()?;
        if !row.is_empty() {
            found.rows.insert(producer.clone(), row);
        }
    }
    Ok(Some(found))
}

/// Forgets everything Redis has of a branch, or of a repository's names.
pub async fn forget(lanes: &Lanes, keys: &[&str]) -> Result<()> {
    let mut call = redis::cmd("UNLINK");
    call.arg(keys);
    lanes.call("unlink", &call).await.map(drop)
}

pub(crate) fn parse_uid(text: &[u8]) -> Result<BranchUid> {
    String::from_utf8_lossy(text)
        .parse()
        .map_err(|error: Error| Error::corrupt(format!("a branch uid in Redis: {error}")))
}
