//! Conditions of requests (RFC 9110, 13): what a client asks of the object that is there before anything
//! is done, and in which order that is judged.
//!
//! A condition is judged or refused, never passed over: who sends one relies on it. Routes that judge
//! none refuse all of them.

use axum::extract::Request;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};

use super::error::{ApiError, ApiResult};
use super::headers::{list, text};

/// Every header that makes a request conditional.
const ALL: [&str; 5] =
    ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"];

/// Those by ETags alone. Writes have no others: a date is what a client said, and has no more than
/// seconds.
const BY_ETAG: &[&str] = &["If-Match", "If-None-Match"];

/// Which routes judge conditions, and which ones.
const OFFERED: &[(&[Method], &str, &[&str])] = &[
    (&[Method::GET, Method::HEAD], "/api/v1/repositories/{repo}/refs/{ref}/objects", &ALL),
    (
        &[Method::POST, Method::PUT, Method::DELETE],
        "/api/v1/repositories/{repo}/branches/{branch}/objects",
        BY_ETAG,
    ),
    (&[Method::POST], "/api/v1/repositories/{repo}/branches/{branch}/objects/copy", BY_ETAG),
    (
        &[Method::PUT],
        "/api/v1/repositories/{repo}/branches/{branch}/objects/stat/user_metadata",
        BY_ETAG,
    ),
    (&[Method::PUT], "/api/v1/repositories/{repo}/branches/{branch}/staging/backing", BY_ETAG),
    (
        &[Method::GET, Method::HEAD, Method::PUT],
        "/api/v1/repositories/{repo}/settings/branch_protection",
        BY_ETAG,
    ),
    (
        &[Method::GET, Method::HEAD, Method::PUT],
        "/onward/v1/repositories/{repo}/write_policy",
        BY_ETAG,
    ),
];

/// Why a request is refused that has a condition which its route does not judge.
pub fn unoffered(route: &str, request: &Request) -> Option<ApiError> {
    let offered = OFFERED.iter().find_map(|(methods, of, offered)| {
        (*of == route && methods.contains(request.method())).then_some(*offered)
    });
    let offered = offered.unwrap_or_default();
    let mut sent = ALL.into_iter().filter(|name| request.headers().contains_key(*name));
    let name = sent.find(|name| !offered.contains(name))?;
    Some(ApiError::invalid(format!(
        "the header {name} is not offered here, and nothing was done: send the request without it"
    )))
}

/// The tag of one version of something: strong, as all of this server's are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of an object with this checksum, which may have the quotes of a store's own tag.
    pub fn of_checksum(checksum: &str) -> Self {
        Self::new(checksum.trim_matches('"'))
    }

    /// A tag, without its quotes.
    pub fn new(opaque: impl Into<String>) -> Self {
        Self(opaque.into())
    }

    /// As it is written in a header.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// A tag as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    is_weak: bool,
    opaque: String,
}

/// What `If-Match` or `If-None-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`: anything that is there.
    Any,
    Of(Vec<Sent>),
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> ApiResult<Option<Self>> {
        let Some(text) = list(headers, name)? else { return Ok(None) };
        let tags = Self::parse(&text).ok_or_else(|| {
            ApiError::invalid(format!(
                "the header {name} cannot be read: it takes *, or ETags in quotes with commas between them"
            ))
        });
        tags.map(Some)
    }

    /// A list of tags may have empty elements, and tags may have commas in them. One without quotes is
    /// taken, too: clients send checksums as they are.
    fn parse(text: &str) -> Option<Self> {
        const BLANKS: [char; 2] = [' ', '\t'];
        if text.trim_matches(BLANKS) == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return (!tags.is_empty()).then_some(Self::Of(tags));
            }
            let weak = rest.strip_prefix("W/").filter(|behind| behind.starts_with('"'));
            let (is_weak, tag) = (weak.is_some(), weak.unwrap_or(rest));
            let (opaque, behind) = match tag.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => {
                    let (bare, behind) =
                        tag.split_at(tag.find([' ', '\t', ',']).unwrap_or(tag.len()));
                    (Some(bare).filter(|bare| !bare.contains(['"', '*']))?, behind)
                }
            };
            tags.push(Sent { is_weak, opaque: opaque.to_owned() });
            rest = behind.trim_start_matches(BLANKS);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }

    /// Whether what is there, if anything, is one of these. A weak tag matches only where `weakly`.
    fn name(&self, there: Option<&ETag>, weakly: bool) -> bool {
        match (self, there) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Of(tags), Some(there)) => {
                tags.iter().any(|tag| tag.opaque == there.0 && (weakly || !tag.is_weak))
            }
        }
    }
}

/// The conditions of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    /// Seconds since the Unix epoch, as the next one.
    unmodified_since: Option<i64>,
    modified_since: Option<i64>,
}

