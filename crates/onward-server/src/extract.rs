//! How requests are read: bodies and queries with a limit, and with a message that says where they
//! are wrong. All routes read them by what is here.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::{Extension, Router};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::error::ApiError;
use super::headers::codings;
use super::integrity::WrongMd5;
use onward::internals::model::error::quoted;
use onward::internals::model::ids::Fingerprint;

/// A body in JSON. An empty one reads as `{}`, as clients send it where every field is optional.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        whole_object(&body(request, state).await?).map(Self)
    }
}

fn whole_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    object(bytes).map_err(|why| {
        ApiError::invalid(format!("the body is not the JSON that is expected here: {why}"))
    })
}

/// A body in JSON, and what tells it from others.
pub struct PrintedJson<T>(pub T, pub Fingerprint);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for PrintedJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = body(request, state).await?;
        Ok(Self(whole_object(&bytes)?, Fingerprint::of(&bytes)))
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

/// A body that is a form, as OAuth and browsers send it.
#[cfg(any(feature = "iceberg", feature = "page"))]
pub async fn form<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<T, ApiError> {
    read_form(&body(request, state).await?)
}

#[cfg(any(feature = "iceberg", feature = "page"))]
fn read_form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_html_form::from_bytes(bytes).map_err(|error| {
        ApiError::invalid(format!("the body is not the form expected here: {error}"))
    })
}

/// A body that is a form.
#[cfg(feature = "page")]
pub struct Form<T>(pub T);

#[cfg(feature = "page")]
impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        form(request, state).await.map(Self)
    }
}

/// The values that a form has under one name, and the form without them.
#[cfg(feature = "page")]
pub fn taken_out(form: &[u8], name: &str) -> Result<(Vec<String>, String), ApiError> {
    let fields: Vec<(String, String)> = read_form(form)?;
    let (taken, rest): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(field, _)| field == name);
    let rest = serde_html_form::to_string(&rest)
        .map_err(|error| ApiError::invalid(format!("the form cannot be read: {error}")))?;
    Ok((taken.into_iter().map(|(_, value)| value).collect(), rest))
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

/// The most bytes of a body that is read whole.
#[derive(Debug, Clone, Copy)]
struct BodyMax(usize);

/// Lets the bodies of these routes be no longer than so many bytes, where they are read whole.
pub fn limited<S: Clone + Send + Sync + 'static>(routes: Router<S>, max: usize) -> Router<S> {
    routes.layer(DefaultBodyLimit::max(max)).layer(Extension(BodyMax(max)))
}

/// The whole body, if it is not over the limit of the route and not packed.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    refuse_codings(request.headers())?;
    let max = request.extensions().get::<BodyMax>().copied();
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            match max {
                Some(BodyMax(max)) => {
                    format!("the body is over the limit of {max} bytes: send it in parts")
                }
                None => "the body is over the limit of this route: send it in parts".to_owned(),
            },
        ),
        _ => broke_off(&rejection),
    })
}

/// Refuses a body that is packed, where nobody unpacks it: what was meant is not what would be read.
pub fn refuse_codings(headers: &http::HeaderMap) -> Result<(), ApiError> {
    let codings = codings(headers)?;
    if codings.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_supported",
        format!(
            "the Content-Encoding '{}' is not taken here: send the bytes as they are, without the header",
            quoted(&codings.join(", "))
        ),
    ))
}

/// What a client is told whose body did not come to its end, or came to another one than it said.
pub fn broke_off(error: &(dyn std::error::Error + 'static)) -> ApiError {
    told_of_body(error).unwrap_or_else(|| {
        ApiError::invalid("the body broke off: nothing was done, send the request again")
    })
}

/// What a client is told if the cause of an error is a body whose next piece did not come in time, or
/// one that is not what its sender says.
pub fn told_of_body(error: &(dyn std::error::Error + 'static)) -> Option<ApiError> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|cause| {
        if cause.is::<tower_http::timeout::TimeoutError>() {
            return Some(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the next piece of the body did not come in time: send the request again",
            ));
        }
        cause.is::<WrongMd5>().then(|| ApiError::invalid(WrongMd5.to_string()))
    })
}

/// The query of a URL.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let name = error.path().to_string();
            let at = if name == "." { String::new() } else { format!(" at '{}'", quoted(&name)) };
            let is_it = |pair: &&str| pair.split('=').next() == Some(name.as_str());
            if query.split('&').filter(is_it).count() > 1 {
                let name = quoted(&name);
                return ApiError::invalid(format!(
                    "the parameter '{name}' is there more than once: send it once"
                ));
            }
            let why = error.into_inner();
            ApiError::invalid(format!("the query '{}' is not valid{at}: {why}", quoted(query)))
        })
    }
}

/// All parameters of a URL, in their order.
#[cfg(feature = "s3")]
pub fn parameters(uri: &http::Uri) -> Result<Vec<(String, String)>, ApiError> {
    let query = uri.query().unwrap_or_default();
    serde_html_form::from_str(query).map_err(|error| {
        ApiError::invalid(format!("the query '{}' cannot be read: {error}", quoted(query)))
    })
}

/// The query of a route that takes no parameters: one that is there is a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

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
