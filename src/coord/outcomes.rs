//! The outcome stream: lookup by ticket and a blocking tail for those who wait.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use redis::streams::{StreamRangeReply, StreamReadReply};

use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

use super::branch::RedisBranch;
use super::connect::Link;
use super::options::BLOCK_MAX;

/// Outcomes in one read, at most.
const READ_MAX: usize = 4096;

/// Outcomes of a page that is read backwards.
const PAGE: usize = 256;

/// One decided op, as the stream has it.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    /// Ticket of the op that was decided.
    pub ticket: Ticket,
    /// Id of the op that was decided.
    pub op_id: OpId,
    /// The record of its outcome.
    pub record: Bytes,
}

/// A blocking reader of one branch's outcomes, or of this process's inbox there, with a connection of
/// its own.
#[derive(Debug)]
pub struct Tail {
    pub(super) branch: RedisBranch,
    pub(super) link: Link,
}

impl RedisBranch {
    /// Opens a tail of the branch's outcomes.
    pub async fn tail(&self) -> Result<Tail> {
        let link = self.lanes().blocking(&self.keys().outcomes).await?;
        Ok(Tail { branch: self.clone(), link })
    }

    /// A page of outcomes, the newest first: those before a ticket, or the newest of all.
    pub async fn outcomes_before(&self, before: Option<Ticket>) -> Result<Vec<StreamRecord>> {
        let end = match before {
            None => "+".to_owned(),
            Some(Ticket(0 | 1)) => return Ok(Vec::new()),
            Some(Ticket(before)) => (before - 1).to_string(),
        };
        let mut call = redis::cmd("XREVRANGE");
        call.arg(&self.keys().outcomes).arg(end).arg("-").arg("COUNT").arg(PAGE);
        let reply = self.lanes().call("xrevrange", &call).await?;
        let reply: StreamRangeReply = redis::from_redis_value(reply)
            .map_err(|_| Error::internal("XREVRANGE did not return a stream's entries"))?;
        reply.ids.into_iter().map(parse_outcome).collect()
    }
}

impl Tail {
    /// The outcomes behind `after`, as soon as there are any; none when `patience` passes first.
    /// A tail that fails is of no more use.
    pub async fn read(&mut self, after: Ticket, patience: Duration) -> Result<Vec<StreamRecord>> {
        let patience_ms = patience.min(BLOCK_MAX).as_millis().max(1) as u64;
        self.branch.lanes().count("xread");
        let reply = redis::cmd("XREAD")
            .arg("COUNT")
            .arg(READ_MAX)
            .arg("BLOCK")
            .arg(patience_ms)
            .arg("STREAMS")
            .arg(&self.branch.keys().outcomes)
            .arg(format!("{after}-0"))
            .query_async::<Option<StreamReadReply>>(&mut self.link)
            .await;
        match reply {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(reply)) => {
                reply.keys.into_iter().flat_map(|key| key.ids).map(parse_outcome).collect()
            }
            Err(error) => {
                self.branch.lanes().note_loss();
                Err(Error::unavailable(format!("waiting for outcomes was cut off: {error}")))
            }
        }
    }
}

pub(crate) fn parse_outcome(id: redis::streams::StreamId) -> Result<StreamRecord> {
    let damaged = || Error::corrupt(format!("outcome {} in Redis is damaged", id.id));
    let ticket = id.id.split('-').next().and_then(|t| t.parse().ok()).ok_or_else(damaged)?;
    let field = |name: &str| match id.map.get(name) {
        Some(Value::BulkString(bytes)) => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(damaged()),
    };
    let op_id = std::str::from_utf8(&field("o")?)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(damaged)?;
    Ok(StreamRecord { ticket: Ticket(ticket), op_id, record: field("r")? })
}
