//! How requests are read: bodies and queries with a limit, and with a message that says where they
//! are wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::error::ApiError;
use onward::internals::model::error::quoted;
use onward::{Change, Error};

/// A body in JSON. An empty one reads as `{}`, as clients send it where every field is optional.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = body(request, state).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        object(bytes).map(Self).map_err(|why| {
            ApiError::invalid(format!("the body is not the JSON that is expected here: {why}"))
        })
    }
}

/// A JSON object, or what is wrong with it. (An array would do for the parser: the fields in their
/// order.)
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.trim_ascii_start().first() {
        Some(b'{') | None => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        Some(_) => Err("it is not an object".to_owned()),
    }
}

/// A body that is a JSON array.
pub struct JsonItems<T>(pub Vec<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonItems<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = body(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            ApiError::invalid(format!("the body is not the JSON array expected here: {error}"))
        })
    }
}

/// The whole body, if it is not over the limit of the route.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is over the limit of this route: send it in parts",
        ),
        _ => broke_off(&rejection),
    })
}

/// What a client is told whose body did not come to its end.
pub fn broke_off(error: &(dyn std::error::Error + 'static)) -> ApiError {
    if timed_out(error) {
        return ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the next piece of the body did not come in time: send the request again",
        );
    }
    ApiError::invalid("the body broke off: nothing was done, send the request again")
}

/// Whether the cause of an error is a body whose next piece did not come in time.
pub fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<tower_http::timeout::TimeoutError>())
}

/// The query of a URL.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query).map(Self).map_err(|error| {
            ApiError::invalid(format!("the query '{}' is not valid: {error}", quoted(query)))
        })
    }
}

/// Parts of the URL's path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|path| Self(path.0))
            .map_err(|_| ApiError::invalid("the path of the URL is not valid UTF-8"))
    }
}

/// A truth value, in the spellings of Go's `ParseBool` and of Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Self(true)),
            "" | "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Self(false)),
            other => {
                Err(D::Error::custom(format!("'{}' is neither true nor false", quoted(other))))
            }
        }
    }
}

/// The text of a header, if it is there and readable.
pub fn header_text<'a>(parts: &'a http::HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    parts.get(name).and_then(|value| value.to_str().ok())
}

/// The largest size that a client may say an object has, in bytes: clients of the lakeFS API keep sizes
/// in 64 bits with a sign, and a single one with more would break every listing that shows it.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Refuses a put whose object is said to be larger than [`SIZE_MAX`].
pub fn check_size(change: &Change) -> Result<(), Error> {
    match change.entry() {
        Some(entry) if entry.size > SIZE_MAX => Err(Error::invalid(format!(
            "a size of {} bytes is over the limit of {SIZE_MAX}",
            entry.size
        ))),
        _ => Ok(()),
    }
}

/// The value of a header that has a condition: `If-Match` or `If-None-Match`. One that cannot be read,
/// or a second one, is refused: no condition is left out in silence.
pub fn single_tag<'a>(
    headers: &'a http::HeaderMap,
    name: &header::HeaderName,
) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::invalid(format!("the header {name} is there twice: send it once")));
    }
    let tag = value.to_str().map_err(|_| {
        ApiError::invalid(format!("the header {name} has characters that no ETag has"))
    })?;
    Ok(Some(tag.trim()))
}
