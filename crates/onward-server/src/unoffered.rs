//! Headers that a route would pass over, though whoever sends them relies on them: refused by their name,
//! before anything is done.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};

use super::error::ApiError;
use super::headers::tokens;
use super::refused::refused;
use super::{conditions, idempotency};
use onward::internals::model::error::quoted;

/// Lets only those requests through of which everything is taken that was sent.
pub async fn refuse(request: Request, next: Next) -> Result<Response, ApiError> {
    match why(&request) {
        None => Ok(next.run(request).await),
        Some(why) => refused(request, why).await,
    }
}

fn why(request: &Request) -> Option<ApiError> {
    if let Some(packed) = packed_on_its_way(request.headers()) {
        return Some(packed);
    }
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    if !route.starts_with("/api/") && !route.starts_with("/onward/") {
        return None;
    }
    conditions::unoffered(route, request).or_else(|| idempotency::unoffered(route, request))
}

/// Why a body is refused that comes in another transfer coding than in chunks: what was meant is not what
/// would be stored. A server that does not know one says so with 501 (RFC 9112, 6.1).
fn packed_on_its_way(headers: &HeaderMap) -> Option<ApiError> {
    let names = match tokens(headers, &header::TRANSFER_ENCODING) {
        Ok(names) => names,
        Err(unreadable) => return Some(unreadable),
    };
    let other = names.into_iter().find(|name| name != "chunked")?;
    Some(ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "not_supported",
        format!(
            "the Transfer-Encoding '{}' is not taken, and nothing was done: send the bytes as they are, with a Content-Length or chunked",
            quoted(&other)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_only_way_in_which_bodies_travel() {
        let status = |value: &str| {
            let value = value.parse().unwrap();
            let headers = HeaderMap::from_iter([(header::TRANSFER_ENCODING, value)]);
            packed_on_its_way(&headers).map(|why| why.status().as_u16())
        };
        for taken in ["chunked", "Chunked", " chunked , "] {
            assert_eq!(status(taken), None, "{taken}");
        }
        for packed in ["gzip, chunked", "GZIP,chunked", "deflate", "identity, chunked", "x;q=1"] {
            assert_eq!(status(packed), Some(501), "{packed}");
        }
        assert!(packed_on_its_way(&HeaderMap::new()).is_none());
    }
}
