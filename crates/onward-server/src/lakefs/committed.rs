//! What became of an op, for clients that know commits and errors only.

use http::StatusCode;

use crate::error::{ApiError, ApiResult};
use crate::idempotency::{REPLAYED, is_replayed};
use onward::{CommitId, Outcome};

/// The commit that an op became, or what the client is told instead.
pub fn committed(outcome: &Outcome, what: &str) -> ApiResult<CommitId> {
    commit_of(outcome, what).map_err(|error| match is_replayed(outcome) {
        true => error.with_header(REPLAYED.0, REPLAYED.1),
        false => error,
    })
}

fn commit_of(outcome: &Outcome, what: &str) -> ApiResult<CommitId> {
    match outcome {
        Outcome::Committed { commit, .. } => Ok(*commit),
        Outcome::NoChanges { .. } | Outcome::Applied { .. } => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "no_changes", format!("{what}: no changes")))
        }
        Outcome::Conflict { paths, total, .. } => {
            let first = paths.first().map(|conflict| conflict.path.to_string());
            Err(ApiError::conflict(format!(
                "{what}: conflict in {total} path(s), the first is '{}'",
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
            Err(ApiError::from(onward::Error::unavailable(format!(
                "{what}: it is accepted as ticket {ticket} and will be decided, but was not within the time that a request may take{}; its outcome: /onward/v1/repositories/REPO/branches/BRANCH/tickets/{}",
                cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default(),
                details.op_id
            ))))
        }
        other => Err(ApiError::from(onward::Error::internal(format!(
            "{what}: it ended as {}, which is new here",
            other.name()
        )))),
    }
}
