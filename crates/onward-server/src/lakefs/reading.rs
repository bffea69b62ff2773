//! Reading an object: all of it or a part, by this sidecar or by an address that is good for a while.

use std::ops::Range;

use axum::body::Body as Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use super::named::{path, reference, repo};
use super::wire::CONTENT_TYPE_DEFAULT;
use super::writes::SIGNED_FOR;
use crate::auth::Reader;
use crate::conditions::{Conditions, ETag, wants_part_of};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Path, Query};
use crate::headers::text;
use crate::state::{App, AppState};
use onward::Entry;
use onward::internals::model::error::quoted;
use onward::internals::objects::Streamed;
use onward::internals::repo::Repository;

/// What is read, and how.
#[derive(Deserialize)]
pub struct ReadQuery {
    path: String,
    #[serde(default)]
    presign: Flag,
}

/// `GET` and `HEAD`: the bytes of an object, or a part of them.
pub async fn read(
    _: Reader,
    State(app): State<AppState>,
    Path((name, of)): Path<(String, String)>,
    Query(query): Query<ReadQuery>,
    request: Request,
) -> ApiResult<Response> {
    let repo = repo(&app, &name);
    let headers = request.headers();
    let conditions = Conditions::of(headers)?;
    let entry = repo.stat(&reference(&of)?, &path(&query.path)?).await?;
    let etag = ETag::of_checksum(&entry.checksum);
    let mut head = Head::of(&entry, &etag);
    if !conditions.is_wanted(&etag, entry.mtime)? {
        return Ok((StatusCode::NOT_MODIFIED, head.0).into_response());
    }
    if query.presign.0
        && let Some(url) = signed(&app, &repo, &entry).await?
    {
        // As lakeFS does; a client that follows it leaves its login here behind.
        return Ok((StatusCode::FOUND, [(header::LOCATION, url)]).into_response());
    }
    head.describe(&entry);
    let size = entry.size;
    let part = match wanted(headers, &etag, size)? {
        None => None,
        Some(Wanted::Part(part)) => Some(part),
        Some(Wanted::Nothing) => return Err(behind_the_end(size)),
    };
    let status = match &part {
        None => StatusCode::OK,
        Some(part) => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            head.set(header::CONTENT_RANGE, range);
            StatusCode::PARTIAL_CONTENT
        }
    };
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    head.set(header::CONTENT_LENGTH, length.to_string());
    // An empty object is opened, too: whether it may be read, and is there, is not a matter of size.
    let body = match request.method() == Method::HEAD {
        true => Bytes::empty(),
        false => Bytes::from_stream(open(&app, &repo, &entry, part).await?.chunks),
    };
    Ok((status, head.0, body).into_response())
}

/// The headers of an answer.
struct Head(HeaderMap);

impl Head {
    /// What says which object it is.
    fn of(entry: &Entry, etag: &ETag) -> Self {
        let mut head = Self(HeaderMap::new());
        head.set(header::ETAG, etag.quoted());
        head.set(header::LAST_MODIFIED, http_date(entry.mtime));
        head.set(header::ACCEPT_RANGES, "bytes".into());
        // A path names other bytes tomorrow, and not everybody may read them: nothing on the way keeps them.
        head.set(header::CACHE_CONTROL, "no-store, must-revalidate".into());
        head
    }

    /// What says how its bytes are to be taken.
    fn describe(&mut self, entry: &Entry) {
        let kind = entry.content_type.clone().unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into());
        self.set(header::CONTENT_TYPE, kind);
        // What somebody has uploaded must not run in the browser of somebody else as if it were ours.
        self.set(header::X_CONTENT_TYPE_OPTIONS, "nosniff".into());
        self.set(header::CONTENT_SECURITY_POLICY, "sandbox".into());
    }

    /// What a header cannot hold is left out: none of it is needed.
    fn set(&mut self, name: HeaderName, value: String) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.0.insert(name, value);
        }
    }
}

/// The part that the header Range asks for.
fn wanted(headers: &HeaderMap, etag: &ETag, size: u64) -> ApiResult<Option<Wanted>> {
    // A part of what is no longer the same object would be joined with parts of another.
    let same = wants_part_of(headers, etag)?;
    let range = text(headers, &header::RANGE)?.filter(|_| same);
    Ok(range.and_then(|text| Wanted::of(text, size)))
}

fn behind_the_end(size: u64) -> ApiError {
    let error = ApiError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "invalid",
        format!("the object has {size} bytes: the range begins behind them"),
    );
    match HeaderValue::from_str(&format!("bytes */{size}")) {
        Ok(total) => error.with_header(header::CONTENT_RANGE, total),
        Err(_) => error,
    }
}

async fn open(
    app: &App,
    repo: &Repository,
    entry: &Entry,
    part: Option<Range<u64>>,
) -> ApiResult<Streamed> {
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
                quoted(&entry.address)
            ),
        )
    })
}

/// An address by which anybody can read the object for a while, where the storage has that.
pub async fn signed(app: &App, repo: &Repository, entry: &Entry) -> ApiResult<Option<String>> {
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
        let (unit, ranges) = text.split_once('=')?;
        // Names of units have no case.
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = ranges.split_once('-')?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_defines_them() {
        let part = |range| Some(Wanted::Part(range));
        for (text, expected) in [
            ("bytes=0-3", part(0..4)),
            ("Bytes=4-", part(4..10)),
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
