//! Tickets: an accepted op on its way to its outcome.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Stopwatch};
use crate::commit::accept::admission::Pending;
use crate::commit::accept::queue::BranchQueue;
use crate::commit::accept::waiting::{Told, rounds_bound};
use crate::commit::context::BranchContext;
use crate::commit::log::find::find_in_log;
use crate::commit::mend::present::{bring_up, present, present_in};
use crate::commit::mend::restore::remember;
use crate::commit::op::queued::QueuedOp;
use crate::commit::op::verdict::{BRANCH_DELETED, OutcomeRecord, Verdict};
use crate::coord::status::{OpStatus, StatusReply};
use crate::coord::submit::Submission;
use crate::model::cancel::Cancelled;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{Fingerprint, OpId, Ticket};
use crate::model::outcome::{Details, Outcome};

use super::handles::{Branch, Onward};
use super::named_lives::NamedLives;
use super::outcome::complete;
use super::resolve::{ROUNDS_MAX, is_outrun, op_of_round};
use super::standing::age_of;

/// What can be said of an op without waiting.
#[derive(Debug, Clone, PartialEq)]
pub enum TicketStatus {
    /// It is in the queue.
    Pending {
        /// Its place in the order of the branch.
        ticket: Ticket,
        /// Its place in the queue: 1 is the front.
        position: u64,
    },
    /// It is decided.
    Decided(Box<Outcome>),
}

/// An accepted op. Dropping it changes nothing: the op will be decided all the same.
#[derive(Debug)]
pub struct TicketHandle {
    pub(super) queue: Arc<BranchQueue>,
    pub(super) state: HandleState,
    /// What its submitter asks for, in case the op is another's.
    pub(super) asked: Option<Fingerprint>,
    /// What is submitted once more, where a Redis that went back took it for a branch that is over.
    pub(super) again: Option<Box<Again>>,
}

/// What came of waiting.
enum Waited {
    For(Outcome),
    /// This, of an incarnation that was over before the op was submitted.
    InVain(Result<Outcome>),
}

impl Waited {
    fn told(self) -> Result<Outcome> {
        match self {
            Self::For(outcome) => Ok(outcome),
            Self::InVain(told) => told,
        }
    }
}

/// An op that was submitted by the name of its branch.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) branch: Branch,
    pub(super) submission: Submission,
    pub(super) named: NamedLives,
}

#[derive(Debug)]
pub(super) enum HandleState {
    Pending(Pending),
    Settled(Box<Outcome>),
}

impl TicketHandle {
    /// The op's ticket, if it was queued.
    pub fn ticket(&self) -> Option<Ticket> {
        match &self.state {
            HandleState::Pending(pending) => Some(pending.ticket),
            HandleState::Settled(outcome) => outcome.ticket(),
        }
    }

    /// The op's id.
    pub fn op_id(&self) -> OpId {
        match &self.state {
            HandleState::Pending(pending) => pending.op_id,
            HandleState::Settled(outcome) => outcome.details().op_id,
        }
    }

    /// Waits for the outcome, at most for `timeout`; past that the outcome is
    /// [`Outcome::StillQueued`]. Can be called again.
    pub async fn wait(&mut self, timeout: Duration) -> Result<Outcome> {
        let deadline = Deadline::after(timeout);
        let outcome = self.wait_until(deadline).await?;
        match self.again.take_if(|_| matches!(&outcome, Waited::InVain(_))) {
            None => outcome.told(),
            Some(again) => self.submit_again(*again, outcome, deadline).await,
        }
    }

    /// A Redis that went back has taken the op for an incarnation that was over before. It goes to
    /// the one that the name stands for.
    async fn submit_again(
        &mut self,
        again: Again,
        outcome: Waited,
        deadline: Deadline,
    ) -> Result<Outcome> {
        let Again { branch, submission, named } = again;
        let over = self.queue.context();
        branch.repo.onward.inner.forget_place(over);
        // Fails where the name stands for nothing.
        if branch.head().await?.0.uid == over.uid {
            return outcome.told();
        }
        let op_id = self.op_id();
        tracing::info!(%op_id, "Redis had gone back to a branch that is over: submitting to the one there is");
        *self = branch.submit(submission, self.asked, named, Some(deadline)).await?;
        self.again = None;
        self.wait_until(deadline).await?.told()
    }

