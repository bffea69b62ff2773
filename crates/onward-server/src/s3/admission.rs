//! Which requests are listened to at all: signed with SigV4 by a key that there is, by who has not guessed
//! too often, in forms of which nothing can be added on the way.
//!
//! s3s takes more than this: SigV2, whose signatures in headers never end; forms; presigned URLs that are
//! good for a century; headers that change what is done and are not signed.

use std::sync::Arc;

use axum::extract::Request;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::error::told;
use super::talk::Talk;
use crate::extract::parameters;
use crate::headers::{media_type, text};
use crate::state::App;
use crate::urls::check;

/// How long a presigned URL may be good, in seconds: seven days, as in S3.
const EXPIRES_MAX: u32 = 7 * 24 * 3600;

/// Headers that a request has, at most.
const HEADERS_MAX: usize = 100;

/// Headers that need not be signed, though they begin like those that must be: their values are part of what
/// is signed, or of a presigned URL, whose body is not signed anyway.
const UNSIGNED: [&str; 2] = ["x-amz-content-sha256", "x-amz-date"];

/// What a request shows of its signer.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    key: String,
    signed: Vec<String>,
}

/// What a request shows of its signer, unless it has a form that is not taken.
pub fn shown(request: &Request) -> S3Result<Shown> {
    let headers = request.headers();
    check(request.uri()).map_err(told)?;
    if headers.len() > HEADERS_MAX {
        return Err(s3_error!(
            RequestHeaderSectionTooLarge,
            "a request has at most {HEADERS_MAX} headers"
        ));
    }
    refuse_forms(request.method(), headers)?;
    let shown = read(headers, request.uri())?;
    require_signed(headers, &shown)?;
    Ok(shown)
}

/// Finds out whose the key is that a request from the address `from` shows.
pub async fn admit(app: &App, from: Arc<str>, shown: Shown) -> S3Result<Arc<Talk>> {
    let signing = app.signing(&from, &shown.key).await.map_err(told)?;
    let signing = signing.ok_or_else(|| {
        s3_error!(InvalidAccessKeyId, "there is no access key of this id, or it may not sign")
    })?;
    Ok(Arc::new(Talk::new(from, signing)))
}

/// A form brings its policy in its body, which would be read before it is known whose it is.
fn refuse_forms(method: &Method, headers: &HeaderMap) -> S3Result<()> {
    let kind = media_type(headers).map_err(told)?;
    if *method == Method::POST && kind.as_deref() == Some("multipart/form-data") {
        return Err(s3_error!(
            NotImplemented,
            "uploads by a form are not offered: use a presigned PUT"
        ));
    }
    Ok(())
}

fn read(headers: &HeaderMap, uri: &Uri) -> S3Result<Shown> {
    let header = text(headers, &AUTHORIZATION).map_err(told)?;
    let pairs = parameters(uri).map_err(told)?;
    let parameter = |name: &str| {
        let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        values.next().map(String::as_str)
    };
    let is_presigned = parameter("X-Amz-Signature").is_some();
    if parameter("Signature").is_some() || header.is_some_and(|text| text.starts_with("AWS ")) {
        return Err(s3_error!(
            AuthorizationQueryParametersError,
            "signatures of version 2 are not taken, because they can be used again and again: sign with SigV4 (boto3: Config(signature_version='s3v4'))"
        ));
    }
    let said = match (header, is_presigned) {
        (Some(_), true) => {
            return Err(s3_error!(
                InvalidRequest,
                "a request is signed by its header Authorization or by its URL, not by both"
            ));
        }
        (Some(header), false) => by_header(header),
        (None, true) => {
            check_expiry(parameter("X-Amz-Expires"))?;
            parameter("X-Amz-Credential").zip(parameter("X-Amz-SignedHeaders"))
        }
        (None, false) => {
            return Err(s3_error!(
                AccessDenied,
                "anonymous requests are not answered: sign with an access key of this deployment"
            ));
        }
    };
    let (credential, signed) = said.ok_or_else(|| {
        s3_error!(
            AuthorizationHeaderMalformed,
            "the signature cannot be read: it is AWS4-HMAC-SHA256 with Credential, SignedHeaders and Signature"
        )
    })?;
    Ok(Shown {
        key: credential.split('/').next().unwrap_or_default().to_owned(),
        signed: signed.split(';').map(str::to_ascii_lowercase).collect(),
    })
}

