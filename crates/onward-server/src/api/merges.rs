//! `POST …/merge`: a merge with everything that Onward's merges have, hints above all.

use axum::Json as Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use super::head::one_name;
use super::shapes::{MergeShape, PreviewShape};
use super::waiting::{WaitQuery, accepted, answer_of_merge};
use crate::auth::Writer;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, PrintedJson, Query};
use crate::idempotency::idempotent_op;
use crate::state::AppState;
use onward::OpId;

/// Merges a ref into the branch
///
/// With `"retry": "client"` a merge whose paths were changed by others while it waited ends as
/// `lost_race` with a hint; the next try sends it back and decides only what has crossed since.
///
/// Iceberg tables that both sides have only appended to, and that say that appends commute, are put together, unless a
/// `strategy` decides. It happens before the merge is queued: without `wait` it is a conflict if others change the
/// table until its turn, else it is put together again.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        post,
        path = "/repositories/{repo}/branches/{branch}/merge",
        tag = "commits",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch that is merged into"),
            WaitQuery,
            ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key, the request is the same op, and its answer has the header Idempotency-Replayed; another request under the same key is refused with 422"),
        ),
        request_body = crate::api::shapes::MergeShape,
        responses(
            (status = 201, description = "Committed", body = crate::api::outcome::OutcomeShape),
            (status = 200, description = "There was nothing to bring; or what a dry run found", body = crate::api::shapes::NothingMergedShape),
            (status = 202, description = "Accepted, not decided yet: its ticket tells", body = crate::api::shapes::UndecidedShape, headers(("Location" = String, description = "Where the op's ticket is, beside what was asked for: `tickets/{op_id}`"))),
            (status = 409, description = "Conflicts, or a lost race that the client wanted to hear of: nothing was changed", body = crate::api::outcome::MergeConflictShape),
            (status = 422, description = "It cannot be carried out: nothing was changed", body = crate::api::outcome::OutcomeShape),
            (status = "4XX", description = "Refused: nothing was accepted", body = crate::error::Problem),
            (status = 429, description = "The queue is full: nothing was accepted, come back after Retry-After", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn merge(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(wait): Query<WaitQuery>,
    headers: HeaderMap,
    PrintedJson(wanted, fingerprint): PrintedJson<MergeShape>,
) -> ApiResult<Response> {
    if wanted.source.is_empty() {
        return Err(ApiError::invalid("a merge names its source: {\"source\": \"BRANCH\"}"));
    }
    let source = wanted.source;
    let own = wanted.op_id.map(|op_id| op_id.parse::<OpId>()).transpose()?;
    let idempotent = idempotent_op(&headers, &caller.key.id, &["merge", &repo, &name])?;
    let mut merge = app
        .onward
        .repo(&repo)
        .branch(&name)
        .merge(source.parse()?)
        .committer(caller.name())
        .strategy(wanted.strategy.into())
        .squash(wanted.squash)
        .allow_empty(wanted.allow_empty)
        .retry(wanted.retry.into());
    merge = app.tables.merging(merge, &repo, &name);
    for (key, value) in wanted.metadata {
        merge = merge.meta(key, value);
    }
    if let Some(message) = wanted.message {
        merge = merge.message(message);
    }
    if let Some(hint) = wanted.hint {
        merge = merge.hint(hint);
    }
    if idempotent.is_some() {
        merge = merge.fingerprint(fingerprint);
    }
    if let Some(op_id) = one_name(own, idempotent)? {
        merge = merge.op_id(op_id);
    }
    if wanted.dry_run {
        return Ok(Body(PreviewShape::from(merge.preview().await?)).into_response());
    }
    match wait.timeout() {
        None => accepted(merge.submit().await?).await,
        Some(timeout) => {
            let outcome = merge.timeout(timeout).commit().await?;
            let tables = app.tables.conflicts(&repo, &outcome).await;
            Ok(answer_of_merge(outcome, tables.into_iter().map(|table| table.json).collect()))
        }
    }
}