    async fn wait_until(&mut self, deadline: Deadline) -> Result<Waited> {
        let pending = match &mut self.state {
            HandleState::Settled(outcome) => return Ok(Waited::For(outcome.as_ref().clone())),
            HandleState::Pending(pending) => pending,
        };
        let waiting = Stopwatch::start();
        let told = tokio::time::timeout(deadline.left(), pending.outcome()).await;
        let cause = match told {
            Ok(Some(Told::Decided(outcome))) => {
                let outcome = Box::pin(complete(self.queue.context(), outcome)).await?;
                same_request(self.asked, &outcome)?;
                // Its ticket is one that the log gave to another op, or to the end itself.
                let went_back = matches!(&outcome, Outcome::Failed { reason, details, .. }
                    if reason == BRANCH_DELETED && Some(pending.ticket) <= details.first);
                self.state = HandleState::Settled(Box::new(outcome.clone()));
                return Ok(match went_back {
                    true => Waited::InVain(Ok(outcome)),
                    false => Waited::For(outcome),
                });
            }
            Ok(Some(Told::Stuck(cause))) => Some(cause),
            Ok(Some(Told::GivenUp(cause))) => {
                return Err(Error::unavailable(format!("op {}: {cause}", pending.op_id)));
            }
            Ok(Some(Told::Gone { how, went_back })) => {
                let gone = Error::not_found(format!("op {}: {how}", pending.op_id));
                return if went_back { Ok(Waited::InVain(Err(gone))) } else { Err(gone) };
            }
            Ok(None) => Some("this process is shutting down".to_owned()),
            Err(_) => self.queue.last_error(),
        };
        let (op_id, ticket) = (pending.op_id, pending.ticket);
        Ok(Waited::For(still_queued(op_id, ticket, cause, waiting.elapsed())))
    }

    /// Calls the op off, if it is not decided yet. Its outcome tells whether that was in time.
    pub async fn cancel(&self) -> Result<()> {
        let op_id = self.op_id();
        let ask = |context: BranchContext| async move { context.redis.cancel(op_id).await };
        present_in(self.queue.context(), ask).await.map(drop)
    }
}

fn still_queued(op_id: OpId, ticket: Ticket, cause: Option<String>, waited: Duration) -> Outcome {
    let details = Details { rounds_bound: rounds_bound(1), waited, ..Details::of(op_id) };
    Outcome::StillQueued { ticket, cause, details }
}

/// Nothing is known of a call before the deadline: with the reason why it was put off, where Redis
/// gave one.
pub(super) fn late(onward: &Onward) -> Error {
    Error::unavailable(match onward.coordinator().lanes().waits_for() {
        Some(reason) => format!("the deadline came while this was waited for: {reason}"),
        None => "Redis or the object store did not answer before the deadline".to_owned(),
    })
}

/// Fails where an op that was accepted before came with another request than is asked for now.
pub(super) fn same_request(asked: Option<Fingerprint>, outcome: &Outcome) -> Result<()> {
    same_fingerprint(asked, outcome.details().fingerprint, outcome.details().op_id)
}

fn same_fingerprint(
    asked: Option<Fingerprint>,
    accepted: Option<Fingerprint>,
    op_id: OpId,
) -> Result<()> {
    match (asked, accepted) {
        (Some(asked), Some(accepted)) if asked != accepted => Err(Error::new(
            ErrorKind::OpIdReused,
            format!(
                "op {op_id} is another request, which was accepted before under the same key; nothing of this one was: send it under a key of its own"
            ),
        )),
        _ => Ok(()),
    }
}

/// Submits an op and waits for its outcome, all before `deadline`. `late` tells of a submission
/// that took longer.
pub(super) async fn see_through(
    deadline: Deadline,
    submission: impl Future<Output = Result<TicketHandle>>,
    late: impl FnOnce() -> Error,
) -> Result<Outcome> {
    let submitted = tokio::time::timeout(deadline.left(), submission).await;
    submitted.map_err(|_| late())??.wait(deadline.left()).await
}

impl Branch {
    /// What Redis says of an op. Where it does not know it, it is brought up to the log first, and what
    /// it has forgotten of a branch that was idle is put back.
    async fn status_of(&self, op_id: OpId) -> Result<(BranchContext, StatusReply)> {
        let ask = |context: BranchContext| async move { context.redis.status(&[op_id]).await };
        let (context, reply) = present(self, ask).await?;
        if !matches!(reply.ops.first(), Some(OpStatus::Unknown) | None) {
            return Ok((context, reply));
        }
        bring_up(&context).await?;
        remember(&context).await?;
        present(self, ask).await
    }

    /// What is known of an op, now: of one that is queued, or among the newest 4,096 that were decided,
    /// whatever Redis has lost or forgotten; of others, as long as Redis keeps them. Of a merge that was worked
    /// out again, because others had changed tables that it put together, it is what became of it in the end. Fails
    /// with [`crate::ErrorKind::NotFound`] where nothing is.
    pub async fn ticket_status(&self, op_id: OpId) -> Result<TicketStatus> {
        self.last_round(op_id).await.map(|(_, status)| status)
    }

