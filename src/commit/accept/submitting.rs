//! An op on its way into the queue of a branch, under the same id however often it is tried.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::coord::Answer;
use crate::coord::submit::Submission;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BranchUid, Ticket};
use crate::model::outcome::{Details, Outcome};

use super::admission::Admission;
use super::queue::BranchQueue;
use super::waiting::rounds_bound;
use crate::commit::log::find::find_in_log;
use crate::commit::mend::present::{Shows, bring_up};
use crate::commit::mend::restore::remember;
use crate::commit::op::lost::lost;

/// How long after the first attempt Redis still knows an op however fast its branch is decided. An
/// attempt that begins before reaches Redis within the patience of a call and the opening of a
/// connection, which is while outcomes are kept in any case.
const KNOWN_FOR: Duration = Duration::from_secs(3);

/// How often one attempt makes room for an area, which others may then take.
const ROOM_MAX: usize = 8;

/// An op that is being submitted.
#[derive(Debug)]
pub struct Submitting {
    submission: Submission,
    first: Mutex<Option<First>>,
}

/// The first attempt on an incarnation of the branch.
#[derive(Debug, Clone, Copy)]
struct First {
    uid: BranchUid,
    begun: Stopwatch,
    /// Every outcome up to this ticket was known to the process.
    seen: u64,
    /// Connections lost by then.
    losses: u64,
}

impl Shows for Admission {}

impl Submitting {
    /// An op that was not tried yet.
    pub fn new(submission: Submission) -> Self {
        Self { submission, first: Mutex::default() }
    }

    /// Tries once, on the branch of `queue`.
    pub async fn attempt(&self, queue: &BranchQueue) -> Result<Answer<Admission>> {
        let first = self.first(queue);
        // An earlier attempt may have been accepted, and be decided and forgotten by now.
        if first.begun.elapsed() > KNOWN_FOR {
            // The log is read once Redis is back, not again and again until then.
            let _ = queue.context().look(0).await?;
            if let Some(outcome) = self.decided_since(queue, first).await? {
                return Ok(Answer::Given(Admission::Settled(Box::new(outcome))));
            }
        }
        // What one try has settled is settled for those after it.
        let mut submission = Cow::Borrowed(&self.submission);
        let mut admission = self.submit(queue, &submission).await?;
        if matches!(admission, Admission::Unsure) {
            // Whatever the log brings back is known then: an op that is not among it is new.
            bring_up(queue.context()).await?;
            remember(queue.context()).await?;
            submission.to_mut().may_repeat = false;
            admission = self.submit(queue, &submission).await?;
        }
        if matches!(admission, Admission::Unreadable) {
            submission.to_mut().producers.clear();
            admission = self.submit(queue, &submission).await?;
        }
        let lost_connection = queue.context().redis.losses() != first.losses;
        if matches!(admission, Admission::NothingStaged(_)) && lost_connection {
            // The call may have been made twice, the first time to a Redis that took what was staged
            // and whose newest writes this one does not have. Nothing says that it was.
            admission = queue.submit(lost(submission.into_owned(), false)?).await?;
        }
        Ok(match admission {
            Admission::BranchDeleted => Answer::Ended,
            Admission::Forgotten(ticket) => {
                let outcome = Box::new(self.forgotten(queue, ticket).await?);
                Answer::Given(Admission::Settled(outcome))
            }
            admission => Answer::Given(admission),
        })
    }

    /// Submits the op. Where as many areas are sealed as may be, those that were given back make room.
    async fn submit(&self, queue: &BranchQueue, submission: &Submission) -> Result<Admission> {
        for _ in 0..ROOM_MAX {
            match queue.submit(submission.clone()).await {
                Err(error) if matches!(error.kind(), ErrorKind::TooManySealed { .. }) => {
                    if !queue.context().redis.unite_areas().await? {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
        queue.submit(submission.clone()).await
    }

    /// The outcome of the op, by the log: Redis knows that it was decided as this ticket, and no
    /// longer how.
    async fn forgotten(&self, queue: &BranchQueue, ticket: Ticket) -> Result<Outcome> {
        let (context, op_id) = (queue.context(), self.submission.op_id);
        let before = ticket.0.saturating_sub(1);
        let found = find_in_log(&context.lake, context.uid, op_id, before).await?;
        let (ticket, record) = found.ok_or_else(|| {
            Error::corrupt(format!(
                "op {op_id} was decided as ticket {ticket}, and the log of branch '{}' does not have it",
                context.name
            ))
        })?;
        Ok(record.outcome(ticket, Details { repeated: true, ..Details::of(op_id) }))
    }

    fn first(&self, queue: &BranchQueue) -> First {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let context = queue.context();
        match *first {
            Some(first) if first.uid == context.uid => first,
            // Of another incarnation nothing was asked yet.
            _ => *first.insert(First {
                uid: context.uid,
                begun: Stopwatch::start(),
                seen: queue.seen(),
                losses: context.redis.losses(),
            }),
        }
    }

    /// What the log says of the op, which was first submitted when every outcome up to some ticket
    /// was known. A process that has seen none of this branch would have to read all of its log, and
    /// relies on what Redis knows.
    async fn decided_since(&self, queue: &BranchQueue, first: First) -> Result<Option<Outcome>> {
        if first.seen == 0 {
            return Ok(None);
        }
        let (context, op_id) = (queue.context(), self.submission.op_id);
        let found = find_in_log(&context.lake, context.uid, op_id, first.seen).await?;
        Ok(found.map(|(ticket, record)| {
            let (rounds_bound, waited) = (rounds_bound(1), first.begun.elapsed());
            record.outcome(ticket, Details { rounds_bound, waited, ..Details::of(op_id) })
        }))
    }
}
