//! Dumps of all refs, at once or as a task, and bringing them back.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{post, put};
use axum::{Json as Body, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::named::repo;
use super::wire::{RefsDump, digits};
use crate::auth::{Admin, Reader};
use crate::error::{ApiError, ApiResult, json as answer};
use crate::extract::{Json, Path, Query};
use crate::state::AppState;
use crate::tasks::TaskStatus;
use onward::internals::clock;
use onward::internals::repo::Repository;
use onward::internals::repo::refs_dump::DumpId;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/refs/dump", put(dump))
        .route("/repositories/{repo}/refs/restore", put(restore))
        .route("/repositories/{repo}/dump", post(begin_dump).get(dump_status))
        .route("/repositories/{repo}/restore", post(begin_restore).get(restore_status))
}

fn shape(id: DumpId) -> Value {
    let id = digits(format_args!("{id:032x}"));
    json!({
        "commits_meta_range_id": id,
        "tags_meta_range_id": id,
        "branches_meta_range_id": id,
    })
}

impl RefsDump {
    /// The dump that is meant: its three parts are one here.
    fn id(&self) -> ApiResult<DumpId> {
        let id = &self.branches_meta_range_id;
        let same = *id == self.commits_meta_range_id && *id == self.tags_meta_range_id;
        // 32 digits are those of a program before this one.
        let own = id.get(..32).filter(|own| same && (*id == **own || *id == digits(own)));
        let parsed = own.and_then(|own| DumpId::from_str_radix(own, 16).ok());
        parsed.ok_or_else(|| {
            ApiError::invalid(
                "this is not a dump of this deployment: give the three ids as they came",
            )
        })
    }
}

async fn dump(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<Response> {
    let id = repo(&app, &name).dump_refs().await?;
    Ok(answer(StatusCode::CREATED, shape(id)))
}

async fn restore(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(wanted): Json<RefsDump>,
) -> ApiResult<StatusCode> {
    repo(&app, &name).restore_refs(wanted.id()?).await?;
    Ok(StatusCode::OK)
}

const DUMP: &str = "dump";
const RESTORE: &str = "restore";

/// Whose a task is.
fn owner(kind: &str, repo: &str) -> String {
    format!("{kind} {repo}")
}

async fn begin_dump(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<Response> {
    let repo: Repository = repo(&app, &name);
    repo.show().await?;
    app.tasks.begin(&owner(DUMP, &name), |_| async move {
        repo.dump_refs().await.map(|id| Some(shape(id)))
    })
}

async fn begin_restore(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(wanted): Json<RefsDump>,
) -> ApiResult<Response> {
    let (repo, id) = (repo(&app, &name), wanted.id()?);
    repo.show().await?;
    app.tasks.begin(&owner(RESTORE, &name), |_| async move {
        repo.restore_refs(id).await.map(|_| Some(Value::Null))
    })
}

#[derive(Deserialize)]
struct TaskQuery {
    task_id: String,
}

fn status(app: &AppState, owner: &str, id: &str) -> ApiResult<(TaskStatus, Value)> {
    let status = app.tasks.status(id, owner).ok_or_else(|| {
        ApiError::from(onward::Error::not_found(
            "this sidecar knows no such task: it was begun at another one, or before a restart",
        ))
    })?;
    let mut shown = json!({
        "id": id,
        "done": status.result.is_some(),
        "update_time": clock::rfc3339(status.updated_ms),
    });
    if let (Some(Err(error)), Some(shown)) = (&status.result, shown.as_object_mut()) {
        shown.insert("error".into(), json!(error));
    }
    Ok((status, shown))
}

async fn dump_status(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<TaskQuery>,
) -> ApiResult<Body<Value>> {
    let (status, mut shown) = status(&app, &owner(DUMP, &name), &query.task_id)?;
    if let (Some(Ok(refs)), Some(shown)) = (status.result, shown.as_object_mut()) {
        shown.insert("refs".into(), refs);
    }
    Ok(Body(shown))
}

async fn restore_status(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<TaskQuery>,
) -> ApiResult<Body<Value>> {
    Ok(Body(status(&app, &owner(RESTORE, &name), &query.task_id)?.1))
}
