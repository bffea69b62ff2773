//! Imports: objects that lie elsewhere become part of a branch in one commit, as a task.

use std::path::Path as FilePath;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json as Body, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::committed::committed;
use super::named::branch;
use super::wire::{Commit, ImportCreation, ImportType};
use crate::auth::{Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Json, Path, Query};
use crate::state::AppState;
use crate::tasks::CalledOff;
use onward::internals::clock;
use onward::internals::objects::url_of;
use onward::internals::repo::Branch;
use onward::internals::repo::import::{ImportPart, ImportRequest};
use onward::{Error, Outcome, Result};

/// Locations of one import, at most.
const LOCATIONS_MAX: usize = 1000;

/// The key of a repository's metadata that tells when something was imported last, in seconds since the Unix
/// epoch, as lakeFS writes it.
const LAST_IMPORT_KEY: &str = ".lakefs.last.import.timestamp";

pub fn routes() -> Router<AppState> {
    Router::new().route(
        "/repositories/{repo}/branches/{branch}/import",
        post(begin).get(status).delete(cancel),
    )
}

async fn begin(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Json(wanted): Json<ImportCreation>,
) -> ApiResult<Response> {
    if wanted.paths.is_empty() || wanted.paths.len() > LOCATIONS_MAX {
        return Err(ApiError::invalid(format!(
            "an import names 1 to {LOCATIONS_MAX} locations, not {}",
            wanted.paths.len()
        )));
    }
    let mut parts = Vec::with_capacity(wanted.paths.len());
    for location in wanted.paths {
        let url = without_local(location.path);
        parts.push(match location.kind {
            ImportType::CommonPrefix => {
                app.sources.check_folder(&url)?;
                ImportPart::Folder { url, prefix: location.destination }
            }
            ImportType::Object => {
                app.sources.check_object(&url)?;
                ImportPart::Object { url, path: location.destination }
            }
        });
    }
    let branch = branch(&app, &repo, &name);
    branch.show().await?;
    let request = ImportRequest {
        parts,
        message: Some(wanted.commit.message).filter(|message| !message.is_empty()),
        metadata: wanted.commit.metadata.unwrap_or_default(),
        committer: Some(caller.name()),
        mirror: true,
        ..ImportRequest::default()
    };
    let begun = |call_off| async move { run(branch, request, &call_off).await };
    app.tasks.begin(&owner(&repo, &name), begun)
}

/// The URL of what lakeFS calls `local://PATH`: a path on the sidecar's machine, in which nothing is escaped.
/// It is read only where the operator has allowed that, like any other.
fn without_local(url: String) -> String {
    match url.strip_prefix("local://") {
        None => url,
        Some(path) => url_of(FilePath::new(&format!("/{}", path.trim_start_matches('/')))),
    }
}

/// Imports, unless it is called off in time: then `None`.
async fn run(
    branch: Branch,
    request: ImportRequest,
    call_off: &CancellationToken,
) -> Result<Option<Value>> {
    let Some(imported) = branch.import_unless(&request, call_off).await? else { return Ok(None) };
    let outcome = imported.outcome.ok_or_else(|| Error::internal("an import was only counted"))?;
    if matches!(outcome, Outcome::Cancelled { .. }) {
        return Ok(None);
    }
    let commit =
        committed(&outcome, "import", &branch).map_err(|error| Error::conflict(error.message()))?;
    let repository = branch.repository();
    let now = (clock::now_ms() / 1000).to_string();
    let noted = repository.change_metadata(|pairs| {
        pairs.insert(LAST_IMPORT_KEY.into(), now.clone());
    });
    // Committed is committed, whether it can be noted or not.
    if let Err(error) = noted.await {
        tracing::warn!(%error, "when an import was done could not be noted");
    }
    let info = repository.commit_info(commit).await?;
    let commit = serde_json::to_value(Commit::from(info))
        .map_err(|error| Error::internal("a commit cannot be shown").with_source(error))?;
    Ok(Some(json!({"ingested_objects": imported.objects, "commit": commit})))
}

#[derive(Deserialize)]
struct ImportQuery {
    id: String,
}

/// Whose an import is.
fn owner(repo: &str, branch: &str) -> String {
    format!("import {repo}/{branch}")
}

fn unknown() -> ApiError {
    ApiError::from(Error::not_found(
        "this sidecar knows no such import: it was begun at another one, or before a restart; the branch's log shows whether it was committed",
    ))
}

async fn status(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<ImportQuery>,
) -> ApiResult<Body<Value>> {
    let status = app.tasks.status(&query.id, &owner(&repo, &name)).ok_or_else(unknown)?;
    // It goes on as long as this says so: clients give one up whose time stands still.
    let updated_ms = if status.result.is_none() { clock::now_ms() } else { status.updated_ms };
    let update_time = clock::rfc3339(updated_ms);
    // An import that failed is not completed: clients take one that is for a success.
    Ok(Body(match status.result {
        None => json!({"completed": false, "update_time": update_time, "ingested_objects": 0}),
        Some(Err(message)) => json!({
            "completed": false,
            "update_time": update_time,
            "error": {"message": message},
        }),
        Some(Ok(done)) => json!({
            "completed": true,
            "update_time": update_time,
            "ingested_objects": done.get("ingested_objects"),
            "metarange_id": done.pointer("/commit/meta_range_id"),
            "commit": done.get("commit"),
        }),
    }))
}

async fn cancel(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<ImportQuery>,
) -> ApiResult<StatusCode> {
    match app.tasks.call_off(&query.id, &owner(&repo, &name)).await.ok_or_else(unknown)? {
        CalledOff::InTime => Ok(StatusCode::NO_CONTENT),
        CalledOff::TooLate => Err(ApiError::conflict("the import has ended: its status says how")),
        CalledOff::NotYet => Err(ApiError::from(Error::unavailable(
            "the import is being called off and has not ended yet: its status will say how it did",
        ))),
    }
}
