//! Tags.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json as Body, Router};
use http::StatusCode;

use super::named::{reference, repo};
use super::repositories::names;
use super::wire::{List, ListQuery, Ref, TagCreation};
use crate::auth::{Reader, Writer};
use crate::error::ApiResult;
use crate::extract::{Json, Path, Query};
use crate::state::AppState;
use onward::internals::model::name::TagName;
use onward::internals::repo::tags::TagInfo;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/tags", get(list).post(create))
        .route("/repositories/{repo}/tags/{tag}", get(show).delete(delete))
}

fn shape(tag: TagInfo) -> Ref {
    Ref { id: tag.name.to_string(), commit_id: tag.commit.to_string(), damage: None }
}

async fn list(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Body<List<Ref>>> {
    let page = repo(&app, &name).tags_page(&names(&query)).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|tag| tag.name.to_string());
    Ok(Body(List::new(page.items.into_iter().map(shape).collect(), next)))
}

async fn create(
    _: Writer,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(wanted): Json<TagCreation>,
) -> ApiResult<Response> {
    let tag = TagName::new(wanted.id)?;
    let made = repo(&app, &name).create_tag(&tag, &reference(&wanted.reference)?).await?;
    Ok((StatusCode::CREATED, Body(shape(made))).into_response())
}

async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((name, tag)): Path<(String, String)>,
) -> ApiResult<Body<Ref>> {
    let repo = repo(&app, &name);
    repo.show().await?;
    Ok(Body(shape(repo.tag(&TagName::new(tag)?).await?)))
}

async fn delete(
    _: Writer,
    State(app): State<AppState>,
    Path((name, tag)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    repo(&app, &name).delete_tag(&TagName::new(tag)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