    /// The last op that is known of those which a merge became, and what is known of it. Each of them ends in a
    /// conflict, in its turn, but for the last.
    async fn last_round(&self, first: OpId) -> Result<(OpId, TicketStatus)> {
        let mut last = (first, self.status_of_one(first).await?);
        for round in 1..=ROUNDS_MAX {
            if !matches!(&last.1, TicketStatus::Decided(outcome) if is_outrun(outcome)) {
                break;
            }
            let op_id = op_of_round(first, round);
            match self.status_of_one(op_id).await {
                Ok(status) => last = (op_id, status),
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    /// What is known of an op, whatever it became in later rounds.
    pub(super) async fn status_of_one(&self, op_id: OpId) -> Result<TicketStatus> {
        let (context, StatusReply { done, ops, .. }) = self.status_of(op_id).await?;
        let uid = context.uid;
        let unknown = || {
            Error::not_found(format!(
                "op {op_id} is not known on branch '{}' of '{}': it was not accepted there, or its outcome is no longer kept",
                context.name,
                context.lake.repo()
            ))
            .at_the_prompt("`onward log` shows commits with their op ids")
        };
        let (ticket, record) = match ops.into_iter().next() {
            Some(OpStatus::Pending(ticket)) => {
                let position = ticket.0.saturating_sub(done);
                return Ok(TicketStatus::Pending { ticket, position });
            }
            Some(OpStatus::Decided(ticket, Some(record))) => {
                (ticket, OutcomeRecord::decode(&record)?)
            }
            Some(OpStatus::Decided(ticket, None)) => {
                let from = ticket.0.saturating_sub(1);
                find_in_log(&context.lake, uid, op_id, from).await?.ok_or_else(unknown)?
            }
            Some(OpStatus::Dropped(ticket)) => {
                let verdict = Verdict::branch_deleted();
                let first = Ticket(done);
                (
                    ticket,
                    OutcomeRecord { verdict, commit: None, first, batch: 0, fingerprint: None },
                )
            }
            Some(OpStatus::Unknown) | None => return Err(unknown()),
        };
        let outcome = complete(&context, record.outcome(ticket, Details::of(op_id))).await?;
        Ok(TicketStatus::Decided(Box::new(outcome)))
    }

    /// Waits for the outcome of an op that was submitted by anybody, and helps it on.
    pub async fn ticket_wait(&self, op_id: OpId, timeout: Duration) -> Result<Outcome> {
        match self.last_round(op_id).await? {
            (_, TicketStatus::Decided(outcome)) => Ok(*outcome),
            (op_id, TicketStatus::Pending { ticket, position }) => {
                self.attach(op_id, ticket, position, None).await?.wait(timeout).await
            }
        }
    }

    /// Fails where an op that was in the queue before is another request than is asked for now. What
    /// cannot be seen there is told with its outcome: an op that was accepted is not given up for that.
    pub(super) async fn same_in_queue(
        &self,
        op_id: OpId,
        asked: Option<Fingerprint>,
    ) -> Result<()> {
        if asked.is_none() {
            return Ok(());
        }
        let look = async {
            let TicketStatus::Pending { position, .. } = self.status_of_one(op_id).await? else {
                return Ok(None);
            };
            in_queue(&self.context().await?, op_id, position).await
        };
        let queued = look.await.unwrap_or_else(|error: Error| {
            tracing::debug!(%op_id, %error, "an op in the queue cannot be looked at");
            None
        });
        same_fingerprint(asked, queued.and_then(|queued| queued.fingerprint()), op_id)
    }

    /// A handle of an op that is in the queue, by whomever.
    pub(super) async fn attach(
        &self,
        op_id: OpId,
        ticket: Ticket,
        position: u64,
        asked: Option<Fingerprint>,
    ) -> Result<TicketHandle> {
        let context = self.context().await?;
        let queued = in_queue(&context, op_id, position).await?;
        let fingerprint = queued.as_ref().and_then(QueuedOp::fingerprint);
        same_fingerprint(asked, fingerprint, op_id)?;
        let age = age_of(queued.and_then(|queued| queued.created_ms()));
        let queue = self.queue_of(&context);
        let pending = queue.attach(op_id, ticket, ticket.0.saturating_sub(position), age);
        let state = HandleState::Pending(pending);
        Ok(TicketHandle { queue, state, asked, again: None })
    }

    /// A handle of an op that this process has had accepted before and sees through, also where Redis
    /// has lost it since; `None` where there is none.
    pub(super) async fn join(
        &self,
        op_id: OpId,
        asked: Option<Fingerprint>,
    ) -> Result<Option<TicketHandle>> {
        let queue = self.queue_of(&self.context().await?);
        Ok(queue.join(op_id).await.map(|pending| {
            let state = HandleState::Pending(pending);
            TicketHandle { queue, state, asked, again: None }
        }))
    }

    /// Calls an op off, if it is not decided yet; then tells what is known of it.
    pub async fn ticket_cancel(&self, op_id: OpId) -> Result<Cancelled> {
        let ask = |context: BranchContext| async move { context.redis.cancel(op_id).await };
        present(self, ask).await.map(|(_, cancelled)| cancelled)
    }
}

/// An op at its place in the queue, if it is still there and can be read.
async fn in_queue(context: &BranchContext, op_id: OpId, position: u64) -> Result<Option<QueuedOp>> {
    let element = context.redis.element(position.saturating_sub(1)).await?;
    let queued = element.and_then(|element| QueuedOp::decode(&element).ok());
    Ok(queued.filter(|queued| queued.id == op_id))
}
