//! Tickets: what became of an op that was accepted, by whomever; and the queue they stand in.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::shapes::{CancelShape, QueueShape};
use super::waiting::status;
use crate::auth::{Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{NoParameters, Path, Query};
use crate::state::AppState;
use onward::internals::repo::ticket::TicketStatus;
use onward::{Cancelled, OpId, Outcome};

/// How long one request waits, at most: what is in between likes requests to end.
pub const WAIT_MAX: Duration = Duration::from_secs(300);

/// Ops of a queue shown unless the client says, and at most.
const SHOWN: usize = 100;

/// How long to wait.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct TicketQuery {
    /// How long to wait for the outcome, in milliseconds, at most five minutes; by default not at
    /// all. Whoever waits helps.
    #[serde(alias = "wait_ms")]
    timeout_ms: u64,
}

/// What is known of an op
///
/// With `timeout_ms` a long poll: answers when the op is decided, or after that time with where it
/// stands. Asking once more goes on waiting.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/branches/{branch}/tickets/{op_id}",
        tag = "tickets",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            ("op_id" = String, Path, description = "The op's id"),
            TicketQuery,
        ),
        responses(
            (status = 200, description = "It is decided", body = crate::api::shapes::TicketShape),
            (status = 202, description = "It is in the queue", body = crate::api::shapes::TicketShape),
            (status = 404, description = "No such op is known on this branch", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
        )
    )
)]
pub async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name, op_id)): Path<(String, String, String)>,
    Query(query): Query<TicketQuery>,
) -> ApiResult<Response> {
    let (branch, op_id) = (app.onward.repo(repo).branch(name), op_id.parse::<OpId>()?);
    let wait = Duration::from_millis(query.timeout_ms).min(WAIT_MAX);
    if !wait.is_zero() {
        // A sidecar that stops does not hold who waits: he asks again elsewhere.
        let outcome = tokio::select! {
            outcome = branch.ticket_wait(op_id, wait) => Some(outcome?),
            () = app.stopping.cancelled() => None,
        };
        if let Some(outcome) = outcome.filter(|told| !matches!(told, Outcome::StillQueued { .. })) {
            return Ok(status(TicketStatus::Decided(Box::new(outcome)).into()));
        }
    }
    Ok(status(branch.ticket_status(op_id).await?.into()))
}

/// Calls an op off
///
/// Its outcome tells whether that was in time: a helper may be deciding it at this moment.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        delete,
        path = "/repositories/{repo}/branches/{branch}/tickets/{op_id}",
        tag = "tickets",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            ("op_id" = String, Path, description = "The op's id"),
        ),
        responses(
            (status = 200, description = "It was asked for in time, or decided before", body = crate::api::shapes::CancelShape),
            (status = 404, description = "No such op is known on this branch", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
        )
    )
)]
pub async fn cancel(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name, op_id)): Path<(String, String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<Body<CancelShape>> {
    let op_id = op_id.parse::<OpId>()?;
    match app.onward.repo(repo).branch(name).ticket_cancel(op_id).await? {
        Cancelled::Marked(_) => Ok(Body(CancelShape { state: "cancelling" })),
        Cancelled::Decided(_) => Ok(Body(CancelShape { state: "decided" })),
        _ => Err(ApiError::from(onward::Error::not_found(format!("op {op_id} is not known here")))),
    }
}

/// How much of a queue is shown.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct QueueQuery {
    /// The most ops to show; by default, and at most, 100.
    limit: Option<usize>,
}

/// What waits on a branch
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/branches/{branch}/queue",
        tag = "tickets",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            QueueQuery,
        ),
        responses(
            (status = 200, description = "The queue", body = crate::api::shapes::QueueShape),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
        )
    )
)]
pub async fn queue(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<QueueQuery>,
) -> ApiResult<Body<QueueShape>> {
    let limit = query.limit.unwrap_or(SHOWN).min(SHOWN);
    let view = app.onward.repo(&repo).branch(&name).queue(limit).await?;
    Ok(Body(QueueShape::new(format!("{repo}/{name}"), &view)))
}
