//! Objects: uploading, reading, listing, deleting, copying them.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json as Body, Router};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::named::{branch, path, reference, repo};
use super::reading::{read, signed};
use super::upload::{Told, receive};
use super::wire::{
    List, ObjectCopyCreation, ObjectError, ObjectStageCreation, ObjectStats, PAGE_MAX, PathList,
    UpdateUserMetadata, amount,
};
use crate::auth::{Reader, Writer};
use crate::conditions::Conditions;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Json, Path, Query};
use crate::headers::text;
use crate::refused::refused;
use crate::state::{App, AppState};
use crate::writes::{SIGNED_FOR, keep, link, now, require, stage as stage_if, stage_judged};
use onward::internals::repo::{Branch, Repository};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Change, Entry, ObjectPath, PathChange};

/// Bytes of a body that are taken before it is known that its branch is there, at most.
const SMALL_LEN: u64 = 64 << 10;

pub fn routes() -> Router<AppState> {
    let uploads = Router::new()
        .route("/repositories/{repo}/branches/{branch}/objects", post(upload))
        // Limited by what the storage takes, not by memory.
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .merge(uploads)
        .route("/repositories/{repo}/branches/{branch}/objects", put(stage).delete(delete))
        .route("/repositories/{repo}/branches/{branch}/objects/delete", post(delete_many))
        .route("/repositories/{repo}/branches/{branch}/objects/copy", post(copy))
        .route(
            "/repositories/{repo}/branches/{branch}/objects/stat/user_metadata",
            put(set_metadata),
        )
        .route("/repositories/{repo}/refs/{ref}/objects", get(read))
        .route("/repositories/{repo}/refs/{ref}/objects/stat", get(stat))
        .route("/repositories/{repo}/refs/{ref}/objects/ls", get(list))
}

#[derive(Deserialize)]
struct PathQuery {
    path: String,
}

async fn upload(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
    request: Request,
) -> ApiResult<Response> {
    let branch = branch(&app, &repo, &name);
    // Before the body is taken: a client must not send much to hear that there is no such branch.
    let (path, conditions, told) = match expected(&branch, &query.path, request.headers()).await {
        Ok(expected) => expected,
        Err(why) => return refused(request, why).await,
    };
    let entry = receive(&app, branch.clone(), told, request).await?;
    keep(&branch, &path, &entry, &conditions).await?;
    Ok((StatusCode::CREATED, Body(ObjectStats::object(&path, entry, true))).into_response())
}

/// What an upload is to be, unless it is refused as it is or its conditions do not hold even now.
async fn expected(
    branch: &Branch,
    named: &str,
    headers: &HeaderMap,
) -> ApiResult<(ObjectPath, Conditions, Told)> {
    let (path, conditions, told) = (path(named)?, Conditions::of(headers)?, Told::of(headers)?);
    if !is_small(headers) {
        branch.show().await?;
    }
    if !conditions.is_none() {
        require(&conditions, &path, branch.stat(&path).await?.as_ref())?;
    }
    Ok((path, conditions, told))
}

/// Whether so little is sent that staging may be the first to find that there is no such branch: what was
/// written is withdrawn then, and every other upload is spared a look. One that waits to be asked has not sent
/// anything yet.
fn is_small(headers: &HeaderMap) -> bool {
    let len = text(headers, &header::CONTENT_LENGTH).ok().flatten();
    let is_small = |len: u64| len <= SMALL_LEN;
    len.and_then(|len| len.parse().ok()).is_some_and(is_small)
        && !headers.contains_key(header::EXPECT)
}

/// Stages an object that lies elsewhere.
async fn stage(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
    headers: HeaderMap,
    Json(wanted): Json<ObjectStageCreation>,
) -> ApiResult<Response> {
    let entry = Entry {
        address: wanted.physical_address,
        checksum: wanted.checksum.trim_matches('"').to_owned(),
        size: wanted.size_bytes,
        mtime: wanted.mtime.unwrap_or_else(now),
        content_type: wanted.content_type,
        metadata: wanted.metadata.unwrap_or_default(),
    };
    let (branch, path) = (branch(&app, &repo, &name), path(&query.path)?);
    let entry = link(&branch, &path, entry, &Conditions::of(&headers)?).await?;
    Ok((StatusCode::CREATED, Body(ObjectStats::object(&path, entry, true))).into_response())
}

