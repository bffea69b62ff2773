//! What is left of a body that nobody wanted: a client that is still sending might not read why.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use crate::headers::text;

/// Bytes that are read of a body that nobody wants, at most.
const LEN_MAX: usize = 16 << 20;

/// A body that two have: who reads it, and who throws away what that one has left.
#[derive(Clone)]
pub struct Unread {
    body: Arc<Mutex<Body>>,
    /// Whether the client waits to be asked for the body, and so has sent nothing.
    waits: bool,
}

impl Unread {
    /// The same request, and what is left of its body at any time.
    pub fn watch(request: Request) -> (http::Request<Shared>, Self) {
        let waits = request.headers().contains_key(EXPECT);
        let left = left(request.headers());
        let (head, body) = request.into_parts();
        let body = Arc::new(Mutex::new(body));
        let shared = Shared { body: Arc::clone(&body), left };
        (http::Request::from_parts(head, shared), Self { body, waits })
    }

    /// Reads what a client still sends, within limits.
    pub async fn drain(self) {
        if self.waits {
            return;
        }
        let mut body = Shared { body: self.body, left: None };
        let mut len = 0;
        while len < LEN_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            len += frame.data_ref().map_or(0, Bytes::len);
        }
    }
}

/// How long a body is by what its head says, if that says it.
fn left(headers: &HeaderMap) -> Option<u64> {
    match text(headers, &CONTENT_LENGTH).ok()? {
        Some(len) => len.parse().ok(),
        None if headers.contains_key(TRANSFER_ENCODING) => None,
        None => Some(0),
    }
}

/// The body of a request whose rest can be thrown away.
pub struct Shared {
    body: Arc<Mutex<Body>>,
    /// Bytes that are still to come: what limits the time of a body does not pass on how long it is.
    left: Option<u64>,
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(Pin::new(&mut *body).poll_frame(cx))
        };
        let len = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        self.left = self.left.map(|left| left.saturating_sub(len.unwrap_or_default() as u64));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
            || self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}