impl Conditions {
    /// Those of a request's headers.
    pub fn of(headers: &HeaderMap) -> ApiResult<Self> {
        let unmodified_since = match text(headers, &header::IF_UNMODIFIED_SINCE)? {
            None => None,
            Some(text) => Some(seconds_of(text).ok_or_else(|| {
                ApiError::invalid(
                    "the header If-Unmodified-Since is not a date as HTTP writes it: Sun, 06 Nov 1994 08:49:37 GMT",
                )
            })?),
        };
        Ok(Self {
            if_match: Tags::of(headers, &header::IF_MATCH)?,
            if_none_match: Tags::of(headers, &header::IF_NONE_MATCH)?,
            unmodified_since,
            // One that is no date says nothing (RFC 9110, 13.1.3), and what is read then is the whole.
            modified_since: text(headers, &header::IF_MODIFIED_SINCE)?.and_then(seconds_of),
        })
    }

    /// That what is there still has this tag, or that still nothing is there.
    #[cfg(feature = "s3")]
    pub fn unchanged(there: Option<ETag>) -> Self {
        match there {
            None => Self { if_none_match: Some(Tags::Any), ..Self::default() },
            Some(ETag(opaque)) => {
                let tags = Tags::Of(vec![Sent { is_weak: false, opaque }]);
                Self { if_match: Some(tags), ..Self::default() }
            }
        }
    }

    /// Whether anything holds.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Fails with 412 where they do not hold of `there`, which `what` names and has this tag if it is
    /// there at all. Judges by ETags alone.
    pub fn require(&self, what: &str, there: Option<&ETag>) -> ApiResult<()> {
        let is = |there: Option<&ETag>| match there {
            Some(etag) => format!("{what} is there, with the ETag {}", etag.quoted()),
            None => format!("{what} is not there"),
        };
        if self.if_match.as_ref().is_some_and(|tags| !tags.name(there, false)) {
            return Err(not_met(format!(
                "{}: If-Match does not hold, nothing was done",
                is(there)
            )));
        }
        if self.if_none_match.as_ref().is_some_and(|tags| tags.name(there, true)) {
            return Err(not_met(format!(
                "{}: If-None-Match does not hold, nothing was done",
                is(there)
            )));
        }
        Ok(())
    }

    /// Whether what is there is to be sent, when it has this tag and was modified at that moment, in
    /// seconds since the Unix epoch; `false` where its reader has it already (304). Fails with 412
    /// where it is not what its reader asks for.
    pub fn is_wanted(&self, etag: &ETag, modified: i64) -> ApiResult<bool> {
        match (&self.if_match, self.unmodified_since) {
            (Some(tags), _) if !tags.name(Some(etag), false) => {
                return Err(not_met(format!(
                    "If-Match does not hold: the object has the ETag {}",
                    etag.quoted()
                )));
            }
            (None, Some(since)) if modified > since => {
                return Err(not_met(
                    "If-Unmodified-Since does not hold: the object is newer".to_owned(),
                ));
            }
            _ => {}
        }
        Ok(match (&self.if_none_match, self.modified_since) {
            (Some(tags), _) => !tags.name(Some(etag), true),
            (None, Some(since)) => modified > since,
            (None, None) => true,
        })
    }
}

/// Whether a part of something with this tag is what the header `If-Range` wants; else all of it is. A
/// date never is: it does not tell two versions of one second apart (RFC 9110, 13.1.5).
pub fn wants_part_of(headers: &HeaderMap, etag: &ETag) -> ApiResult<bool> {
    Ok(text(headers, &header::IF_RANGE)?.is_none_or(|tag| tag.trim() == etag.quoted()))
}

fn not_met(message: String) -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_FAILED, "condition_not_met", message)
}

