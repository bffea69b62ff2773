//! Reading an object: all of it or a part, by this sidecar or by an address that is good for a while.

use axum::body::Body as Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use super::named::{path, reference, repo};
use super::wire::CONTENT_TYPE_DEFAULT;
use crate::auth::Reader;
use crate::conditions::{Conditions, ETag};
use crate::content::{Wanted, behind_the_end, open, wanted};
use crate::error::ApiResult;
use crate::extract::{Flag, Path, Query};
use crate::state::{App, AppState};
use crate::writes::SIGNED_FOR;
use onward::Entry;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
