//! Names of branches, and rows of producers: plain commands and `unname.lua`.

use std::collections::BTreeMap;

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::BranchName;

use super::reply::int;
use super::script::UNNAME;
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

/// The decided rows of `producers`, where they have one.
pub async fn producer_rows(
    lanes: &Lanes,
    keys: &BranchKeys,
    producers: &[String],
) -> Result<BTreeMap<String, Bytes>> {
    if producers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut call = redis::cmd("HMGET");
    call.arg(&keys.producers).arg(producers);
    let Value::Array(values) = lanes.call("hmget", &call).await? else {
        return Err(Error::internal("HMGET did not return an array"));
    };
    Ok(producers
        .iter()
        .zip(values)
        .filter_map(|(producer, value)| match value {
            Value::BulkString(row) => Some((producer.clone(), Bytes::from(row))),
            _ => None,
        })
        .collect())
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
