//! Listings, history and differences as files: streamed, in the format that the client asks for.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use onward::RefExpr;
use onward::history::LogRequest;
use onward::internals::clock;
use onward_export::{CommitsRequest, Format, Piece, Table};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::Reader;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Path, Query};
use crate::headers::list;
use crate::places::Place;
use crate::state::AppState;

/// How long a client waits for the head of an answer whose first row takes longer: proxies wait for it no minute.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How a listing is told.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct ObjectsQuery {
    /// `parquet`, `csv` or `jsonl`. Left out, the header Accept decides: `application/vnd.apache.parquet`, `text/csv`
    /// or `application/jsonl`, which it is by default.
    format: Option<String>,
    /// Only paths that begin with this.
    prefix: String,
}

/// How a history is told.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct CommitsQuery {
    /// `parquet`, `csv` or `jsonl`; left out, the header Accept decides.
    format: Option<String>,
    /// Only commits that touched a path that begins with this.
    prefix: String,
    /// Without what was merged into the branch.
    #[cfg_attr(feature = "describe", param(value_type = bool))]
    first_parent: Flag,
    /// Only commits created at this moment or later, as RFC 3339 has it.
    since: Option<String>,
    /// At most so many, the newest.
    amount: Option<usize>,
    /// Count what each commit has added, removed and changed against its first parent. Takes reading that.
    #[cfg_attr(feature = "describe", param(value_type = bool))]
    counts: Flag,
}

/// How a difference is told.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct DiffQuery {
    /// `parquet`, `csv` or `jsonl`; left out, the header Accept decides.
    format: Option<String>,
    /// Only paths that begin with this.
    prefix: String,
    /// Compare the two as they are, instead of what merging the right one would bring to the left one.
    #[cfg_attr(feature = "describe", param(value_type = bool))]
    two_dot: Flag,
}

