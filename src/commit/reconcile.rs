//! After a doubt: what became of ops that this process has promised to see through.
//!
//! Redis is asked first. An op it does not know was either decided so long ago that its outcome is
//! no longer kept, or lost; the log tells the two apart, and only a lost op is submitted again.

use std::sync::Arc;

use crate::coord::status::{OpStatus, STATUS_MAX, status};
use crate::coord::submit::{Accepted, Seal, Submission, SubmitReply, submit};
use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use super::counters::add;
use super::lake::Lake;
use super::log::LogEntry;
use super::op::QueuedOp;
use super::queue::Shared;
use super::round::BATCH_MAX;
use super::verdict::{OutcomeRecord, ProducerRow, Verdict};

/// Brings every op of `ops` to its outcome or back into the queue.
pub(super) async fn reconcile(shared: &Shared, ops: Vec<OpId>) -> Result<()> {
    let context = &shared.context;
    for chunk in ops.chunks(STATUS_MAX) {
        let Some(reply) = status(&context.lanes, &context.keys, chunk).await? else {
            // The branch is gone from Redis again: the next look restores it.
            return Ok(());
        };
        for (op_id, status) in chunk.iter().zip(reply.ops) {
            match status {
                OpStatus::Pending(ticket) => shared.state().waiters.move_to(*op_id, ticket),
                OpStatus::Decided(ticket, Some(record)) => {
                    let record = OutcomeRecord::decode(&record)?;
                    shared.state().waiters.tell(*op_id, ticket, &record);
                }
                OpStatus::Dropped(ticket) => {
                    shared.state().waiters.tell(*op_id, ticket, &branch_deleted(reply.done));
                }
                OpStatus::Decided(_, None) | OpStatus::Unknown => {
                    find_or_resubmit(shared, *op_id).await?;
                }
            }
        }
    }
    Ok(())
}

async fn find_or_resubmit(shared: &Shared, op_id: OpId) -> Result<()> {
    let Some((submission, done_at_accept)) = shared.state().waiters.submission(op_id) else {
        return Ok(());
    };
    let context = &shared.context;
    if let Some((ticket, record)) =
        find_in_log(&context.lake, context.uid, op_id, done_at_accept).await?
    {
        shared.state().waiters.tell(op_id, ticket, &record);
        return Ok(());
    }
    let Some(submission) = submission else {
        let cause = "Redis had lost the op before it was decided; whoever submitted it can submit it again under the same op id";
        shared.state().waiters.give_up(op_id, cause);
        return Ok(());
    };
    let Some(reply) = resubmit(shared, submission).await? else {
        return Ok(());
    };
    tracing::warn!(%op_id, "Redis had lost an op: submitted it again");
    add(&context.counters.resubmitted, 1);
    let done = reply.view.head.done;
    let mut state = shared.state();
    if reply.view.turn_is_mine {
        state.latest = Some(reply.view);
    }
    let settle = |verdict: Verdict| settled(verdict, done);
    match reply.accepted.into_iter().next() {
        Some(Accepted::Queued(ticket) | Accepted::Pending(ticket)) => {
            state.waiters.move_to(op_id, ticket);
        }
        Some(Accepted::Decided(ticket, Some(record))) => {
            state.waiters.tell(op_id, ticket, &OutcomeRecord::decode(&record)?);
        }
        Some(Accepted::Fenced(row) | Accepted::Duplicate(row)) => {
            let row = ProducerRow::decode(&row)?;
            let reason =
                format!("its producer has come to epoch {}, sequence {}", row.epoch, row.sequence);
            let verdict = Verdict::Fenced { reason, earlier: row.commit };
            state.waiters.tell(op_id, Ticket(done), &settle(verdict));
        }
        Some(Accepted::BranchDeleted) => {
            state.waiters.tell(op_id, Ticket(done), &branch_deleted(done));
        }
        // Full at the moment, or no longer kept: the next look asks again.
        Some(
            Accepted::Overloaded { .. } | Accepted::NothingStaged | Accepted::Decided(_, None),
        )
        | None => {}
    }
    Ok(())
}

/// Submits an op once more. One that had taken the staging area, which Redis has lost, is queued to
/// fail: a round that was under way may have read the area and decide the op yet, and only the log
/// can say which comes first.
async fn resubmit(shared: &Shared, submission: Submission) -> Result<Option<SubmitReply>> {
    let context = &shared.context;
    let (lanes, keys, limits) = (&context.lanes, &context.keys, shared.options.limits);
    let one = [submission];
    let reply = submit(lanes, keys, &context.turn, limits, &one).await?;
    let nothing_staged = reply
        .as_ref()
        .is_some_and(|reply| reply.accepted.first() == Some(&Accepted::NothingStaged));
    if !nothing_staged {
        return Ok(reply);
    }
    let [submission] = one;
    let reason = "Redis lost what was staged before it could be committed";
    let element = QueuedOp::failing(submission.op_id, reason)?;
    let failing = [Submission { element, seal: Seal::No, ..submission }];
    submit(lanes, keys, &context.turn, limits, &failing).await
}

/// The outcome of an op that the log will never hold.
fn settled(verdict: Verdict, done: u64) -> OutcomeRecord {
    OutcomeRecord { verdict, commit: None, first: Ticket(done), batch: 0 }
}

/// The outcome of an op behind the end of its branch.
fn branch_deleted(done: u64) -> OutcomeRecord {
    settled(Verdict::Failed { reason: "branch deleted".into() }, done)
}

/// Looks for an op in the log behind ticket `after`: exact, and as long as the log is behind it.
pub async fn find_in_log(
    lake: &Lake,
    uid: crate::model::ids::BranchUid,
    op_id: OpId,
    after: u64,
) -> Result<Option<(Ticket, OutcomeRecord)>> {
    // The entry that holds ticket `after + 1` may begin up to a batch before it.
    let from = Ticket(after.saturating_sub(BATCH_MAX as u64));
    let listed = lake.log_tickets(uid, from).await?;
    let Some(first) = listed.first().copied() else {
        return Ok(None);
    };
    let mut log = lake.log_from(uid, first).await?;
    while let Some(entry) = log.next().await? {
        if let Some(found) = find_in_entry(&entry, op_id)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn find_in_entry(entry: &Arc<LogEntry>, op_id: OpId) -> Result<Option<(Ticket, OutcomeRecord)>> {
    match entry.ops.iter().enumerate().find(|(_, op)| op.op_id == op_id) {
        Some((index, op)) => Ok(Some((entry.first.plus(index as u64), entry.outcome(index, op)?))),
        None => Ok(None),
    }
}
