//! What a request is told when it is refused or fails: a status, a code for programs, a message for
//! people.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use onward::{Error, ErrorKind, OpId};

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// How long to wait before the next attempt where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The body of every answer that is not a success.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct Problem {
    /// What happened and what to do, for people.
    pub message: String,
    /// What happened, for programs: `invalid`, `not_found`, `conflict`, `condition_not_met`,
    /// `no_changes`, `unauthenticated`, `forbidden`, `too_large`, `unavailable`, `overloaded`,
    /// `too_many_sealed`, `key_reused`, `fenced`, `corrupt`, `newer_version`, `not_supported`, `method_not_allowed`, `timeout`,
    /// `internal`.
    pub code: &'static str,
    /// How long to wait before the next attempt, where the request was not accepted for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The op that was accepted and will be decided, where its outcome could not be waited for: its ticket,
    /// at `Location`, tells what becomes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_id: Option<String>,
}

/// The message of an answer that is a [`Problem`], for those who say it in another way: in the words of
/// another API, or as a page.
#[cfg(any(feature = "iceberg", feature = "page"))]
#[derive(Debug, Clone)]
pub struct Told(pub String);

/// A refusal or failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<Duration>,
    op_id: Option<OpId>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// A refusal with a status of its own.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, op_id: None, header: None }
    }

    /// 400: the request breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// 401: nobody, or not who he says.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message);
        let challenge = HeaderValue::from_static("Basic realm=\"onward\", charset=\"UTF-8\"");
        error.header = Some(Box::new((header::WWW_AUTHENTICATE, challenge)));
        error
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 409: what is there stands against it, and asking again will not help.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 429: not accepted for now.
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message);
        error.retry_after = Some(retry_after);
        error
    }

    /// Says which op was accepted and is not decided, and where its ticket is.
    #[must_use]
    pub fn of_op(mut self, op_id: OpId, ticket: &str) -> Self {
        self.op_id = Some(op_id);
        // Names are made of characters that a header may have.
        self.header =
            HeaderValue::from_str(ticket).ok().map(|ticket| Box::new((header::LOCATION, ticket)));
        self
    }

    /// The same error where callers know it by words of lakeFS: they come first.
    #[must_use]
    pub fn known_as(mut self, words: &str) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }

    /// The same error with more words behind it.
    #[must_use]
    pub fn and(mut self, words: &str) -> Self {
        self.message = format!("{}; {words}", self.message);
        self
    }

    /// 501: part of the lakeFS API that Onward has no use for.
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_supported", message)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The message of the answer.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before the next attempt, where that would help.
    #[cfg(any(feature = "s3", feature = "page"))]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The header that the answer has.
    #[cfg(feature = "s3")]
    pub fn header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        self.header.as_deref().map(|(name, value)| (name, value))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "invalid"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::Overloaded { .. } => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
            ErrorKind::TooManySealed { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_sealed"),
            ErrorKind::OpIdReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
            ErrorKind::Fenced => (StatusCode::CONFLICT, "fenced"),
            ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt"),
            ErrorKind::NewerVersion => (StatusCode::NOT_IMPLEMENTED, "newer_version"),
            // A kind that is newer than this sidecar is told as what it cannot explain.
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if status.is_server_error() {
            tracing::warn!(code, %error, "a request failed");
        }
        let retry_after = match error.kind() {
            ErrorKind::Unavailable => Some(RETRY_AFTER),
            kind => kind.retry_after(),
        };
        Self { status, code, message: error.for_callers(), retry_after, op_id: None, header: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry_after_ms = self.retry_after.map(|wait| wait.as_millis() as u64);
        #[cfg(any(feature = "iceberg", feature = "page"))]
        let told = Told(self.message.clone());
        let op_id = self.op_id.map(|op_id| op_id.to_string());
        let problem = Problem { message: self.message, code: self.code, retry_after_ms, op_id };
        let mut response = (self.status, Json(problem)).into_response();
        #[cfg(any(feature = "iceberg", feature = "page"))]
        response.extensions_mut().insert(told);
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, in_seconds(wait));
        }
        if let Some(header) = self.header {
            let (name, value) = *header;
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A wait as the header Retry-After has it: whole seconds, rounded up: who comes back at that time is not told
/// the same again.
pub fn in_seconds(wait: Duration) -> HeaderValue {
    (wait.as_millis() as u64).div_ceil(1000).max(1).into()
}

/// A JSON object as an answer with a status.
pub fn json(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