/// Credential and signed headers of `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
fn by_header(text: &str) -> Option<(&str, &str)> {
    let fields = text.strip_prefix("AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    field("Credential").zip(field("SignedHeaders"))
}

fn check_expiry(text: Option<&str>) -> S3Result<()> {
    match text.and_then(|text| text.parse::<u32>().ok()) {
        Some(1..=EXPIRES_MAX) => Ok(()),
        _ => Err(s3_error!(
            AuthorizationQueryParametersError,
            "X-Amz-Expires is 1 to {EXPIRES_MAX} seconds"
        )),
    }
}

/// Whoever sees a signed request on its way must not be able to make another one of it.
fn require_signed(headers: &HeaderMap, shown: &Shown) -> S3Result<()> {
    let is_signed = |name: &str| shown.signed.iter().any(|signed| signed == name);
    let must = |name: &str| name.starts_with("x-amz-") && !UNSIGNED.contains(&name);
    if !is_signed("host") {
        return Err(s3_error!(AccessDenied, "the header host has to be signed"));
    }
    let mut names = headers.keys().map(http::HeaderName::as_str);
    let Some(name) = names.find(|name| must(name) && !is_signed(name)) else { return Ok(()) };
    let mut error = S3Error::new(S3ErrorCode::AccessDenied);
    error.set_message(format!(
        "there were headers present in the request which were not signed: {name}"
    ));
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn uri(query: &str) -> Uri {
        format!("/lake/main/a?{query}").parse().unwrap()
    }

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=ID/20261128/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab";

    #[test]
    fn a_signer_is_read_from_a_header_or_a_query() {
        let by_header = read(&headers(&[("authorization", SIGNED)]), &uri("")).unwrap();
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ID%2F20261128%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host%3Bx-amz-date&X-Amz-Expires=60&X-Amz-Signature=ab";
        let by_query = read(&HeaderMap::new(), &uri(query)).unwrap();
        assert_eq!(by_header.key, "ID");
        assert_eq!(by_header.signed, ["host", "x-amz-date"]);
        assert_eq!(by_query, by_header);
    }

    #[test]
    fn what_s3s_takes_too_lightly_is_refused() {
        let expires = |text: &str| {
            format!(
                "X-Amz-Credential=ID&X-Amz-SignedHeaders=host&X-Amz-Expires={text}&X-Amz-Signature=ab"
            )
        };
        for (lines, query) in [
            (vec![], String::new()),
            (vec![("authorization", "AWS ID:signature")], String::new()),
            (vec![("authorization", "Basic aWQ6c2VjcmV0")], String::new()),
            (vec![("authorization", SIGNED)], "X-Amz-Signature=ab".to_owned()),
            (vec![], "AWSAccessKeyId=ID&Expires=4000000000&Signature=ab".to_owned()),
            (vec![], expires("604801")),
            (vec![], expires("0")),
            (vec![], expires("-1")),
            (vec![], "X-Amz-Signature=ab".to_owned()),
        ] {
            assert!(read(&headers(&lines), &uri(&query)).is_err(), "{lines:?} {query}");
        }
        let form = headers(&[("content-type", "Multipart/Form-Data; boundary=x")]);
        assert!(refuse_forms(&Method::POST, &form).is_err());
        assert!(refuse_forms(&Method::PUT, &form).is_ok());
    }

    #[test]
    fn nothing_that_counts_is_added_on_the_way() {
        let shown = |signed: &[&str]| Shown {
            key: "ID".to_owned(),
            signed: signed.iter().map(|name| (*name).to_owned()).collect(),
        };
        let copying = headers(&[("x-amz-copy-source", "lake/main/a"), ("x-amz-date", "now")]);
        assert!(require_signed(&copying, &shown(&["host"])).is_err());
        assert!(require_signed(&copying, &shown(&["host", "x-amz-copy-source"])).is_ok());
        assert!(require_signed(&copying, &shown(&["x-amz-copy-source"])).is_err());
        let plain =
            headers(&[("range", "bytes=0-1"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
        assert!(require_signed(&plain, &shown(&["host"])).is_ok());
    }
}
