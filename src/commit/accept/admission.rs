//! What the submitter of an op is told at once.

use std::time::Duration;

use tokio::sync::watch;

use crate::coord::submit::{Accepted, Submission};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{OpId, Ticket};

use super::shared::Shared;
use super::waiting::{Decision, Details, Told, rounds_bound};
use crate::commit::counters::add;
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow, Verdict};

/// What became of an attempt to submit.
#[derive(Debug)]
pub enum Admission {
    /// The op is queued, or was before; its outcome will come.
    Queued(Pending),
    /// It was clear at once.
    Settled(Decision),
    /// Nothing was staged, and an empty commit was not asked for.
    NothingStaged(OpId),
    /// The branch has ended, and knows nothing of the op.
    BranchEnded,
}

/// An accepted op on its way to its outcome.
#[derive(Debug)]
pub struct Pending {
    /// Its id.
    pub op_id: OpId,
    /// Its ticket.
    pub ticket: Ticket,
    pub(super) outcome: watch::Receiver<Option<Told>>,
}

impl Pending {
    /// Waits for what there is to tell: the outcome, or that this process is stuck. After the
    /// latter it can be called again. `None` when the process's helper has been shut down.
    pub async fn outcome(&mut self) -> Option<Told> {
        if self.outcome.changed().await.is_err() {
            // Who was given up on is told so each time.
            let last = self.outcome.borrow().clone();
            return last.filter(|told| matches!(told, Told::GivenUp(_)));
        }
        self.outcome.borrow_and_update().clone()
    }
}

/// What the answer to a submission means for its submitter.
pub(super) fn admit(
    shared: &Shared,
    submission: Submission,
    accepted: Accepted,
    outcome: watch::Receiver<Option<Told>>,
    depth: u64,
) -> Result<Admission> {
    let op_id = submission.op_id;
    match accepted {
        Accepted::Queued(ticket) | Accepted::Pending(ticket) => {
            if matches!(accepted, Accepted::Queued(_)) {
                add(&shared.context.counters.accepted, 1);
            }
            Ok(Admission::Queued(Pending { op_id, ticket, outcome }))
        }
        Accepted::Decided(ticket, Some(record)) => {
            let record = OutcomeRecord::decode(&record)?;
            Ok(Admission::Settled(Decision {
                verdict: record.verdict,
                commit: record.commit,
                first: Some(record.first),
                details: details(op_id, Some(ticket), record.batch, depth),
            }))
        }
        Accepted::Decided(ticket, None) => Err(Error::new(
            ErrorKind::Fenced,
            format!(
                "op {op_id} was decided as ticket {ticket}; its outcome is no longer kept in Redis: find it with `onward log`"
            ),
        )),
        Accepted::Fenced(row) | Accepted::Duplicate(row) => repeated(&submission, &row),
        // It is the areas that are too many, and none of them waits for its commit.
        Accepted::Overloaded { depth: 0 } => Err(Error::conflict(format!(
            "{} staged commits of the branch have failed and gave back what they had taken; nothing was accepted: see why they failed, then take back what is staged (`onward branch reset`) and stage it again",
            shared.options.limits.sealed
        ))),
        Accepted::Overloaded { depth } => Err(Error::new(
            ErrorKind::Overloaded { retry_after: shared.rate.time_for(depth / 2) },
            format!(
                "the queue of the branch is full ({depth} ops); nothing was accepted: come back later"
            ),
        )),
        Accepted::NothingStaged => Ok(Admission::NothingStaged(op_id)),
        Accepted::BranchDeleted => Ok(Admission::BranchEnded),
    }
}

/// An early answer from the decided table: a repeated sequence gets its first outcome where it is
/// known, an older one is fenced.
fn repeated(submission: &Submission, row: &[u8]) -> Result<Admission> {
    let row = ProducerRow::decode(row)?;
    let fenced = submission.producer.as_ref().and_then(|asked| row.fence(asked));
    let verdict = fenced.ok_or_else(|| {
        Error::internal(format!("op {} is told to be fenced and is not", submission.op_id))
    })?;
    let first_outcome = match &verdict {
        Verdict::Fenced { earlier, .. } => *earlier,
        _ => None,
    };
    let ticket = first_outcome.map(|id| id.first_ticket().plus(id.index().into()));
    Ok(Admission::Settled(Decision {
        verdict: if first_outcome.is_some() { Verdict::Committed } else { verdict },
        commit: first_outcome,
        first: first_outcome.map(|id| id.first_ticket()),
        details: details(submission.op_id, ticket, 0, 0),
    }))
}

fn details(op_id: OpId, ticket: Option<Ticket>, batch: u32, depth: u64) -> Details {
    Details {
        op_id,
        ticket,
        rounds: 0,
        rounds_bound: rounds_bound(depth),
        batch,
        waited: Duration::ZERO,
    }
}
