//! The S3 gateway: `s3://REPOSITORY/REF/PATH`, on a listener of its own, for whatever speaks S3.
//!
//! A bucket is a repository, the first part of a key a ref. Branches are read and written, and a write is
//! staged; tags, commits and `BRANCH@` are read. The protocol (signatures, XML, shapes) is the crate s3s's;
//! what it leaves to us is here: limits, who may, the checksums of bodies, names, conditions.
//!
//! The way of a request: `answer` takes it, `admission` finds out who signs and refuses what s3s takes too
//! lightly, s3s checks the signature, `access` whether he may, `operations` calls what does it.

mod access;
mod admission;
mod answer;
mod attributes;
mod buckets;
mod checksums;
mod completion;
mod copies;
mod deletions;
mod error;
mod gateway;
mod hosts;
mod listing;
mod long;
mod names;
mod objects;
mod operations;
mod page;
mod parted;
mod parts;
mod pieces;
mod putting;
mod summing;
mod talk;
mod unoffered;
mod unread;
mod versions;
mod written;

use axum::Router;
use axum::middleware::{from_fn, map_response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::requests;
use crate::state::AppState;
use answer::Service;

pub use hosts::Domains;

/// Everything that the gateway answers.
pub fn router(app: AppState, domains: Domains) -> Router {
    let piece_timeout = app.limits.piece_timeout;
    let service = Service::new(app, domains);
    Router::new()
        .fallback(answer::answer)
        .layer(RequestBodyTimeoutLayer::new(piece_timeout))
        .layer(CatchPanicLayer::custom(answer::panicked))
        .layer(from_fn(requests::observe))
        .layer(map_response(answer::with_request_id))
        .with_state(service)
}
