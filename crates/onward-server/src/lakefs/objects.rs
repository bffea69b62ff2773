//! Objects: uploading, reading, listing, deleting, copying them.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json as Body, Router};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::upload::{discard, receive};
use super::wire::{
    CONTENT_TYPE_DEFAULT, List, ObjectCopyCreation, ObjectError, ObjectStageCreation, ObjectStats,
    PAGE_MAX, PathList, UpdateUserMetadata, amount,
};
use super::{branch, path, reference, repo, staging};
use crate::auth::{Reader, Writer};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Json, Path, Query, header_text, single_tag};
use crate::state::{App, AppState};
use onward::internals::clock;
use onward::internals::repo::Repository;
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Change, Condition, Entry, ErrorKind, ObjectPath, PathChange};

/// How often the metadata of an object is set anew when it is written meanwhile.
const METADATA_ATTEMPTS: usize = 16;

/// How long a signed address can be used.
pub const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

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

/// What a write asks of the object that is there: the headers If-None-Match and If-Match.
pub fn condition(headers: &HeaderMap) -> ApiResult<Option<Condition>> {
    let tag = |name| single_tag(headers, name);
    match (tag(&header::IF_NONE_MATCH)?, tag(&header::IF_MATCH)?) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Condition::Absent)),
        (None, Some(tag)) if tag != "*" => {
            Ok(Some(Condition::Checksum(tag.trim_matches('"').to_owned())))
        }
        _ => Err(ApiError::invalid(
            "a write takes one condition: If-None-Match: *, or If-Match with one ETag",
        )),
    }
}

async fn upload(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
    request: Request,
) -> ApiResult<Response> {
    let (branch, path) = (branch(&app, &repo, &name), path(&query.path)?);
    let condition = condition(request.headers())?;
    // Before the body is taken: a client must not send much to hear that there is no such branch.
    branch.show().await?;
    if let Some(condition) = &condition
        && let Err(error) = branch.check_condition(&path, condition).await
    {
        discard(request).await;
        return Err(ApiError::from(error).conflict_is_precondition());
    }
    let entry = receive(&app, branch.clone(), request).await?;
    if let Err(error) = branch.stage_put(path.clone(), entry.clone(), condition).await {
        if is_certain(&error) {
            branch.withdraw(&entry).await;
        }
        return Err(ApiError::from(error).conflict_is_precondition());
    }
    Ok((StatusCode::CREATED, Body(ObjectStats::object(&path, entry, true))).into_response())
}

/// Whether an error says for certain that nothing was staged.
fn is_certain(error: &onward::Error) -> bool {
    use ErrorKind::{Conflict, Forbidden, InvalidInput, NotFound};
    matches!(error.kind(), Conflict | Forbidden | InvalidInput | NotFound)
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
        checksum: wanted.checksum,
        size: wanted.size_bytes,
        mtime: wanted.mtime.unwrap_or_else(now),
        content_type: wanted.content_type,
        metadata: wanted.metadata.unwrap_or_default(),
    };
    let (branch, path) = (branch(&app, &repo, &name), path(&query.path)?);
    let entry = staging::link(&branch, &path, entry, condition(&headers)?).await?;
    Ok((StatusCode::CREATED, Body(ObjectStats::object(&path, entry, true))).into_response())
}

pub fn now() -> i64 {
    clock::now_ms().div_euclid(1000)
}

async fn delete(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<PathQuery>,
) -> ApiResult<StatusCode> {
    branch(&app, &repo, &name).stage_delete(path(&query.path)?, None).await?;
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
    Json(wanted): Json<ObjectCopyCreation>,
) -> ApiResult<Response> {
    let repo = repo(&app, &repo_name);
    let from = wanted.src_ref.filter(|text| !text.is_empty()).unwrap_or_else(|| name.clone());
    let (source, dest) = (path(&wanted.src_path)?, path(&query.dest_path)?);
    let entry = repo.stat(&reference(&from)?, &source).await?;
    let entry = Entry { mtime: now(), ..entry };
    repo.branch(name).stage_put(dest.clone(), entry.clone(), None).await?;
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
    Json(wanted): Json<UpdateUserMetadata>,
) -> ApiResult<StatusCode> {
    let (repo, path) = (repo(&app, &repo_name), path(&query.path)?);
    let (reference, branch) = (reference(&name)?, repo.branch(name));
    for _ in 0..METADATA_ATTEMPTS {
        let entry = repo.stat(&reference, &path).await?;
        // Of what was uploaded meanwhile nothing must be undone.
        let unchanged = Some(Condition::Checksum(entry.checksum.clone()));
        let changed = Entry { metadata: wanted.set.clone(), ..entry };
        match branch.stage_put(path.clone(), changed, unchanged).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            staged => {
                staged?;
                return Ok(StatusCode::CREATED);
            }
        }
    }
    Err(ApiError::from(onward::Error::unavailable(
        "the object was written again and again meanwhile: try again",
    )))
}

#[derive(Deserialize)]
struct ReadQuery {
    path: String,
    #[serde(default)]
    presign: Flag,
}