/// What there is at a ref, as a file
///
/// All objects at a ref, by path, in one answer that is written while it is read. It is whole when it ends as HTTP says
/// that it ends: on an error in between the connection breaks off. Columns: docs/export.md.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/refs/{ref}/objects",
        tag = "export",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("ref" = String, Path, description = "The ref; of a branch, uncommitted changes count"),
            ObjectsQuery,
        ),
        responses(
            (status = 200, description = "The file", content(
                (String = "application/jsonl"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")
            )),
            (status = 406, description = "No format that the client takes", body = crate::error::Problem),
            (status = 429, description = "As many files are written as may be", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn objects(
    Reader(caller): Reader,
    State(app): State<AppState>,
    Path((repo, reference)): Path<(String, String)>,
    Query(query): Query<ObjectsQuery>,
    version: Version,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let format = asked(query.format.as_deref(), version, &headers)?;
    let places = app.export(&caller.key.id)?;
    let (repo, reference): (_, RefExpr) = (app.onward.repo(repo), reference.parse()?);
    let table = onward_export::objects(&repo, &reference, &query.prefix).await?;
    answer(places, table, format).await
}

/// The commits that lead to a ref, as a file
///
/// Newest first, in one answer that is written while it is read. It is whole when it ends as HTTP says that it ends.
/// Columns: docs/export.md.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/refs/{ref}/commits",
        tag = "export",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("ref" = String, Path, description = "The ref"),
            CommitsQuery,
        ),
        responses(
            (status = 200, description = "The file", content(
                (String = "application/jsonl"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")
            )),
            (status = 406, description = "No format that the client takes", body = crate::error::Problem),
            (status = 429, description = "As many files are written as may be", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn commits(
    Reader(caller): Reader,
    State(app): State<AppState>,
    Path((repo, reference)): Path<(String, String)>,
    Query(query): Query<CommitsQuery>,
    version: Version,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let format = asked(query.format.as_deref(), version, &headers)?;
    let places = app.export(&caller.key.id)?;
    let since_ms = query.since.as_deref().map(moment).transpose()?;
    let mut log =
        LogRequest { first_parent: query.first_parent.0, since_ms, ..LogRequest::default() };
    if !query.prefix.is_empty() {
        log.prefixes.push(query.prefix);
    }
    let request = CommitsRequest { log, counts: query.counts.0 };
    let (repo, reference): (_, RefExpr) = (app.onward.repo(repo), reference.parse()?);
    let table = onward_export::commits(&repo, &reference, &request).await?;
    answer(places, table.limited(query.amount), format).await
}

/// What differs between two refs, as a file
///
/// By path, in one answer that is written while it is read. It is whole when it ends as HTTP says that it ends.
/// Columns: docs/export.md.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/refs/{left}/diff/{right}",
        tag = "export",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("left" = String, Path, description = "What would be merged into"),
            ("right" = String, Path, description = "What would be merged"),
            DiffQuery,
        ),
        responses(
            (status = 200, description = "The file", content(
                (String = "application/jsonl"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")
            )),
            (status = 406, description = "No format that the client takes", body = crate::error::Problem),
            (status = 429, description = "As many files are written as may be", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn diff(
    Reader(caller): Reader,
    State(app): State<AppState>,
    Path((repo, left, right)): Path<(String, String, String)>,
    Query(query): Query<DiffQuery>,
    version: Version,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let format = asked(query.format.as_deref(), version, &headers)?;
    let places = app.export(&caller.key.id)?;
    let (left, right): (RefExpr, RefExpr) = (left.parse()?, right.parse()?);
    let repo = app.onward.repo(repo);
    let table =
        onward_export::changes(&repo, (&left, &right), &query.prefix, query.two_dot.0).await?;
    answer(places, table, format).await
}

fn moment(text: &str) -> ApiResult<i64> {
    clock::ms_of_rfc3339(text).ok_or_else(|| {
        ApiError::invalid("'since' is no moment: give one as RFC 3339 has it, 2026-11-28T09:00:00Z")
    })
}

/// The format that the query names, or the header Accept.
fn asked(named: Option<&str>, version: Version, headers: &HeaderMap) -> ApiResult<Format> {
    let format = match named {
        Some(name) => name.parse()?,
        None => accepted(list(headers, &header::ACCEPT)?.as_deref().unwrap_or("*/*"))
            .ok_or_else(|| {
                ApiError::new(
                    StatusCode::NOT_ACCEPTABLE,
                    "not_supported",
                    "none of what is accepted can be written: there are application/vnd.apache.parquet, text/csv and application/jsonl",
                )
            })?,
    };
    // Before 1.1 an answer without a length ends where the connection does, for whatever reason.
    if version < Version::HTTP_11 && !format.shows_its_end() {
        let error = ApiError::new(
            StatusCode::UPGRADE_REQUIRED,
            "not_supported",
            "in HTTP/1.0 a file that breaks off looks like a whole one: send the request by HTTP/1.1 (a proxy in between may have to be told), or take parquet",
        );
        return Err(error.with_header(header::UPGRADE, HeaderValue::from_static("HTTP/1.1")));
    }
    Ok(format)
}

/// The format that a client prefers (RFC 9110, 12.5.1); of those alike, lines of JSON and then the first.
fn accepted(accept: &str) -> Option<Format> {
    let ranges: Vec<(String, f32)> = accept.split(',').filter_map(range).collect();
    let weight = |format: Format| {
        let media_type = format.media_type().split(';').next().unwrap_or_default();
        let group = media_type.split('/').next().unwrap_or_default();
        let names = [media_type.to_owned(), format!("{group}/*"), "*/*".to_owned()];
        let closest = names.iter().find_map(|name| ranges.iter().find(|(range, _)| range == name));
        closest.map_or(0.0, |(_, weight)| *weight)
    };
    let all = [Format::JsonLines, Format::Parquet, Format::Csv];
    let best = all.into_iter().reduce(|best, next| match weight(next) > weight(best) {
        true => next,
        false => best,
    });
    best.filter(|format| weight(*format) > 0.0)
}

/// A range of media types, in lower case, and its weight.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = match parts.next()?.to_ascii_lowercase() {
        // What others call lines of JSON.
        name if name == "application/x-ndjson" => "application/jsonl".to_owned(),
        name => name,
    };
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse);
    Some((name, weight.transpose().ok()?.unwrap_or(1.0)))
}

/// The answer: what fails before its first row is told as an error, unless that row takes long. The places are given back
/// when all is read or given up.
async fn answer(
    (own_place, place): (Place, OwnedSemaphorePermit),
    table: Table,
    format: Format,
) -> ApiResult<Response> {
    let name = table.schema().name;
    let mut pieces = table.encoded(format)?;
    let first = match tokio::time::timeout(HEAD_WITHIN, pieces.try_next()).await {
        Ok(first) => first?,
        Err(_) => None,
    };
    let pieces = stream::iter(first.map(Ok)).chain(pieces);
    let bytes = pieces.map(move |piece| {
        let _held = &place;
        piece.map(|Piece { bytes, .. }| bytes).inspect_err(|error| {
            tracing::warn!(%error, "a file broke off, and the connection with it");
        })
    });
    let names = format!("attachment; filename=\"{name}.{}\"", format.name());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, names),
    ];
    Ok(own_place.held_by((headers, Body::from_stream(bytes)).into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_client_prefers() {
        for (accept, expected) in [
            ("*/*", Some(Format::JsonLines)),
            ("text/csv", Some(Format::Csv)),
            ("text/*, application/json;q=0.5", Some(Format::Csv)),
            ("application/x-ndjson", Some(Format::JsonLines)),
            (
                "application/jsonl; q=0.2, application/vnd.apache.parquet;q=0.7",
                Some(Format::Parquet),
            ),
            ("TEXT/CSV;q=0.1, */*;q=0.05", Some(Format::Csv)),
            ("application/jsonl;q=0, */*", Some(Format::Parquet)),
            ("text/html, image/png", None),
            ("text/csv;q=0", None),
            ("", None),
        ] {
            assert_eq!(accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn what_would_break_off_unseen_is_not_written_for_http_1_0() {
        let headers = HeaderMap::new();
        for format in Format::ALL {
            assert_eq!(asked(Some(format.name()), Version::HTTP_11, &headers).unwrap(), format);
            let old = asked(Some(format.name()), Version::HTTP_10, &headers);
            assert_eq!(old.is_ok(), format == Format::Parquet, "{format:?}");
        }
        let refused = asked(None, Version::HTTP_10, &headers).unwrap_err();
        assert_eq!(refused.status(), StatusCode::UPGRADE_REQUIRED);
    }
}
