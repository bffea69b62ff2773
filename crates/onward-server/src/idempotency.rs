//! Requests that a client makes once, however often it sends them.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::{ApiError, ApiResult};
use super::headers::text;
use onward::{OpId, Outcome};

/// The header by which a client makes a request once, however often it sends it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that tells what became of a request which was sent before.
pub const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));

/// The longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;

/// The op that a request with an idempotency key stands for: the same whenever the same access key
/// sends it for the same thing, `what`. Whether the rest of the request is the same, too, its
/// fingerprint tells.
pub fn idempotent_op(
    headers: &HeaderMap,
    access_key: &str,
    what: &[&str],
) -> ApiResult<Option<OpId>> {
    let Some(key) = text(headers, &IDEMPOTENCY_KEY)? else { return Ok(None) };
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LEN_MAX {
        return Err(ApiError::invalid(format!(
            "the header Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LEN_MAX} visible characters"
        )));
    }
    let parts = what.iter().copied().chain([access_key, key]);
    let parts: String = parts.map(|part| format!("{}:{part}", part.len())).collect();
    Ok(Some(OpId::of_bytes(parts.as_bytes())))
}

/// Whether an outcome is that of an earlier request.
pub fn is_replayed(outcome: &Outcome) -> bool {
    outcome.details().repeated
}

/// The answer, which says so where it is that of an earlier request.
pub fn replayed(is_replayed: bool, mut answer: Response) -> Response {
    if is_replayed {
        answer.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    }
    answer
}
