//! `status.lua` and `cancel.lua`: what became of an op, and calling it off.

use bytes::Bytes;
use redis::Value;

use crate::model::cancel::Cancelled;
use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use super::reply::{Reply, unknown_code};
use super::script::{CANCEL, STATUS};
use super::{BranchKeys, BranchState, Lanes};

/// Op ids in one call, at most.
pub const STATUS_MAX: usize = 1024;

/// What Redis knows of an op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpStatus {
    /// Nothing: it was never accepted, or Redis lost it, or its outcome is no longer kept.
    Unknown,
    /// It is in the queue.
    Pending(Ticket),
    /// It is decided; the record is `None` when the outcome is no longer kept.
    Decided(Ticket, Option<Bytes>),
    /// It was in the queue when the branch ended, behind the op that ended it: it never happens.
    Dropped(Ticket),
}

/// The answer to one call.
#[derive(Debug)]
pub struct StatusReply {
    /// Whether the branch takes ops.
    pub state: BranchState,
    /// Tickets decided so far.
    pub done: u64,
    /// One answer per op id, in order.
    pub ops: Vec<OpStatus>,
}

/// Asks for at most [`STATUS_MAX`] ops. `None` when the branch is not in this Redis.
pub async fn status(lanes: &Lanes, keys: &BranchKeys, ops: &[OpId]) -> Result<Option<StatusReply>> {
    let ids: Vec<String> = ops.iter().map(OpId::to_string).collect();
    let args: Vec<&[u8]> = ids.iter().map(String::as_bytes).collect();
    let value = lanes.run(&STATUS, &[&keys.head, &keys.outcomes, &keys.ops], &args).await?;
    parse(value, ops.len())
}

pub(crate) fn parse(value: Value, ops: usize) -> Result<Option<StatusReply>> {
    let mut reply = Reply::new(STATUS.name, value)?;
    let Some(state) = reply.state()? else {
        return Ok(None);
    };
    let done = reply.count()?;
    let mut answers = Vec::with_capacity(ops);
    for _ in 0..ops {
        let code = reply.int()?;
        let ticket = Ticket(reply.count()?);
        let record = reply.bytes()?;
        answers.push(match code {
            0 => OpStatus::Unknown,
            2 => OpStatus::Pending(ticket),
            3 => OpStatus::Decided(ticket, Some(record).filter(|r| !r.is_empty())),
            4 => OpStatus::Dropped(ticket),
            other => return Err(unknown_code(STATUS.name, other)),
        });
    }
    Ok(Some(StatusReply { state, done, ops: answers }))
}

/// Marks a pending op as cancelled. `None` when the branch is not in this Redis.
pub async fn cancel(lanes: &Lanes, keys: &BranchKeys, op_id: OpId) -> Result<Option<Cancelled>> {
    let id = op_id.to_string();
    let value = lanes.run(&CANCEL, &[&keys.head, &keys.queue, &keys.ops], &[id.as_bytes()]).await?;
    let mut reply = Reply::new(CANCEL.name, value)?;
    Ok(Some(match reply.int()? {
        0 => return Ok(None),
        1 => Cancelled::Unknown,
        2 => Cancelled::Marked(Ticket(reply.count()?)),
        3 => Cancelled::Decided(Ticket(reply.count()?)),
        other => return Err(unknown_code(CANCEL.name, other)),
    }))
}
