//! A Redis and a log of different histories: the storage was put back from a copy, or two wrote what
//! only one may. The log is the truth. Redis is rebuilt from it, and what only Redis had is named.

use crate::commit::context::BranchContext;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::commit::mend::restore::{read_back, remember};
use crate::commit::op::queued::QueuedOp;
use crate::commit::op::verdict::OutcomeRecord;
use crate::coord::Answer;
use crate::coord::outcomes::StreamRecord;
use crate::coord::submit::{Accepted, Seal, Submission, SubmitLimits, in_calls};
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, CommitId, OpId, Ticket};

/// Ops that are named, at most: as many as Redis keeps outcomes of. More may have been given up.
pub const GIVEN_UP_MAX: usize = 65_536;

/// An op whose outcome was told, and that the log does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUp {
    /// Id of the op, under which it can be submitted again.
    pub op_id: OpId,
    /// The ticket that Redis had it under; `None` for one that was still queued and is refused now.
    pub ticket: Option<Ticket>,
    /// The commit that was acknowledged, where it was one.
    pub commit: Option<CommitId>,
}

/// Whether Redis has the branch, by a head that the log does not lead to.
///
/// Redis is asked first: the log is ahead of it at every moment, so what Redis shows must be in it.
pub(super) async fn has_parted(context: &BranchContext, lake: &Lake) -> Result<bool> {
    let Answer::Given(view) = context.look(0).await? else { return Ok(false) };
    if view.head.position == 0 {
        return Ok(false);
    }
    Ok(match lake.entry(context.uid, Ticket(view.head.position)).await? {
        None => true,
        Some(entry) => !Head::after(&entry)?.is_shown_by(&view.head),
    })
}

/// Rebuilds what Redis has of the branch from the log, which is read to its end before anything is
/// touched. What is staged stays; what is queued is queued again. One that was broken off is gone on
/// with by the next: see [`requeue`]. Returns what is given up.
pub(super) async fn rebuild(
    context: &BranchContext,
    lake: &Lake,
    record: &BranchRecord,
    limits: SubmitLimits,
) -> Result<Vec<GivenUp>> {
    let image = read_back(lake, record).await?.image();
    let mut given_up = given_up(context, lake).await?;
    let redis = &context.redis;
    redis.put_queue_aside().await?;
    redis.forget_decided().await?;
    redis.restore(&image).await?;
    requeue(context, limits, &mut given_up).await?;
    Ok(given_up)
}

/// The ops that Redis has as decided and the log has not, newest last. Both histories begin alike, so
/// the first that the log has as well, from the newest back, ends it.
async fn given_up(context: &BranchContext, lake: &Lake) -> Result<Vec<GivenUp>> {
    let mut found = Vec::new();
    let mut before = None;
    'pages: loop {
        let page = context.redis.outcomes_before(before).await?;
        let Some(oldest) = page.last() else { break };
        before = Some(oldest.ticket);
        for outcome in page {
            if is_in_log(lake, context.uid, &outcome).await? || found.len() == GIVEN_UP_MAX {
                break 'pages;
            }
            let commit = OutcomeRecord::decode(&outcome.record).ok().and_then(|told| told.commit);
            found.push(GivenUp { op_id: outcome.op_id, ticket: Some(outcome.ticket), commit });
        }
    }
    found.reverse();
    Ok(found)
}

/// Whether the log has an op where Redis has it.
async fn is_in_log(lake: &Lake, uid: BranchUid, outcome: &StreamRecord) -> Result<bool> {
    // One that this program cannot read tells no place: an older one does.
    let Ok(told) = OutcomeRecord::decode(&outcome.record) else { return Ok(false) };
    let Some(entry) = lake.entry(uid, told.first).await? else { return Ok(false) };
    let index = outcome.ticket.0.saturating_sub(entry.first.0);
    let Ok(index) = usize::try_from(index) else { return Ok(false) };
    let is_same = entry.ops.get(index).is_some_and(|op| op.op_id == outcome.op_id);
    let is_its = |commit| entry.commit_id(index).ok().flatten() == Some(commit);
    Ok(is_same && told.commit.is_none_or(is_its))
}

/// Submits what was put aside, in its order, under the same op ids. What an op has sealed is still
/// its own, so it takes nothing more.
pub(super) async fn requeue(
    context: &BranchContext,
    limits: SubmitLimits,
    given_up: &mut Vec<GivenUp>,
) -> Result<()> {
    loop {
        let page = context.redis.put_aside().await?;
        if page.is_empty() {
            return Ok(());
        }
        // Where they were put aside long ago, Redis may have forgotten what was decided since.
        remember(context).await?;
        let mut submissions = Vec::with_capacity(page.len());
        for element in page {
            let queued = QueuedOp::decode(&element)?;
            let (op_id, producers) = (queued.id, queued.producers().to_vec());
            let (seal, may_repeat) = (Seal::No, true);
            submissions.push(Submission { op_id, element, producers, seal, may_repeat });
        }
        for call in in_calls(submissions, |each| each) {
            requeue_call(context, limits, &call, given_up).await?;
            context.redis.took_back(call.len()).await?;
        }
    }
}

async fn requeue_call(
    context: &BranchContext,
    limits: SubmitLimits,
    submissions: &[Submission],
    given_up: &mut Vec<GivenUp>,
) -> Result<()> {
    let reply = match context.redis.submit(limits, submissions).await? {
        Answer::Given(reply) => reply,
        Answer::Absent | Answer::Ended => {
            return Err(Error::unavailable(
                "Redis lost the branch while it was rebuilt: recover it again",
            ));
        }
    };
    for (submission, accepted) in submissions.iter().zip(reply.accepted) {
        match accepted {
            Accepted::Queued(_) | Accepted::Pending(_) | Accepted::Decided(..) => {}
            Accepted::Overloaded { .. } | Accepted::Forgotten => {
                return Err(Error::unavailable(
                    "what was put aside cannot go back into the queue yet, which is full or was lost meanwhile: recover the branch again",
                ));
            }
            _ => given_up.push(GivenUp { op_id: submission.op_id, ticket: None, commit: None }),
        }
    }
    Ok(())
}
