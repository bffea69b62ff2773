//! Commits: making them and looking at them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Body, Router};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::committed::committed;
use super::named::{branch, reference, repo};
use super::wire::{Commit, CommitCreation};
use crate::auth::{Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, PrintedJson, Query};
use crate::idempotency::{idempotent_op, replayed};
use crate::state::AppState;

/// What a commit's date can be, in seconds since the Unix epoch.
const DATES: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/branches/{branch}/commits", post(commit))
        .route("/repositories/{repo}/commits/{ref}", get(show))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CommitQuery {
    source_metarange: String,
}

/// Commits what is staged on the branch, in its turn. The date a client asks for is the commit's.
async fn commit(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo_name, name)): Path<(String, String)>,
    Query(query): Query<CommitQuery>,
    headers: HeaderMap,
    PrintedJson(wanted, fingerprint): PrintedJson<CommitCreation>,
) -> ApiResult<Response> {
    if !query.source_metarange.is_empty() {
        return Err(ApiError::not_supported(
            "a commit cannot be made of a metarange here: send its changes to /onward/v1",
        ));
    }
    let branch = branch(&app, &repo_name, &name);
    let mut change = branch
        .commit_staged()
        .message(wanted.message)
        .committer(caller.name())
        .allow_empty(wanted.allow_empty);
    for (key, value) in wanted.metadata.unwrap_or_default() {
        change = change.meta(key, value);
    }
    if let Some(date) = wanted.date {
        if !DATES.contains(&date) {
            return Err(ApiError::invalid(format!(
                "{date} is not a date in seconds since 1970 up to the year 9999"
            )));
        }
        change = change.date_ms(date * 1000);
    }
    if let Some(op_id) = idempotent_op(&headers, &caller.key.id, &["commit", &repo_name, &name])? {
        change = change.op_id(op_id).fingerprint(fingerprint);
    }
    let outcome = change.commit().await?;
    let id = committed(&outcome, "commit", &branch)?;
    let info = branch.repository().commit_info(id).await?;
    let answer = (StatusCode::CREATED, Body(Commit::from(info))).into_response();
    Ok(replayed(&outcome, answer))
}

async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((name, of)): Path<(String, String)>,
) -> ApiResult<Body<Commit>> {
    let info = repo(&app, &name).show_commit(&reference(&of)?).await?;
    Ok(Body(info.into()))
}
