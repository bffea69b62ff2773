//! Requests that are refused before their body was read: a client that is still sending might not read
//! why.

use axum::extract::Request;
use axum::response::Response;
use futures::StreamExt;
use http::header;

use super::error::ApiError;

/// Bytes that are read of a body that nobody wants, at most.
const LEN_MAX: usize = 16 << 20;

/// Reads what a client still sends, within limits, and gives the reason back.
pub async fn refused(request: Request, why: ApiError) -> Result<Response, ApiError> {
    // One that waits to be asked sends nothing.
    if request.headers().contains_key(header::EXPECT) {
        return Err(why);
    }
    let mut pieces = request.into_body().into_data_stream();
    let mut len = 0;
    while len < LEN_MAX
        && let Some(Ok(piece)) = pieces.next().await
    {
        len += piece.len();
    }
    Err(why)
}
