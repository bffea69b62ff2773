//! A request on its way through s3s and back.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderName, Method, StatusCode};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode, S3Result};
use tracing::Instrument;

use super::access::{Roles, Secrets};
use super::admission::{admit, shown};
use super::checksums::{Outcome, Said, in_pieces, watched};
use super::error::told;
use super::gateway::Gateway;
use super::hosts::{BucketNames, Domains};
use super::long::one_document;
use super::pieces::framed;
use super::talk::{TALK, Talk};
use super::unread::{Shared, Unread};
use crate::extract::parameters;
use crate::listen::Peer;
use crate::requests::REQUEST_ID;
use crate::state::AppState;

/// How far the clock of a client may be off, in seconds, and so for how long a signed request can be sent
/// once more: as in S3.
const SKEW_MAX: u32 = 15 * 60;

/// A body of XML, in bytes: 1,000 keys of 1,024 bytes each, escaped, or 10,000 parts.
const XML_LEN_MAX: usize = 8 << 20;

/// What answers requests.
#[derive(Clone)]
pub struct Service {
    app: AppState,
    s3: S3Service,
}

impl Service {
    /// Over a deployment.
    pub fn new(app: AppState, domains: Domains) -> Self {
        let mut builder = S3ServiceBuilder::new(Gateway::new(app.clone()));
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_LEN_MAX;
        config.presigned_url_max_skew_time_secs = SKEW_MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(Secrets);
        builder.set_access(Roles);
        builder.set_host(domains);
        builder.set_validation(BucketNames);
        Self { app, s3: builder.build() }
    }

    async fn call(&self, talk: &Arc<Talk>, request: Request) -> Response {
        let place = match self.app.places.take(&talk.signing.key.id) {
            Ok(place) => place,
            Err(why) => return refusal(told(why)),
        };
        let (request, unread) = Unread::watch(request);
        let (request, framing) = reframed(request);
        let (request, outcome) = match compared(request) {
            Ok(compared) => compared,
            Err(error) => return refusal(error),
        };
        let called = TALK.scope(Arc::clone(talk), self.s3.call(request)).await;
        let response = match (called, framing.refusal().or_else(|| outcome.refusal())) {
            (_, Some(why)) => refusal(why),
            (Ok(response), None) => one_document(response),
            (Err(error), None) => {
                tracing::error!(error = ?error, "an answer of S3 cannot be written");
                refusal(S3Error::new(S3ErrorCode::InternalError))
            }
        };
        if let Some(is_right) = talk.is_right(response.status()) {
            self.app.tell_signed(&talk.from, &talk.signing, is_right);
        }
        if response.status().is_client_error() {
            unread.drain().await;
        }
        place.held_by(response)
    }
}

/// The same request; of one whose body comes in pieces, in such as s3s may hold. What comes of that.
fn reframed(request: http::Request<Shared>) -> (http::Request<s3s::Body>, Outcome) {
    if !in_pieces(request.headers()) {
        return (request.map(s3s::Body::http_body_unsync), Outcome::default());
    }
    let (head, body) = request.into_parts();
    let (pieces, outcome) = framed(Body::new(body).into_data_stream());
    let body = s3s::Body::http_body_unsync(Body::from_stream(pieces));
    (http::Request::from_parts(head, body), outcome)
}

/// The same request; of one that deletes many keys, the body is compared with what is said of it, since
/// s3s reads it whole before it is ours. What comes of that.
fn compared(request: http::Request<s3s::Body>) -> S3Result<(http::Request<s3s::Body>, Outcome)> {
    let parameters = parameters(request.uri()).map_err(told)?;
    let deletes = parameters.iter().any(|(name, _)| name == "delete");
    if *request.method() != Method::POST || !deletes {
        return Ok((request, Outcome::default()));
    }
    let (head, body) = request.into_parts();
    let (pieces, outcome) =
        watched(Said::of_whole(&head.headers)?, StreamingBlob::from(body), None);
    let body = s3s::Body::http_body_unsync(Body::from_stream(pieces));
    Ok((http::Request::from_parts(head, body), outcome))
}

/// Answers a request.
pub async fn answer(State(service): State<Service>, request: Request) -> Response {
    let from = Peer::of(request.extensions());
    let admitted = match shown(&request) {
        Ok(shown) => admit(&service.app, from, shown).await,
        Err(error) => Err(error),
    };
    let talk = match admitted {
        Ok(talk) => talk,
        Err(error) => {
            let (_, unread) = Unread::watch(request);
            unread.drain().await;
            return refusal(error);
        }
    };
    tracing::Span::current().record("access_key", talk.signing.key.id.as_str());
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return service.call(&talk, request).await;
    }
    // What changes something goes on to its end when the client goes away half way through.
    let handling = async move { service.call(&talk, request).await };
    tokio::spawn(handling.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended early");
        refusal(S3Error::new(S3ErrorCode::InternalError))
    })
}

/// The header in which clients of S3 look for the id of a request.
const AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Says the id of the request where clients of S3 look for it, too.
pub async fn with_request_id(mut response: Response) -> Response {
    if let Some(id) = response.headers().get(REQUEST_ID).cloned() {
        response.headers_mut().insert(AMZ_REQUEST_ID, id);
    }
    response
}

/// What a client is told whose request met a bug.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    refusal(S3Error::with_message(
        S3ErrorCode::InternalError,
        "a bug: please report it with the id of this request and the log around it",
    ))
}

/// An error as S3 writes it.
fn refusal(error: S3Error) -> Response {
    let headers = error.headers().cloned().unwrap_or_default();
    let written: S3Result<s3s::HttpResponse> = error.to_http_response();
    match written {
        Ok(mut response) => {
            response.headers_mut().extend(headers);
            response.map(Body::new)
        }
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}