/// The moment of a date of HTTP, in any of its three forms, in seconds since the Unix epoch.
fn seconds_of(text: &str) -> Option<i64> {
    let moment = httpdate::parse_http_date(text.trim()).ok()?;
    let since = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn of(lines: &[(&'static str, &str)]) -> ApiResult<Conditions> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Conditions::of(&headers)
    }

    fn sent(tags: &[(bool, &str)]) -> Option<Tags> {
        let sent = |(is_weak, opaque): &(bool, &str)| Sent {
            is_weak: *is_weak,
            opaque: (*opaque).to_owned(),
        };
        Some(Tags::Of(tags.iter().map(sent).collect()))
    }

    #[test]
    fn lists_of_tags_are_read_as_http_writes_them() {
        for (text, expected) in [
            ("*", Some(Tags::Any)),
            (" * ", Some(Tags::Any)),
            (r#""a""#, sent(&[(false, "a")])),
            (r#"W/"a""#, sent(&[(true, "a")])),
            (r#""a", W/"b","c""#, sent(&[(false, "a"), (true, "b"), (false, "c")])),
            (r#"  , "a" ,, "b,c" , "#, sent(&[(false, "a"), (false, "b,c")])),
            (r#""""#, sent(&[(false, "")])),
            (r#"abc, "d""#, sent(&[(false, "abc"), (false, "d")])),
            // Weakness has a capital letter.
            (r#"w/"a""#, None),
            (r#""a" "b""#, None),
            (r#""a"#, None),
            (r#"a"b"#, None),
            (r#""a", *"#, None),
            ("", None),
            (" , ", None),
        ] {
            assert_eq!(Tags::parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            tags in prop::collection::vec((any::<bool>(), "[!#-~]{0,8}"), 1..6),
            gaps in prop::collection::vec("[ \t,]{0,3}", 7),
        ) {
            let mut text = gaps[0].clone();
            for ((is_weak, opaque), gap) in tags.iter().zip(&gaps[1..]) {
                let weak = if *is_weak { "W/" } else { "" };
                text.push_str(&format!("{weak}\"{opaque}\",{gap}"));
            }
            let expected: Vec<_> = tags.iter().map(|(weak, tag)| (*weak, tag.as_str())).collect();
            prop_assert_eq!(Tags::parse(&text), sent(&expected));
        }

        #[test]
        fn no_text_of_a_header_is_too_much(text in "[ -~\t]{0,40}") {
            let tags = Tags::parse(&text);
            // What has no tag in it never passes for a condition that holds.
            prop_assert!(tags != Some(Tags::Of(Vec::new())));
        }
    }

    #[test]
    fn writes_are_judged_by_strong_tags_first_and_absence_behind_that() {
        let (there, other) = (ETag::new("a"), ETag::new("b"));
        let holds = |lines: &[(&'static str, &str)], there: Option<&ETag>| {
            of(lines).unwrap().require("it", there).is_ok()
        };
        for (lines, at_a, at_b, at_none) in [
            (vec![], true, true, true),
            (vec![("if-match", r#""x", "a""#)], true, false, false),
            (vec![("if-match", r#"W/"a""#)], false, false, false),
            (vec![("if-match", "*")], true, true, false),
            (vec![("if-match", r#""x""#), ("if-match", r#""a""#)], true, false, false),
            (vec![("if-none-match", "*")], false, false, true),
            (vec![("if-none-match", r#"W/"a""#)], false, true, true),
            (vec![("if-match", "*"), ("if-none-match", r#""a""#)], false, true, false),
        ] {
            let told = [Some(&there), Some(&other), None].map(|there| holds(&lines, there));
            assert_eq!(told, [at_a, at_b, at_none], "{lines:?}");
        }
    }

    #[test]
    fn reads_are_judged_in_the_order_of_http() {
        let (etag, at) = (ETag::new("a"), 784_111_777);
        let (same, before, behind) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Sunday, 06-Nov-94 08:49:38 GMT",
        );
        let told = |lines: &[(&'static str, &str)]| {
            of(lines).unwrap().is_wanted(&etag, at).map_err(|error| error.status().as_u16()).ok()
        };
        for (lines, expected) in [
            (vec![], Some(true)),
            (vec![("if-match", r#""a""#)], Some(true)),
            (vec![("if-match", r#""b""#)], None),
            (vec![("if-match", r#"W/"a""#)], None),
            (vec![("if-unmodified-since", same)], Some(true)),
            (vec![("if-unmodified-since", behind)], Some(true)),
            (vec![("if-unmodified-since", before)], None),
            // By the tag where there is one.
            (vec![("if-match", r#""a""#), ("if-unmodified-since", before)], Some(true)),
            (vec![("if-none-match", r#"W/"a""#)], Some(false)),
            (vec![("if-none-match", r#""b""#)], Some(true)),
            (vec![("if-modified-since", same)], Some(false)),
            (vec![("if-modified-since", before)], Some(true)),
            (vec![("if-modified-since", "yesterday")], Some(true)),
            (vec![("if-none-match", r#""b""#), ("if-modified-since", same)], Some(true)),
            // What is not wanted is told before what is there already.
            (vec![("if-match", r#""b""#), ("if-none-match", r#""a""#)], None),
        ] {
            assert_eq!(told(&lines), expected, "{lines:?}");
        }
        assert!(of(&[("if-unmodified-since", "yesterday")]).is_err());
        assert!(of(&[("if-match", r#"a"b"#)]).is_err());
    }

    #[test]
    fn parts_are_only_of_what_is_the_same_for_certain() {
        let etag = ETag::of_checksum("\"a\"");
        for (value, wanted) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_RANGE, value.parse().unwrap())]);
            assert_eq!(wants_part_of(&headers, &etag).unwrap(), wanted, "{value}");
        }
        assert!(wants_part_of(&HeaderMap::new(), &etag).unwrap());
    }
}
