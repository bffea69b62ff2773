//! Reading a whole queue, with plain commands: what waits on a branch, from its end to its front.

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};

use super::branch::RedisBranch;

/// Elements of one page, at most.
pub const QUEUE_PAGE_MAX: usize = 256;

impl RedisBranch {
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
        let Value::Array(values) = self.lanes().call("lrange", &call).await? else {
            return Err(Error::internal("LRANGE did not return an array"));
        };
        let bytes = |value| match value {
            Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
            _ => Err(Error::internal("LRANGE did not return strings")),
        };
        values.into_iter().map(bytes).collect()
    }
}
