//! Refusals and failures in the words of S3: a code that clients know, and our message.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::error::ApiError;
use onward::internals::repo::Repository;

/// What a client is told where nothing better is known than a status.
pub fn told(error: impl Into<ApiError>) -> S3Error {
    let error: ApiError = error.into();
    use StatusCode as S;
    let code = match error.status() {
        S::BAD_REQUEST | S::UNPROCESSABLE_ENTITY | S::UNSUPPORTED_MEDIA_TYPE => {
            S3ErrorCode::InvalidArgument
        }
        S::UNAUTHORIZED | S::FORBIDDEN => S3ErrorCode::AccessDenied,
        // 410 is of bytes that an entry names and that are not there: the object is, and is damaged. It
        // falls to InternalError with the rest.
        S::NOT_FOUND => S3ErrorCode::NoSuchKey,
        S::REQUEST_TIMEOUT => S3ErrorCode::RequestTimeout,
        S::CONFLICT => S3ErrorCode::OperationAborted,
        S::PRECONDITION_FAILED => S3ErrorCode::PreconditionFailed,
        S::PAYLOAD_TOO_LARGE => S3ErrorCode::EntityTooLarge,
        S::RANGE_NOT_SATISFIABLE => S3ErrorCode::InvalidRange,
        S::TOO_MANY_REQUESTS => S3ErrorCode::SlowDown,
        S::SERVICE_UNAVAILABLE => S3ErrorCode::ServiceUnavailable,
        S::NOT_IMPLEMENTED => S3ErrorCode::NotImplemented,
        _ => S3ErrorCode::InternalError,
    };
    let mut headers = HeaderMap::new();
    if let Some(wait) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if let Some((name, value)) = error.header() {
        headers.insert(name.clone(), value.clone());
    }
    let mut told = S3Error::with_message(code, error.message().to_owned());
    if !headers.is_empty() {
        told.set_headers(headers);
    }
    told
}

/// What a client is told of an object: where there is not even its bucket, that.
pub async fn told_of(repo: &Repository, error: impl Into<ApiError>) -> S3Error {
    let told = told(error);
    if *told.code() != S3ErrorCode::NoSuchKey {
        return told;
    }
    match repo.show().await {
        Err(gone) if gone.kind() == onward::ErrorKind::NotFound => told_bucket(gone),
        _ => told,
    }
}

/// What is done with an object, told in the words of S3: where there is not even its bucket, that.
pub async fn within<T, E: Into<ApiError>>(
    repo: &Repository,
    doing: impl Future<Output = Result<T, E>>,
) -> S3Result<T> {
    match doing.await {
        Ok(done) => Ok(done),
        Err(error) => Err(told_of(repo, error).await),
    }
}

/// 304: the client has it already.
pub fn not_modified(etag: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(etag) = HeaderValue::from_str(etag) {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ETAG, etag);
        error.set_headers(headers);
    }
    error
}

/// What a client is told who asks for a bucket.
pub fn told_bucket(error: onward::Error) -> S3Error {
    match error.kind() {
        onward::ErrorKind::NotFound => {
            S3Error::with_message(S3ErrorCode::NoSuchBucket, error.for_callers())
        }
        _ => told(error),
    }
}
