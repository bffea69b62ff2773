//! What became of an op, for clients that know commits and errors only.

use http::StatusCode;

use crate::error::{ApiError, ApiResult};
use crate::idempotency::{REPLAYED, is_replayed};
use onward::internals::repo::Branch;
use onward::{CommitId, Error, OpId, Outcome};

/// Where the ticket of an op is.
fn ticket_url(branch: &Branch, op_id: OpId) -> String {
    let (repo, name) = branch.names();
    format!("/onward/v1/repositories/{repo}/branches/{name}/tickets/{op_id}")
}

/// The commit that an op on a branch became, or what the client is told instead.
pub fn committed(outcome: &Outcome, what: &str, on: &Branch) -> ApiResult<CommitId> {
    commit_of(outcome, what, on).map_err(|error| match is_replayed(outcome) {
        true => error.with_header(REPLAYED.0, REPLAYED.1),
        false => error,
    })
}

fn commit_of(outcome: &Outcome, what: &str, on: &Branch) -> ApiResult<CommitId> {
    match outcome {
        Outcome::Committed { commit, .. } => Ok(*commit),
        Outcome::NoChanges { .. } | Outcome::Applied { .. } => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "no_changes", format!("{what}: no changes")))
        }
        Outcome::Conflict { paths, total, .. } => {
            let first = paths.first().map(|conflict| conflict.path.to_string());
            Err(ApiError::conflict(format!(
                "conflict found: the {what} changes {total} path(s) that the branch has changed otherwise, the first is '{}'",
                first.unwrap_or_default()
            )))
        }
        Outcome::Failed { reason, .. } => Err(ApiError::invalid(format!("{what}: {reason}"))),
        Outcome::Fenced { reason, .. } => {
            Err(ApiError::new(StatusCode::CONFLICT, "fenced", format!("{what}: {reason}")))
        }
        Outcome::Behind { reason, .. } => Err(ApiError::conflict(format!("{what}: {reason}"))),
        Outcome::Cancelled { .. } | Outcome::LostRace { .. } => {
            Err(ApiError::conflict(format!("{what}: it was called off")))
        }
        Outcome::StillQueued { ticket, cause, details } => {
            let place = ticket_url(on, details.op_id);
            let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
            let told = format!(
                "{what}: it is accepted as ticket {ticket} and will be decided, but was not within the time that a request may take{cause}; its outcome: {place}"
            );
            Err(ApiError::from(Error::unavailable(told)).of_op(details.op_id, &place))
        }
        other => Err(ApiError::from(Error::internal(format!(
            "{what}: it ended as {}, which is new here",
            other.name()
        )))),
    }
}
