//! Reading a whole queue, with plain commands: what waits on a branch, from its end to its front; and
//! whether anything does.

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::RepoName;

use super::branch::RedisBranch;
use super::keys::BranchKeys;
use super::lanes::Lanes;
use super::reply::int;

/// Elements of one page, at most.
pub const QUEUE_PAGE_MAX: usize = 256;

/// How many ops wait on a branch; 0 where this Redis does not have it. The smallest look there is, for
/// those who look at many.
pub async fn depth(lanes: &Lanes, repo: &RepoName, uid: BranchUid) -> Result<u64> {
    let mut call = redis::cmd("LLEN");
    call.arg(&BranchKeys::new(repo, uid).queue);
    let depth = int("llen", &lanes.call("llen", &call).await?)?;
    Ok(u64::try_from(depth).unwrap_or(0))
}

/// How many tickets of a branch are decided, as this Redis has it; `None` where it does not have the branch.
/// The log may have come further.
pub async fn decided(lanes: &Lanes, repo: &RepoName, uid: BranchUid) -> Result<Option<u64>> {
    let mut call = redis::cmd("HGET");
    call.arg(&BranchKeys::new(repo, uid).head).arg("done");
    Ok(match lanes.call("hget", &call).await? {
        Value::BulkString(text) => String::from_utf8_lossy(&text).parse().ok(),
        _ => None,
    })
}

impl RedisBranch {
    /// The element at a place of the queue, 0 in front, if there is one.
    pub async fn element(&self, index: u64) -> Result<Option<Bytes>> {
        let mut call = redis::cmd("LINDEX");
        call.arg(&self.keys().queue).arg(index);
        Ok(match self.lanes().call("lindex", &call).await? {
            Value::BulkString(element) => Some(element.into()),
            _ => None,
        })
    }

    /// The page of the queue that ends `skip` elements before its end, at most [`QUEUE_PAGE_MAX`];
    /// none where the queue is not that long.
    ///
    /// Pages that are read with `skip` growing by [`QUEUE_PAGE_MAX`] miss no element that was in the
    /// queue at the first: elements are added behind, which makes pages overlap, and go away in
    /// front, when they are decided.
    pub async fn queue_from_end(&self, skip: usize) -> Result<Vec<Bytes>> {
        let mut call = redis::cmd("LRANGE");
        let (from, to) = (skip + QUEUE_PAGE_MAX, skip + 1);
        call.arg(&self.keys().queue).arg(format!("-{from}")).arg(format!("-{to}"));
        self.elements(&call).await
    }

    /// Takes the whole queue out of its place, unless one is there that was taken out before and did
    /// not go back.
    pub async fn put_queue_aside(&self) -> Result<()> {
        let keys = self.keys();
        if !self.is_there(&keys.queue).await? || self.is_there(&keys.aside).await? {
            return Ok(());
        }
        let mut rename = redis::cmd("RENAME");
        rename.arg(&keys.queue).arg(&keys.aside);
        self.lanes().call("rename", &rename).await.map(drop)
    }

    async fn is_there(&self, key: &str) -> Result<bool> {
        let mut call = redis::cmd("EXISTS");
        Ok(int("exists", &self.lanes().call("exists", call.arg(key)).await?)? == 1)
    }

    /// The first of what was put aside, at most [`QUEUE_PAGE_MAX`].
    pub async fn put_aside(&self) -> Result<Vec<Bytes>> {
        let mut call = redis::cmd("LRANGE");
        call.arg(&self.keys().aside).arg(0).arg(QUEUE_PAGE_MAX - 1);
        self.elements(&call).await
    }

    /// Removes the first `count` of what was put aside: they are in the queue again.
    pub async fn took_back(&self, count: usize) -> Result<()> {
        let mut call = redis::cmd("LTRIM");
        call.arg(&self.keys().aside).arg(count).arg(-1);
        self.lanes().call("ltrim", &call).await.map(drop)
    }

    async fn elements(&self, call: &redis::Cmd) -> Result<Vec<Bytes>> {
        let Value::Array(values) = self.lanes().call("lrange", call).await? else {
            return Err(Error::internal("LRANGE did not return an array"));
        };
        let bytes = |value| match value {
            Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
            _ => Err(Error::internal("LRANGE did not return strings")),
        };
        values.into_iter().map(bytes).collect()
    }
}
