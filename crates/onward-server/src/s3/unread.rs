//! What is left of a body that nobody wanted: a client that is still sending might not read why.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

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
        let (head, body) = request.into_parts();
        let body = Arc::new(Mutex::new(body));
        let shared = Shared(Arc::clone(&body));
        (http::Request::from_parts(head, shared), Self { body, waits })
    }

    /// Reads what a client still sends, within limits.
    pub async fn drain(self) {
        if self.waits {
            return;
        }
        let mut body = Shared(self.body);
        let mut len = 0;
        while len < LEN_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            len += frame.data_ref().map_or(0, Bytes::len);
        }
    }
}

/// The body of a request whose rest can be thrown away.
pub struct Shared(Arc<Mutex<Body>>);

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
