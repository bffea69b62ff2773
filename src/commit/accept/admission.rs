//! What the submitter of an op is told at once.

use tokio::sync::watch;

use crate::coord::submit::{Accepted, Submission};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{OpId, Ticket};
use crate::model::outcome::{Details, Outcome};

use super::shared::Shared;
use super::waiting::{Told, rounds_bound};
use crate::commit::counters::add;
use crate::commit::op::verdict::{Late, OutcomeRecord, ProducerRow};

/// What became of an attempt to submit.
#[derive(Debug)]
pub enum Admission {
    /// The op is queued, or was before; its outcome will come.
    Queued(Pending),
    /// Its outcome was clear at once. What only the log keeps of it is not read yet.
    Settled(Box<Outcome>),
    /// It was decided before as this ticket; what became of it only the log knows.
    Forgotten(Ticket),
    /// Nothing was staged, and an empty commit was not asked for.
    NothingStaged(OpId),
    /// It may have been decided before, and Redis has forgotten which ops were.
    Unsure,
    /// What Redis has of one of its producers is damaged. Only its turn can tell, by the log.
    Unreadable,
    /// The branch has ended. Nothing was queued; the name may stand for another branch by now.
    BranchDeleted,
}

/// An accepted op on its way to its outcome.
#[derive(Debug)]
pub struct Pending {
    /// Id of the op that waits.
    pub op_id: OpId,
    /// Its place in the order of the branch.
    pub ticket: Ticket,
    /// Whether it was in the queue before this call.
    pub is_known: bool,
    pub(super) outcome: watch::Receiver<Option<Told>>,
}

impl Pending {
    /// Waits for what there is to tell: the outcome, or that this process is stuck. After the
    /// latter it can be called again. `None` when the process's helper has been shut down.
    pub async fn outcome(&mut self) -> Option<Told> {
        if self.outcome.changed().await.is_err() {
            // Who was given up on is told so each time.
            let last = self.outcome.borrow().clone();
            return last.filter(|told| matches!(told, Told::GivenUp(_) | Told::Gone { .. }));
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
            let is_known = matches!(accepted, Accepted::Pending(_));
            if !is_known {
                add(&shared.context.counters.accepted, 1);
            }
            Ok(Admission::Queued(Pending { op_id, ticket, is_known, outcome }))
        }
        Accepted::Decided(ticket, Some(record)) => {
            let details = Details { repeated: true, ..details(op_id, depth) };
            let outcome = OutcomeRecord::decode(&record)?.outcome(ticket, details);
            Ok(Admission::Settled(Box::new(outcome)))
        }
        Accepted::Decided(ticket, None) => Ok(Admission::Forgotten(ticket)),
        Accepted::Late { producer, row } => {
            let late = late(&submission, producer, &row)?;
            Ok(late.map_or(Admission::Unreadable, |late| {
                Admission::Settled(Box::new(late.outcome(details(op_id, 0))))
            }))
        }
        Accepted::TooManySealed { areas } => Err(too_many_sealed(shared, areas, depth)),
        Accepted::Overloaded { depth } => Err(Error::new(
            ErrorKind::Overloaded { retry_after: shared.rate.time_for(depth / 2) },
            format!(
                "the queue of the branch is full ({depth} ops); nothing was accepted: come back later"
            ),
        )),
        Accepted::NothingStaged => Ok(Admission::NothingStaged(op_id)),
        Accepted::BranchDeleted => Ok(Admission::BranchDeleted),
        Accepted::Forgotten => Ok(Admission::Unsure),
    }
}

/// Those that were given back have made room before anybody is told so: what is left waits.
fn too_many_sealed(shared: &Shared, areas: u64, depth: u64) -> Error {
    Error::new(
        ErrorKind::TooManySealed { retry_after: shared.rate.time_for(depth / 2) },
        format!(
            "{areas} staged commits of the branch wait for their turn, and no more may at a time; nothing was accepted, and what is staged stays staged: come back when some of them are decided"
        ),
    )
}

/// An early answer by the row of one of the op's producers: the same that it would get in its turn. `None`
/// where the row is damaged.
fn late(submission: &Submission, producer: usize, row: &[u8]) -> Result<Option<Late>> {
    let row = match ProducerRow::decode(row) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
        row => row?,
    };
    let late = submission.producers.get(producer).and_then(|asked| row.late(asked));
    late.map(Some).ok_or_else(|| {
        Error::internal(format!("op {} is told to be late and is not", submission.op_id))
    })
}

fn details(op_id: OpId, depth: u64) -> Details {
    Details { rounds_bound: rounds_bound(depth), ..Details::of(op_id) }
}
