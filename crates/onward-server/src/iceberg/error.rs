//! Errors as the specification has them: `{"error": {"message", "type", "code"}}`, and those of a login as OAuth has
//! them.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::error::{ApiError, Told, in_seconds};
use onward_iceberg::catalog::{CatalogError, Kind};

/// The result of a handler.
pub type Answer<T> = Result<T, IcebergError>;

/// A refusal on its way to the client.
#[derive(Debug)]
pub enum IcebergError {
    /// By the catalog.
    Catalog(CatalogError),
    /// By what all routes have in common; [`speak`] puts it into the specification's words.
    Api(ApiError),
}

impl From<CatalogError> for IcebergError {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(error)
    }
}

impl From<ApiError> for IcebergError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl IntoResponse for IcebergError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Api(error) => return error.into_response(),
            Self::Catalog(error) => error,
        };
        let (status, name) = status_of(error.kind);
        if status.is_server_error() {
            tracing::warn!(name, %error, "a request of a table failed");
        }
        let mut answer = (status, Json(model(status, name, &error.message))).into_response();
        if let Some(wait) = error.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, in_seconds(wait));
        }
        answer
    }
}

fn model(status: StatusCode, name: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": name, "code": status.as_u16()}})
}

fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::BadRequest | Kind::NotFound | Kind::TooLarge => {
            (StatusCode::BAD_REQUEST, "BadRequestException")
        }
        Kind::NoSuchWarehouse => (StatusCode::NOT_FOUND, "NoSuchWarehouseException"),
        Kind::NoSuchNamespace => (StatusCode::NOT_FOUND, "NoSuchNamespaceException"),
        Kind::NoSuchTable => (StatusCode::NOT_FOUND, "NoSuchTableException"),
        Kind::NoSuchView => (StatusCode::NOT_FOUND, "NoSuchViewException"),
        Kind::AlreadyExists => (StatusCode::CONFLICT, "AlreadyExistsException"),
        Kind::NamespaceNotEmpty => (StatusCode::CONFLICT, "NamespaceNotEmptyException"),
        Kind::Unprocessable => (StatusCode::UNPROCESSABLE_ENTITY, "UnprocessableEntityException"),
        Kind::Forbidden | Kind::Refused => (StatusCode::FORBIDDEN, "ForbiddenException"),
        Kind::CommitFailed => (StatusCode::CONFLICT, "CommitFailedException"),
        Kind::CommitStateUnknown => (StatusCode::GATEWAY_TIMEOUT, "CommitStateUnknownException"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
        Kind::Unsupported => (StatusCode::NOT_ACCEPTABLE, "UnsupportedOperationException"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
    }
}

/// What the specification calls an error that is not the catalog's own.
fn name_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "NotAuthorizedException",
        StatusCode::FORBIDDEN => "ForbiddenException",
        StatusCode::NOT_FOUND => "NotFoundException",
        StatusCode::TOO_MANY_REQUESTS => "SlowDownException",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            "UnsupportedOperationException"
        }
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableException",
        status if status.is_server_error() => "InternalServerError",
        _ => "BadRequestException",
    }
}

/// Says in the specification's words what the layers above say in Onward's.
pub async fn speak(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (is_ours, is_login) = (path.starts_with("/iceberg/"), path.ends_with("/oauth/tokens"));
    let answer = next.run(request).await;
    let Some(told) = answer.extensions().get::<Told>().filter(|_| is_ours) else { return answer };
    let status = answer.status();
    let body = match (is_login, status) {
        (false, _) => model(status, name_of(status), &told.0),
        (true, StatusCode::UNAUTHORIZED) => oauth("invalid_client", &told.0),
        (true, _) => oauth("invalid_request", &told.0),
    };
    let mut spoken = (status, Json(body)).into_response();
    let kept = answer.headers().iter().filter(|(name, _)| {
        !matches!(**name, http::header::CONTENT_LENGTH | http::header::CONTENT_TYPE)
    });
    spoken.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    spoken
}

/// An error of a login (RFC 6749, 5.2).
pub fn oauth(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}
