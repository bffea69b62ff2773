//! After a doubt: what became of ops that this process has promised to see through.
//!
//! Redis is asked first. An op it does not know was either decided so long ago that its outcome is
//! no longer kept, or lost; the log tells the two apart, and only a lost op is submitted again.

use crate::coord::Answer;
use crate::coord::status::{OpStatus, STATUS_MAX};
use crate::coord::submit::{Accepted, Submission, SubmitReply, in_calls};
use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use crate::commit::accept::shared::Shared;
use crate::commit::accept::waiting::Promised;
use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::find::{find_all_in_log, find_in_log};
use crate::commit::mend::present::{accepted_in, present_in};
use crate::commit::op::lost::lost;
use crate::commit::op::verdict::{OutcomeRecord, Verdict};

/// Brings every op of `ops` to its outcome or back into the queue.
pub(in crate::commit) async fn reconcile(shared: &Shared, ops: Vec<OpId>) -> Result<()> {
    let context = &shared.context;
    let mut missing = Vec::new();
    for chunk in ops.chunks(STATUS_MAX) {
        let ask = |context: BranchContext| async move { context.redis.status(chunk).await };
        let reply = present_in(context, ask).await?;
        for (op_id, status) in chunk.iter().zip(reply.ops) {
            match status {
                OpStatus::Pending(ticket) => shared.state().waiters.move_to(*op_id, ticket),
                OpStatus::Decided(ticket, Some(record)) => {
                    tell_outcome(shared, *op_id, ticket, &record).await?;
                }
                OpStatus::Dropped(ticket) => {
                    shared.state().waiters.tell(
                        *op_id,
                        ticket,
                        settled(Verdict::branch_deleted(), reply.done),
                    );
                }
                OpStatus::Decided(_, None) | OpStatus::Unknown => missing.push(*op_id),
            }
        }
    }
    find_or_resubmit(shared, missing).await
}

/// Tells those who wait for an op what Redis says of it. What cannot be read there is looked up in
/// the log; what cannot be read there either is told to them, and holds nobody else up.
pub(in crate::commit) async fn tell_outcome(
    shared: &Shared,
    op_id: OpId,
    ticket: Ticket,
    record: &[u8],
) -> Result<()> {
    let unreadable = match OutcomeRecord::decode(record) {
        Ok(record) => {
            shared.state().waiters.tell(op_id, ticket, record);
            return Ok(());
        }
        Err(error) => error,
    };
    let context = &shared.context;
    let before = ticket.0.saturating_sub(1);
    match find_in_log(&context.lake, context.uid, op_id, before).await {
        Ok(Some((ticket, record))) => {
            shared.state().waiters.tell(op_id, ticket, record);
        }
        Err(error) if error.is_retryable() => return Err(error),
        Ok(None) | Err(_) => shared.state().waiters.give_up(op_id, &unreadable.to_string()),
    }
    Ok(())
}

/// Tells what the log says of `ops`, of which Redis has nothing (any more), and submits again those
/// that it does not have.
async fn find_or_resubmit(shared: &Shared, ops: Vec<OpId>) -> Result<()> {
    let mut missing = Vec::with_capacity(ops.len());
    let mut done_at_accept = u64::MAX;
    {
        let state = shared.state();
        for op_id in ops {
            if let Some(Promised { submission, done, sealed }) = state.waiters.promised(op_id) {
                missing.push((op_id, submission.map(|submission| (submission, sealed))));
                done_at_accept = done_at_accept.min(done);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let context = &shared.context;
    let ids = missing.iter().map(|(op_id, _)| *op_id).collect();
    let mut found = find_all_in_log(&context.lake, context.uid, ids, done_at_accept).await?;
    let mut lost_ops = Vec::new();
    for (op_id, submission) in missing {
        match (found.remove(&op_id), submission) {
            (Some((ticket, record)), _) => {
                shared.state().waiters.tell(op_id, ticket, record);
            }
            // It is new: the log was read from where it was accepted first.
            (None, Some((submission, sealed))) => {
                // What Redis has of its producers may be lost or damaged as well: its turn tells.
                let lost = lost(submission, sealed)?;
                lost_ops.push(Submission { may_repeat: false, producers: Vec::new(), ..lost });
            }
            (None, None) => {
                let cause = "Redis had lost it before it was decided: whoever submitted it can submit it again under the same op id";
                shared.state().waiters.give_up(op_id, cause);
            }
        }
    }
    if !lost_ops.is_empty() {
        context.faults.pass("resubmit").await?;
    }
    for call in in_calls(lost_ops, |each| each) {
        resubmit(shared, &call).await?;
    }
    Ok(())
}

async fn resubmit(shared: &Shared, submissions: &[Submission]) -> Result<()> {
    let context = &shared.context;
    let limits = shared.options.limits;
    let ask =
        |context: BranchContext| async move { context.redis.submit(limits, submissions).await };
    // An incarnation that is nowhere fails the next look.
    let Answer::Given(SubmitReply { view, accepted }) = accepted_in(context, ask).await? else {
        return Ok(());
    };
    tracing::warn!(ops = submissions.len(), "Redis had lost ops: submitted them again");
    add(&context.counters.resubmitted, submissions.len() as u64);
    let done = view.head.done;
    if view.turn_is_mine {
        shared.state().latest = Some(view);
    }
    for (submission, accepted) in submissions.iter().zip(accepted) {
        settle(shared, submission, accepted, done).await?;
    }
    Ok(())
}

async fn settle(
    shared: &Shared,
    submission: &Submission,
    accepted: Accepted,
    done: u64,
) -> Result<()> {
    let op_id = submission.op_id;
    let verdict = match accepted {
        Accepted::Queued(ticket) | Accepted::Pending(ticket) => {
            tracing::debug!(%op_id, %ticket, "submitted again");
            shared.state().waiters.move_to(op_id, ticket);
            return Ok(());
        }
        Accepted::Decided(ticket, Some(record)) => {
            return tell_outcome(shared, op_id, ticket, &record).await;
        }
        Accepted::BranchDeleted => Some(Verdict::branch_deleted()),
        // Full at the moment, or no longer kept: the next look asks again. Nothing staged is no
        // reason, as it is submitted here, and no producer is, as none is named.
        Accepted::Overloaded { .. }
        | Accepted::Late { .. }
        | Accepted::TooManySealed { .. }
        | Accepted::Decided(_, None)
        | Accepted::Forgotten
        | Accepted::NothingStaged => None,
    };
    if let Some(verdict) = verdict {
        shared.state().waiters.tell(op_id, Ticket(done), settled(verdict, done));
    }
    Ok(())
}

/// The outcome of an op that the log will never hold.
fn settled(verdict: Verdict, done: u64) -> OutcomeRecord {
    OutcomeRecord { verdict, commit: None, first: Ticket(done), batch: 0, fingerprint: None }
}
