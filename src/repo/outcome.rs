//! What an outcome says beyond its record: read where it is told to a caller.
//!
//! A record in Redis is short: conflicting paths and what a merge had worked out stay in the log,
//! and whether a late sequence of a producer repeats an earlier op takes a look at that op.

use crate::commit::context::BranchContext;
use crate::commit::log::entry::DecidedOp;
use crate::commit::op::verdict::{OutcomeRecord, Verdict};
use crate::coord::status::OpStatus;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, OpId, Ticket};
use crate::model::outcome::{Details, Outcome};
use crate::model::producer::Standing;

use super::hint;

/// The whole of an outcome.
pub(super) async fn complete(context: &BranchContext, outcome: Outcome) -> Result<Outcome> {
    Ok(match outcome {
        Outcome::Conflict { ticket: Some(ticket), details, .. } => {
            let verdict = in_log(context, &details, ticket).await?.verdict;
            let Verdict::Conflict { paths, total } = verdict else {
                return Err(not_in_log(context, ticket));
            };
            Outcome::Conflict { ticket: Some(ticket), paths, total, details }
        }
        Outcome::LostRace { ticket, details, .. } => {
            let Verdict::LostRace(Some(merge)) = in_log(context, &details, ticket).await?.verdict
            else {
                return Err(not_in_log(context, ticket));
            };
            let hint = hint::issue(context, *merge).await?;
            Outcome::LostRace { ticket, hint, details }
        }
        Outcome::Behind { reason, standing, earlier, details, .. } => {
            behind(context, reason, standing, earlier, details).await?
        }
        other => other,
    })
}

/// An op as the log keeps it.
async fn in_log(context: &BranchContext, details: &Details, ticket: Ticket) -> Result<DecidedOp> {
    let first = details.first.unwrap_or(ticket);
    let entry = context.lake.known_entry(context.uid, first).await?;
    let op = entry.ops.get(ticket.0.saturating_sub(first.0) as usize);
    op.cloned().ok_or_else(|| not_in_log(context, ticket))
}

fn not_in_log(context: &BranchContext, ticket: Ticket) -> Error {
    Error::corrupt(format!(
        "the log of branch '{}' does not say what became of ticket {ticket}",
        context.name
    ))
}

/// An op whose sequence is not above the last one of its producer: the same op once more, which is
/// told its outcome, or another one.
async fn behind(
    context: &BranchContext,
    reason: String,
    standing: Option<Standing>,
    earlier: Option<CommitId>,
    mut details: Details,
) -> Result<Outcome> {
    let had_it = match earlier {
        Some(commit) => {
            let entry = context.lake.entry_of(&commit).await?;
            let op_id = entry.commit(&commit)?.op_id;
            if op_id == details.op_id {
                let op = entry.ops.get(usize::from(commit.index()));
                details.fingerprint = op.and_then(|op| op.fingerprint);
            }
            Some((op_id, earlier))
        }
        None => match &standing {
            Some(standing) => by_name(context, standing, details.op_id).await?,
            None => None,
        },
    };
    let (earlier_op, earlier) = had_it.unzip();
    if let (Some(op_id), Some(Some(commit))) = (earlier_op, earlier)
        && op_id == details.op_id
    {
        let ticket = commit.first_ticket().plus(commit.index().into());
        let first = Some(commit.first_ticket());
        let details = Details { first, repeated: true, ..details };
        return Ok(Outcome::Committed { commit, ticket, details });
    }
    let reason = standing.as_ref().map_or(reason, |standing| standing.reason(earlier_op));
    Ok(Outcome::Behind { reason, standing, earlier_op, earlier: earlier.flatten(), details })
}

/// The op that had a sequence under the id that follows from it, as far as Redis knows it still, and
/// its commit.
async fn by_name(
    context: &BranchContext,
    standing: &Standing,
    asking: OpId,
) -> Result<Option<(OpId, Option<CommitId>)>> {
    let op_id = standing.asked.op_id();
    if op_id == asking {
        return Ok(None);
    }
    let Some(reply) = context.redis.status(&[op_id]).await?.given() else { return Ok(None) };
    let Some(OpStatus::Decided(_, Some(record))) = reply.ops.into_iter().next() else {
        return Ok(None);
    };
    let OutcomeRecord { verdict, commit, .. } = OutcomeRecord::decode(&record)?;
    // One that came too late itself had nothing.
    Ok((!matches!(verdict, Verdict::Fenced { .. })).then_some((op_id, commit)))
}
