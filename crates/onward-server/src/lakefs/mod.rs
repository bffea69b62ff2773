//! The lakeFS API, so that lakeFS's own clients work by another endpoint.
//!
//! One file for each group of operations. Status codes and shapes are those that clients expect;
//! what differs from lakeFS, and why, is in `docs/lakefs-compatibility.md`. Contention is waited out
//! in the queue: it is never a 409, 423, 429 or 500.

mod branches;
mod commits;
mod config;
mod dumps;
mod imports;
mod merges;
mod objects;
mod refs;
mod repositories;
mod staging;
mod tags;
mod upload;
mod wire;

use axum::Router;
use http::{HeaderMap, HeaderName, StatusCode};

use super::error::{ApiError, ApiResult};
use super::extract::header_text;
use super::state::{App, AppState};
use onward::internals::repo::{Branch, Repository};
use onward::{ObjectPath, OpId, Outcome, RefExpr};

pub use config::open_routes;

/// The header by which a client makes a request once, however often it sends it.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;

/// Routes for those who are known.
pub fn routes() -> Router<AppState> {
    Router::new()
        .merge(config::routes())
        .merge(repositories::routes())
        .merge(branches::routes())
        .merge(objects::routes())
        .merge(staging::routes())
        .merge(commits::routes())
        .merge(merges::routes())
        .merge(refs::routes())
        .merge(tags::routes())
        .merge(imports::routes())
        .merge(dumps::routes())
}

fn repo(app: &App, name: &str) -> Repository {
    app.onward.repo(name)
}

fn branch(app: &App, repo: &str, name: &str) -> Branch {
    app.onward.repo(repo).branch(name)
}

fn reference(text: &str) -> ApiResult<RefExpr> {
    Ok(text.parse()?)
}

fn path(text: &str) -> ApiResult<ObjectPath> {
    Ok(ObjectPath::new(text)?)
}

/// The op that a request with an idempotency key stands for: the same whenever the same access key
/// sends it for the same thing, `what`. The rest of the request is not compared.
pub(super) fn idempotent_op(
    headers: &HeaderMap,
    access_key: &str,
    what: &[&str],
) -> ApiResult<Option<OpId>> {
    if !headers.contains_key(&IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let key = header_text(headers, &IDEMPOTENCY_KEY).unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LEN_MAX {
        return Err(ApiError::invalid(format!(
            "the header Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LEN_MAX} visible characters"
        )));
    }
    let parts = what.iter().copied().chain([access_key, key]);
    let parts: String = parts.map(|part| format!("{}:{part}", part.len())).collect();
    Ok(Some(OpId::of_bytes(parts.as_bytes())))
}

/// The commit that an op became, or what the client is told instead.
fn committed(outcome: Outcome, what: &str) -> ApiResult<onward::CommitId> {
    match outcome {
        Outcome::Committed { commit, .. } => Ok(commit),
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
                cause.map(|cause| format!(" ({cause})")).unwrap_or_default(),
                details.op_id
            ))))
        }
        other => Err(ApiError::from(onward::Error::internal(format!(
            "{what}: it ended as {}, which is new here",
            other.name()
        )))),
    }
}
