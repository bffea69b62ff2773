//! `status.lua`, `cancel.lua` and `remember.lua`: what became of an op, calling it off, and putting back
//! which ops were decided.

use bytes::Bytes;
use redis::Value;

use crate::model::cancel::Cancelled;
use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use super::answer::Answer;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::head::BranchState;
use super::reply::{Reply, int, unknown_code};
use super::script::{CANCEL, REMEMBER, STATUS};

/// Op ids in one call, at most.
pub const STATUS_MAX: usize = 1024;

/// Ops that one call of `remember.lua` puts back, at most.
const REMEMBER_MAX: usize = 500;

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

impl RedisBranch {
    /// Asks for at most [`STATUS_MAX`] ops. A branch that has ended answers, too.
    pub async fn status(&self, ops: &[OpId]) -> Result<Answer<StatusReply>> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&STATUS, &[&keys.head, &keys.outcomes, &keys.ops]);
        for op_id in ops {
            call.text(op_id);
        }
        parse(self.run(&call).await?, ops.len())
    }

    /// Whether Redis knows as many decided ops as the log brings back.
    pub async fn remembers(&self) -> Result<Answer<bool>> {
        self.remember_some(&[]).await
    }

    /// Puts back which ops were decided, by the log, where Redis has forgotten it. Returns whether it
    /// knows enough of them now.
    pub async fn remember(&self, ops: &[(OpId, Ticket)]) -> Result<Answer<bool>> {
        let mut last = self.remembers().await?;
        for part in ops.chunks(REMEMBER_MAX) {
            last = self.remember_some(part).await?;
        }
        Ok(last)
    }

    async fn remember_some(&self, ops: &[(OpId, Ticket)]) -> Result<Answer<bool>> {
        let (keys, retention) = (self.keys(), self.retention());
        let all = [&keys.head, &keys.queue, &keys.outcomes, &keys.ops];
        let mut call = ScriptCall::on(&REMEMBER, &all);
        call.number(retention.remembered()).millis(retention.idle).count(ops.len());
        for (op_id, ticket) in ops {
            call.text(op_id).text(ticket);
        }
        Ok(match int(REMEMBER.name, &self.run(&call).await?)? {
            0 => Answer::Absent,
            1 => Answer::Given(true),
            2 => Answer::Given(false),
            other => return Err(unknown_code(REMEMBER.name, other)),
        })
    }

    /// Marks a pending op as cancelled. A branch that has ended answers, too.
    pub async fn cancel(&self, op_id: OpId) -> Result<Answer<Cancelled>> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&CANCEL, &[&keys.head, &keys.queue, &keys.ops]);
        call.text(op_id);
        let mut reply = Reply::new(CANCEL.name, self.run(&call).await?)?;
        Ok(Answer::Given(match reply.int()? {
            0 => return Ok(Answer::Absent),
            1 => Cancelled::Unknown,
            2 => Cancelled::Marked(Ticket(reply.count()?)),
            3 => Cancelled::Decided(Ticket(reply.count()?)),
            other => return Err(unknown_code(CANCEL.name, other)),
        }))
    }
}

pub(crate) fn parse(value: Value, ops: usize) -> Result<Answer<StatusReply>> {
    let mut reply = Reply::new(STATUS.name, value)?;
    let Some(state) = reply.state()? else {
        return Ok(Answer::Absent);
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
    Ok(Answer::Given(StatusReply { state, done, ops: answers }))
}
