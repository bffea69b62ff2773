//! The bytes of an object: the part that is asked for, and where they are read.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::conditions::{ETag, wants_part_of};
use super::error::{ApiError, ApiResult};
use super::headers::text;
use super::state::App;
use onward::Entry;
use onward::internals::model::error::quoted;
use onward::internals::objects::Streamed;
use onward::internals::repo::Repository;

/// The part that the header Range asks for.
pub fn wanted(headers: &HeaderMap, etag: &ETag, size: u64) -> ApiResult<Option<Wanted>> {
    // A part of what is no longer the same object would be joined with parts of another.
    let same = wants_part_of(headers, etag)?;
    let range = text(headers, &header::RANGE)?.filter(|_| same);
    Ok(range.and_then(|text| Wanted::of(text, size)))
}

/// 416, with the size that there is.
pub fn behind_the_end(size: u64) -> ApiError {
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

/// Opens the bytes of an object, or the part of them, wherever they lie. 410 where they are not those that
/// the entry says.
pub async fn open(
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

/// What a header Range asks for of an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The bytes in this range, which is not empty and within the object.
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
}
