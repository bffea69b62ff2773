//! Merges, and what is worked out like one: reverts and cherry-picks.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Body, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::committed::committed;
use super::named::{branch, reference, repo};
use super::wire::{CherryPickCreation, Commit, Merge, RevertCreation};
use crate::auth::{Caller, Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, PrintedJson};
use crate::idempotency::{idempotent_op, replayed};
use crate::state::AppState;
use onward::internals::model::error::quoted;
use onward::internals::model::ids::Fingerprint;
use onward::internals::repo::{MergeBuilder, Repository};
use onward::{OpId, RefExpr, Strategy};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/refs/{source}/merge/{dest}", get(merge_base).post(merge))
        .route("/repositories/{repo}/branches/{branch}/revert", post(revert))
        .route("/repositories/{repo}/branches/{branch}/cherry-pick", post(cherry_pick))
}

/// The base of a merge. Source and destination are what they are called, unlike in lakeFS, which
/// swaps them.
async fn merge_base(
    _: Reader,
    State(app): State<AppState>,
    Path((name, source, dest)): Path<(String, String, String)>,
) -> ApiResult<Body<Value>> {
    let repo = repo(&app, &name);
    let (source, dest) = (reference(&source)?, reference(&dest)?);
    let base = repo.merge_base(&dest, &source).await?.ok_or_else(|| {
        ApiError::invalid(format!("'{source}' and '{dest}' have no commit in common"))
    })?;
    Ok(Body(json!({
        "source_commit_id": repo.require_commit(&source).await?.to_string(),
        "destination_commit_id": repo.require_commit(&dest).await?.to_string(),
        "base_commit_id": base.to_string(),
    })))
}

async fn merge(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo_name, source, dest)): Path<(String, String, String)>,
    headers: HeaderMap,
    PrintedJson(wanted, fingerprint): PrintedJson<Merge>,
) -> ApiResult<Response> {
    let strategy = match wanted.strategy.as_deref() {
        None | Some("") => Strategy::Fail,
        Some("source-wins") => Strategy::SourceWins,
        Some("dest-wins") => Strategy::DestWins,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "'{}' is not a merge strategy: there are source-wins and dest-wins, and none to fail on conflicts",
                quoted(other)
            )));
        }
    };
    let into = branch(&app, &repo_name, &dest);
    let merge = into
        .merge(reference(&source)?)
        .strategy(strategy)
        .squash(wanted.squash_merge)
        .allow_empty(wanted.allow_empty || wanted.force);
    let merge = app.tables.merging(merge, &repo_name, &dest);
    let merge = worded(merge, &caller, wanted.message, wanted.metadata);
    let what = ["merge", &repo_name, &dest, &source];
    let merge = once(merge, idempotent_op(&headers, &caller.key.id, &what)?, fingerprint);
    let outcome = merge.commit().await?;
    let commit = match committed(&outcome, "merge", &into) {
        Ok(commit) => commit,
        Err(error) => {
            let tables = app.tables.conflicts(&repo_name, &outcome).await;
            let words = tables.iter().flat_map(|table| &table.lines);
            return Err(words.fold(error, |error, words| error.and(words)));
        }
    };
    let answer = Body(json!({"reference": commit.to_string()})).into_response();
    Ok(replayed(&outcome, answer))
}

async fn revert(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    headers: HeaderMap,
    PrintedJson(wanted, fingerprint): PrintedJson<RevertCreation>,
) -> ApiResult<Response> {
    let op_id = idempotent_op(&headers, &caller.key.id, &["revert", &repo, &name])?;
    let branch = branch(&app, &repo, &name);
    let (reference, parent) = (reference(&wanted.reference)?, parent(wanted.parent_number)?);
    if parent.is_none() {
        not_a_merge(branch.repository(), &reference).await?;
    }
    let revert = branch.revert(reference, parent).allow_empty(wanted.allow_empty);
    let overrides = wanted.commit_overrides.unwrap_or_default();
    let revert = worded(revert, &caller, overrides.message, overrides.metadata);
    let outcome = once(revert, op_id, fingerprint).commit().await?;
    committed(&outcome, "revert", &branch)?;
    Ok(replayed(&outcome, StatusCode::NO_CONTENT.into_response()))
}

/// Refuses a merge whose parent is not named as lakeFS does: as a conflict.
async fn not_a_merge(repo: &Repository, reference: &RefExpr) -> ApiResult<()> {
    let id = repo.require_commit(reference).await?;
    match repo.commit(&id).await?.parents.len() {
        0 | 1 => Ok(()),
        parents => Err(ApiError::conflict(format!(
            "commit '{reference}' is a merge: say with parent_number which of its {parents} parents to go back to; 1 is the branch it was merged into"
        ))
        .known_as("must specify 1-based parent number for reverting merge commit")),
    }
}

async fn cherry_pick(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    headers: HeaderMap,
    PrintedJson(wanted, fingerprint): PrintedJson<CherryPickCreation>,
) -> ApiResult<Response> {
    let op_id = idempotent_op(&headers, &caller.key.id, &["cherry-pick", &repo, &name])?;
    let branch = branch(&app, &repo, &name);
    let parent = parent(wanted.parent_number.unwrap_or_default())?;
    let pick = branch.cherry_pick(reference(&wanted.reference)?, parent);
    let overrides = wanted.commit_overrides.unwrap_or_default();
    let pick = worded(pick, &caller, overrides.message, overrides.metadata);
    let outcome = once(pick, op_id, fingerprint).commit().await?;
    let id = committed(&outcome, "cherry-pick", &branch)?;
    let info = branch.repository().commit_info(id).await?;
    let answer = (StatusCode::CREATED, Body(Commit::from(info))).into_response();
    Ok(replayed(&outcome, answer))
}

/// Made once, where the request has a key.
fn once(merge: MergeBuilder, op_id: Option<OpId>, fingerprint: Fingerprint) -> MergeBuilder {
    match op_id {
        Some(op_id) => merge.op_id(op_id).fingerprint(fingerprint),
        None => merge,
    }
}

/// The parent that is meant; 0 is none in particular.
fn parent(number: i64) -> ApiResult<Option<u32>> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(ApiError::invalid(format!("there is no parent number {number}"))),
    }
}

/// With the caller's name, and the words he wants instead of the usual ones.
fn worded(
    merge: MergeBuilder,
    caller: &Caller,
    message: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
) -> MergeBuilder {
    let merge = merge.committer(caller.name());
    let merge = match message.filter(|message| !message.is_empty()) {
        Some(message) => merge.message(message),
        None => merge,
    };
    metadata
        .unwrap_or_default()
        .into_iter()
        .fold(merge, |merge, (key, value)| merge.meta(key, value))
}