async fn delete(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    let (branch, path) = (branch(&app, &repo, &name), path(&query.path)?);
    stage_if(&branch, &path, Change::Delete, &Conditions::of(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes what can be deleted and tells of the rest, path by path.
async fn delete_many(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Json(wanted): Json<PathList>,
) -> ApiResult<Body<Value>> {
    if wanted.paths.len() > PAGE_MAX {
        return Err(ApiError::invalid(format!(
            "{} paths are over the limit of {PAGE_MAX}: delete them in parts",
            wanted.paths.len()
        )));
    }
    let mut errors = Vec::new();
    let mut changes = Vec::new();
    for text in wanted.paths {
        match path(&text) {
            Ok(path) => changes.push(PathChange { path, change: Change::Delete, condition: None }),
            Err(error) => errors.push(ObjectError {
                status_code: error.status().as_u16(),
                message: error.message().to_owned(),
                path: text,
            }),
        }
    }
    let branch = branch(&app, &repo, &name);
    branch.show().await?;
    branch.stage(&changes).await?;
    Ok(Body(json!({"errors": errors})))
}

/// The copy names the same bytes: content never changes.
async fn copy(
    _: Writer,
    State(app): State<AppState>,
    Path((repo_name, name)): Path<(String, String)>,
    Query(query): Query<CopyQuery>,
    headers: HeaderMap,
    Json(wanted): Json<ObjectCopyCreation>,
) -> ApiResult<Response> {
    let repo = repo(&app, &repo_name);
    let from = wanted.src_ref.filter(|text| !text.is_empty()).unwrap_or_else(|| name.clone());
    let (source, dest) = (path(&wanted.src_path)?, path(&query.dest_path)?);
    let entry = repo.stat(&reference(&from)?, &source).await?;
    let entry = Entry { mtime: now(), ..entry };
    // They are about what the copy replaces.
    let conditions = Conditions::of(&headers)?;
    stage_if(&repo.branch(name), &dest, Change::Put(entry.clone()), &conditions).await?;
    Ok((StatusCode::CREATED, Body(ObjectStats::object(&dest, entry, true))).into_response())
}

#[derive(Deserialize)]
struct CopyQuery {
    dest_path: String,
}

async fn set_metadata(
    _: Writer,
    State(app): State<AppState>,
    Path((repo_name, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
    headers: HeaderMap,
    Json(wanted): Json<UpdateUserMetadata>,
) -> ApiResult<StatusCode> {
    let (branch, path) = (branch(&app, &repo_name, &name), path(&query.path)?);
    let conditions = Conditions::of(&headers)?;
    // Of what was uploaded meanwhile nothing must be undone.
    let judge = |there: Option<&Entry>| {
        let entry = there.ok_or_else(|| {
            onward::Error::not_found(format!("there is no object '{path}' at '{repo_name}/{name}'"))
                .known_as("object not found")
        })?;
        require(&conditions, &path, there)?;
        Ok(Change::Put(Entry { metadata: wanted.set.clone(), ..entry.clone() }))
    };
    stage_judged(&branch, &path, judge).await?;
    Ok(StatusCode::CREATED)
}

#[derive(Deserialize)]
struct StatQuery {
    path: String,
    #[serde(default = "yes")]
    user_metadata: Flag,
    #[serde(default)]
    presign: Flag,
}

fn yes() -> Flag {
    Flag(true)
}

async fn stat(
    _: Reader,
    State(app): State<AppState>,
    Path((name, of)): Path<(String, String)>,
    Query(query): Query<StatQuery>,
) -> ApiResult<Body<ObjectStats>> {
    let path = path(&query.path)?;
    let repo = repo(&app, &name);
    let entry = repo.stat(&reference(&of)?, &path).await?;
    shown(&app, &repo, &path, entry, query.user_metadata.0, query.presign.0).await.map(Body)
}

/// An object with an address that anybody can use, where that is wanted and the storage has it.
async fn shown(
    app: &App,
    repo: &Repository,
    path: &ObjectPath,
    entry: Entry,
    with_metadata: bool,
    presign: bool,
) -> ApiResult<ObjectStats> {
    let url = if presign { signed(app, repo, &entry).await? } else { None };
    let mut stats = ObjectStats::object(path, entry, with_metadata);
    if let Some(url) = url {
        stats.physical_address = url;
        stats.physical_address_expiry = Some(now() + SIGNED_FOR.as_secs() as i64);
    }
    Ok(stats)
}

#[derive(Deserialize)]
struct LsQuery {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    delimiter: String,
    #[serde(default)]
    amount: Option<i64>,
    #[serde(default = "yes")]
    user_metadata: Flag,
    #[serde(default)]
    presign: Flag,
}

async fn list(
    _: Reader,
    State(app): State<AppState>,
    Path((name, of)): Path<(String, String)>,
    Query(query): Query<LsQuery>,
) -> ApiResult<Body<List<ObjectStats>>> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let request = ListRequest {
        prefix: query.prefix,
        after: given(query.after),
        delimiter: given(query.delimiter),
        amount: amount(query.amount),
    };
    let repo = repo(&app, &name);
    let page = repo.list(&reference(&of)?, &request).await?;
    let mut results = Vec::with_capacity(page.items.len());
    for item in page.items {
        results.push(match item {
            ListItem::CommonPrefix(prefix) => ObjectStats::common_prefix(prefix),
            ListItem::Object(path, entry) => {
                shown(&app, &repo, &path, entry, query.user_metadata.0, query.presign.0).await?
            }
        });
    }
    Ok(Body(List::new(results, page.next)))
}
