//! Requests that a client makes once, however often it sends them.

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::error::{ApiError, ApiResult};
use super::headers::text;
use onward::{OpId, Outcome};

/// The header by which a client makes a request once, however often it sends it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that tells what became of a request which was sent before.
pub const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));

/// The routes that take the header: those whose requests are ops. All of them are posted to.
const OFFERED: [&str; 6] = [
    "/api/v1/repositories/{repo}/branches/{branch}/commits",
    "/api/v1/repositories/{repo}/refs/{source}/merge/{dest}",
    "/api/v1/repositories/{repo}/branches/{branch}/revert",
    "/api/v1/repositories/{repo}/branches/{branch}/cherry-pick",
    "/onward/v1/repositories/{repo}/branches/{branch}/changes",
    "/onward/v1/repositories/{repo}/branches/{branch}/merge",
];

/// Why a request is refused whose key its route would pass over. One that only reads has nothing to do
/// once, and needs none.
pub fn unoffered(route: &str, request: &Request) -> Option<ApiError> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let is_sent = changes && request.headers().contains_key(&IDEMPOTENCY_KEY);
    if !is_sent || OFFERED.contains(&route) {
        return None;
    }
    Some(ApiError::invalid(
        "the header Idempotency-Key is offered for commits, change sets, merges, reverts and cherry-picks, and not here; nothing was done: send the request without it. Sent twice, it does nothing twice: what exists by then is told with 409, what is gone with 404, and an upload puts the same once more",
    ))
}

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
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LEN_MAX || !is_visible {
        return Err(ApiError::invalid(format!(
            "the header Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LEN_MAX} visible ASCII characters, and no blanks"
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

/// The answer that tells an outcome, which says so where it is that of an earlier request.
pub fn replayed(outcome: &Outcome, mut answer: Response) -> Response {
    if is_replayed(outcome) {
        answer.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    }
    answer
}
