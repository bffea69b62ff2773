//! How much one access key has under way at the same time.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use super::error::{ApiError, ApiResult};

/// Counts what is under way, by access key.
#[derive(Clone)]
pub struct Places {
    what: &'static str,
    limit: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// One that is under way; given back when dropped.
pub struct Place {
    places: Places,
    key: String,
}

impl Places {
    /// At most `limit` of `what` for each key.
    pub fn new(what: &'static str, limit: usize) -> Self {
        Self { what, limit, taken: Arc::default() }
    }

    /// Takes a place, or says that there is none.
    pub fn take(&self, key: &str) -> ApiResult<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.to_owned()).or_default();
        if *count >= self.limit {
            return Err(ApiError::overloaded(
                format!(
                    "{} {} of this access key are under way, the limit: wait for some of them",
                    self.limit, self.what
                ),
                Duration::from_secs(1),
            ));
        }
        *count += 1;
        Ok(Place { places: self.clone(), key: key.to_owned() })
    }
}

impl Place {
    /// Keeps the place until the answer is read or given up.
    pub fn held_by(self, response: Response) -> Response {
        response.map(|body| Body::new(Held { body, _place: self }))
    }
}

/// The body of an answer that is under way.
struct Held {
    body: Body,
    _place: Place,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}
