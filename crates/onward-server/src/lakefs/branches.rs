//! Branches: what there is, what is uncommitted, and how to take it back.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json as Body, Router};
use http::{StatusCode, header};
use serde::Deserialize;

use super::named::{branch, reference, repo};
use super::refs::{DiffQuery, page_of, uncommitted};
use super::repositories::names;
use super::wire::{BranchCreation, Diff, List, ListQuery, Ref, ResetCreation, ResetType};
use crate::auth::{Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Json, Path, Query};
use crate::refs::delete_branch;
use crate::state::AppState;
use onward::ErrorKind;
use onward::internals::repo::NewBranch;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/branches", get(list).post(create))
        .route("/repositories/{repo}/branches/{branch}", get(show).delete(delete).put(reset))
        .route("/repositories/{repo}/branches/{branch}/hard_reset", put(hard_reset))
        .route("/repositories/{repo}/branches/{branch}/diff", get(diff))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BranchesQuery {
    prefix: String,
    after: String,
    amount: Option<i64>,
    show_hidden: Flag,
}

async fn list(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<BranchesQuery>,
) -> ApiResult<Body<List<Ref>>> {
    let BranchesQuery { prefix, after, amount, show_hidden } = query;
    let request = names(&ListQuery { prefix, after, amount });
    let page = repo(&app, &name).branches_page(&request, show_hidden.0).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|info| info.name.to_string());
    let results = page.items.into_iter().map(|info| Ref {
        id: info.name.to_string(),
        commit_id: info.commit.map(|commit| commit.to_string()).unwrap_or_default(),
        damage: info.damage,
    });
    Ok(Body(List::new(results.collect(), next)))
}

/// Answers with the commit's id as plain text, as lakeFS does.
async fn create(
    _: Writer,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(wanted): Json<BranchCreation>,
) -> ApiResult<Response> {
    let new = NewBranch { hidden: wanted.hidden };
    let created = branch(&app, &name, &wanted.name);
    let info = match created.create_as(&reference(&wanted.source)?, new).await {
        // Clients that make their branch before every write ask this with any source.
        Err(error) if error.kind() == ErrorKind::NotFound && created.show().await.is_ok() => {
            return Err(ApiError::conflict(format!(
                "branch '{}' exists in repository '{name}'",
                wanted.name
            ))
            .known_as("branch already exists: not unique"));
        }
        created => created?,
    };
    let commit = info.commit.map(|commit| commit.to_string()).unwrap_or_default();
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "text/html")], commit).into_response())
}

async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
) -> ApiResult<Body<Ref>> {
    let info = branch(&app, &repo, &name).show().await?;
    let commit_id = info.commit.map(|commit| commit.to_string()).unwrap_or_default();
    Ok(Body(Ref { id: info.name.to_string(), commit_id, damage: None }))
}

async fn delete(
    _: Writer,
    State(app): State<AppState>,
    Path((name, branch_name)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    delete_branch(&repo(&app, &name), &branch_name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Json(wanted): Json<ResetCreation>,
) -> ApiResult<StatusCode> {
    let branch = branch(&app, &repo, &name);
    let path = wanted.path.unwrap_or_default();
    match wanted.what {
        ResetType::Reset => branch.reset("", false).await?,
        _ if path.is_empty() => {
            return Err(ApiError::invalid("a reset of an object or a prefix names its path"));
        }
        ResetType::CommonPrefix => branch.reset(&path, false).await?,
        ResetType::Object => match branch.reset(&path, true).await? {
            0 => {
                return Err(ApiError::from(onward::Error::not_found(format!(
                    "nothing is staged for '{path}'"
                )))
                .known_as("object not found"));
            }
            count => count,
        },
    };
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct HardResetQuery {
    #[serde(rename = "ref")]
    reference: String,
}

async fn hard_reset(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<HardResetQuery>,
) -> ApiResult<StatusCode> {
    let done = branch(&app, &repo, &name).reset_to(&reference(&query.reference)?).await;
    match done {
        // lakeFS says 400 of a branch with uncommitted changes.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            Err(ApiError::invalid(error.for_callers())
                .known_as("uncommitted changes (dirty branch)"))
        }
        done => {
            done?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

/// What is staged and differs from the head.
async fn diff(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<DiffQuery>,
) -> ApiResult<Body<List<Diff>>> {
    let branch = branch(&app, &repo, &name);
    page_of(query, |start| uncommitted(branch.clone(), start)).await.map(Body)
}
