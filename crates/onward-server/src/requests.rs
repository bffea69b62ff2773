//! What every request goes through: an id, a line in the log, a measurement.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::HeaderName;
use http::{HeaderValue, Method};
use tracing::Instrument;
use tracing::field::Empty;

use super::listen::Peer;
use super::metrics::{self, Counted};
use onward::internals::clock::{self, Stopwatch};

/// The header with a request's id: the client's own, or one that is drawn here.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a client's own, in bytes.
const ID_LEN_MAX: usize = 128;

/// Requests that no route matches are counted under this.
const NO_ROUTE: &str = "(none)";

/// What a request turns out to ask for, where no route says it: set by whoever finds out.
#[derive(Debug, Clone, Default)]
pub struct Operation(Arc<OnceLock<String>>);

impl Operation {
    /// Takes down the name of the operation: of these there are only so many.
    #[cfg(feature = "s3")]
    pub fn set(&self, name: String) {
        let _ = self.0.set(name);
    }
}

/// Gives the request an id, logs it, measures it.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let _counted = Counted::request();
    let begun = Stopwatch::start();
    let id = request_id(&request);
    let method = name_of(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        method,
        route,
        path = request.uri().path(),
        peer = %Peer::of(request.extensions()),
        access_key = Empty,
        op_id = Empty,
    );
    #[cfg(feature = "otel")]
    super::otel::adopt(&span, request.headers());
    let operation = Operation::default();
    request.extensions_mut().insert(operation.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    let route = match operation.0.get() {
        Some(name) => {
            span.record("route", name);
            name
        }
        None => route,
    };
    let (status, took) = (response.status(), begun.elapsed());
    metrics::answered(method, route, status.as_u16(), took);
    let (status, ms) = (status.as_u16(), took.as_micros() as f64 / 1000.0);
    span.in_scope(|| match status {
        500.. => tracing::info!(status, ms, "answered"),
        _ => tracing::debug!(status, ms, "answered"),
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    let own = request.headers().get(REQUEST_ID).filter(|id| {
        (1..=ID_LEN_MAX).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_graphic())
    });
    own.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{:032x}", clock::random_u128()))
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    })
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}