/// `GET` and `HEAD`: the bytes of an object, or a part of them.
async fn read(
    _: Reader,
    State(app): State<AppState>,
    Path((name, of)): Path<(String, String)>,
    Query(query): Query<ReadQuery>,
    request: Request,
) -> ApiResult<Response> {
    let repo = repo(&app, &name);
    let entry = repo.stat(&reference(&of)?, &path(&query.path)?).await?;
    if query.presign.0
        && let Some(url) = signed(&app, &repo, &entry).await?
    {
        // As lakeFS does; a client that follows it leaves its login here behind.
        return Ok((StatusCode::FOUND, [(header::LOCATION, url)]).into_response());
    }
    let headers = request.headers();
    let etag = format!("\"{}\"", entry.checksum);
    let is_known = is_known(headers, &etag);
    let mut answer = HeaderMap::new();
    let mut set = |name, value: String| {
        // What a header cannot hold is left out: none of it is needed.
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.insert(name, value);
        }
    };
    set(header::ETAG, etag.clone());
    set(header::LAST_MODIFIED, http_date(entry.mtime));
    set(header::ACCEPT_RANGES, "bytes".into());
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let kind = entry.content_type.clone().unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into());
    set(header::CONTENT_TYPE, kind);
    // What somebody has uploaded must not run in the browser of somebody else as if it were ours.
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff".into());
    set(header::CONTENT_SECURITY_POLICY, "sandbox".into());
    let size = entry.size;
    // A part of what is no longer the same object would be joined with parts of another.
    let same = headers.get(header::IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let range = header_text(headers, &header::RANGE).filter(|_| same);
    let range = range.and_then(|text| Wanted::of(text, size));
    let status = match &range {
        None => StatusCode::OK,
        Some(Wanted::Part(part)) => {
            set(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", part.start, part.end - 1));
            StatusCode::PARTIAL_CONTENT
        }
        Some(Wanted::Nothing) => {
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "invalid",
                format!("the object has {size} bytes: the range begins behind them"),
            );
            let total = HeaderValue::from_str(&format!("bytes */{size}"));
            return Err(match total {
                Ok(total) => error.with_header(header::CONTENT_RANGE, total),
                Err(_) => error,
            });
        }
    };
    let part = match range {
        Some(Wanted::Part(part)) => Some(part),
        _ => None,
    };
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    set(header::CONTENT_LENGTH, length.to_string());
    let body = match request.method() == Method::HEAD || length == 0 {
        true => Bytes::empty(),
        false => Bytes::from_stream(open(&app, &repo, &entry, part).await?.chunks),
    };
    Ok((status, answer, body).into_response())
}

/// Whether `If-None-Match` names this ETag. Weak tags match strong ones there (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

async fn open(
    app: &App,
    repo: &Repository,
    entry: &Entry,
    part: Option<Range<u64>>,
) -> ApiResult<onward::internals::objects::Streamed> {
    let streamed = match repo.data_key(entry).is_some() {
        true => match repo.open_range(entry, part).await {
            Err(error) if error.is_damage() => None,
            streamed => Some(streamed?),
        },
        false => app.sources.stream(&entry.address, part).await?,
    };
    // Linked before it was uploaded, never uploaded, or something else by now.
    streamed.filter(|streamed| streamed.size == entry.size).ok_or_else(|| {
        ApiError::new(
            StatusCode::GONE,
            "not_found",
            format!(
                "there are not the {} bytes at '{}' that were linked",
                entry.size,
                onward::internals::model::error::quoted(&entry.address)
            ),
        )
    })
}

/// An address by which anybody can read the object for a while, where the storage has that.
async fn signed(app: &App, repo: &Repository, entry: &Entry) -> ApiResult<Option<String>> {
    let objects = app.onward.coordinator().objects();
    match repo.data_key(entry).filter(|_| objects.signs()) {
        Some(key) => Ok(Some(objects.signed_url(key, false, SIGNED_FOR).await?)),
        None => Ok(None),
    }
}

/// A moment as HTTP writes it (RFC 9110, 5.6.7).
fn http_date(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What a header Range asks for of an object.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Part(Range<u64>),
    /// It begins behind the end.
    Nothing,
}

impl Wanted {
    /// `None` where the header is to be ignored (RFC 9110, 14.2): another unit, several ranges,
    /// anything malformed.
    fn of(text: &str, size: u64) -> Option<Self> {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let (first, last) = (first.trim(), last.trim());
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(first) || !is_number(last) {
            return None;
        }
        // Numbers too large for the type are behind every end.
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        let part = match (first, last) {
            ("", "") => return None,
            ("", last) => size.saturating_sub(number(last))..size,
            (first, "") => number(first)..size,
            (first, last) if number(last) < number(first) => return None,
            (first, last) => number(first)..number(last).saturating_add(1).min(size),
        };
        Some(if part.is_empty() { Self::Nothing } else { Self::Part(part) })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_defines_them() {
        let part = |range| Some(Wanted::Part(range));
        for (text, expected) in [
            ("bytes=0-3", part(0..4)),
            ("bytes=4-", part(4..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-30", part(0..10)),
            ("bytes=5-99999999999999999999999", part(5..10)),
            ("bytes=10-", Some(Wanted::Nothing)),
            ("bytes=-0", Some(Wanted::Nothing)),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
        ] {
            assert_eq!(Wanted::of(text, 10), expected, "{text}");
        }
        assert_eq!(Wanted::of("bytes=0-0", 0), Some(Wanted::Nothing));
    }

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
