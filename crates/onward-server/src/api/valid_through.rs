//! Up to which time a branch has everything, for jobs that wait for their input.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::tickets::WAIT_MAX;
use crate::auth::Reader;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Query};
use crate::state::AppState;
use onward::history::ValidThrough;
use onward::internals::clock::{ms_of_rfc3339, rfc3339};

/// What is waited for, and how long.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct ValidThroughQuery {
    /// The time, in RFC 3339, up to which everything is to be there. Without it the answer only tells.
    at: Option<String>,
    /// Only what commits of this consumer group say.
    group: Option<String>,
    /// How long to wait for it, in milliseconds, at most five minutes; by default not at all.
    #[serde(alias = "wait_ms")]
    timeout_ms: u64,
}

/// Up to which time a branch has everything.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct ValidThroughShape {
    /// The time, in RFC 3339; null where none of the newest 1,000 commits says so.
    valid_through: Option<String>,
    /// The commit that says so.
    commit: Option<String>,
}

/// Up to which time a branch has everything
///
/// What the newest commit says that says so, of the newest 1,000 that lead to the head: the Kafka sink
/// does, by `onward.kafka.valid-through` in the metadata. With `at` and `timeout_ms` a long poll: 200 when
/// everything up to that time is there, 202 when the time to wait was over. Asking once more goes on waiting.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/branches/{branch}/valid_through",
        tag = "commits",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            ValidThroughQuery,
        ),
        responses(
            (status = 200, description = "It is there, or was not waited for", body = ValidThroughShape),
            (status = 202, description = "It is not there yet", body = ValidThroughShape),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<ValidThroughQuery>,
) -> ApiResult<Response> {
    let branch = app.onward.repo(repo).branch(name);
    let group = query.group.as_deref();
    let Some(at) = &query.at else {
        return Ok(told(StatusCode::OK, branch.valid_through(group).await?));
    };
    let at = ms_of_rfc3339(at)
        .ok_or_else(|| ApiError::invalid("'at' is a time in RFC 3339, as 2026-11-28T09:30:00Z"))?;
    let wait = Duration::from_millis(query.timeout_ms).min(WAIT_MAX);
    // A sidecar that stops does not hold who waits: he asks again elsewhere.
    let said = tokio::select! {
        said = branch.valid_through_wait(at, group, wait) => said?,
        () = app.stopping.cancelled() => branch.valid_through(group).await?,
    };
    let is_there = said.is_some_and(|said| said.time_ms >= at);
    Ok(told(if is_there { StatusCode::OK } else { StatusCode::ACCEPTED }, said))
}

fn told(status: StatusCode, said: Option<ValidThrough>) -> Response {
    let shape = ValidThroughShape {
        valid_through: said.map(|said| rfc3339(said.time_ms)),
        commit: said.map(|said| said.commit.to_string()),
    };
    (status, Json(shape)).into_response()
}
