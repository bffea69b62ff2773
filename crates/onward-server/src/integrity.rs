//! `Content-MD5` (RFC 1864): a body that is not what its sender says is refused at its end, before
//! anything of it counts.

use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName};

use super::error::{ApiError, ApiResult};
use super::headers::text;
use super::refused::refused;
use onward::internals::objects::{Checksum, Hasher};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// A body whose MD5 is another one than its sender says.
#[derive(Debug, Clone, Copy)]
pub struct WrongMd5;

impl fmt::Display for WrongMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the body does not have the MD5 that the header Content-MD5 says: nothing was done, send it again",
        )
    }
}

impl std::error::Error for WrongMd5 {}

/// Lets the body of a request that has the header end with [`WrongMd5`] if it is another one. It is the
/// body as it was sent: packed, if it is.
pub async fn watch(request: Request, next: Next) -> Result<Response, ApiError> {
    let request = match expected(request.headers()) {
        Ok(None) => request,
        Ok(said) => request.map(|body| Body::from_stream(compared(body.into_data_stream(), said))),
        Err(why) => return refused(request, why).await,
    };
    Ok(next.run(request).await)
}

/// What the header says, in hex.
pub fn expected(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(text) = text(headers, &CONTENT_MD5)? else { return Ok(None) };
    let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| bytes.len() == 16);
    let bytes = bytes.ok_or_else(|| {
        ApiError::invalid(
            "the header Content-MD5 cannot be read: it takes the 16 bytes of an MD5 in base64, 24 characters",
        )
    })?;
    Ok(Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// The same pieces, with an error behind the last one where they are not what is expected.
pub fn compared<E: Into<axum::BoxError>>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    expected: Option<String>,
) -> impl Stream<Item = Result<Bytes, axum::BoxError>> {
    let watched = expected.map(|expected| (expected, Hasher::new(Checksum::Md5)));
    let compared =
        futures::stream::unfold((pieces, watched), |(mut pieces, mut watched)| async move {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    if let Some((_, hasher)) = &mut watched {
                        hasher.update(&piece);
                    }
                    Some((Ok(piece), (pieces, watched)))
                }
                Some(Err(error)) => Some((Err(error.into()), (pieces, None))),
                None => {
                    let (expected, hasher) = watched?;
                    let wrong = (hasher.finish() != expected).then(|| Err(WrongMd5.into()));
                    wrong.map(|wrong| (wrong, (pieces, None)))
                }
            }
        });
    // Some readers ask once more behind the end.
    compared.fuse()
}
