//! The lakeFS API, so that lakeFS's own clients work by another endpoint.
//!
//! One file for each group of operations. Status codes and shapes are those that clients expect;
//! what differs from lakeFS, and why, is in `docs/lakefs-compatibility.md`. Contention is waited out
//! in the queue: it is never a 409, 423, 429 or 500.

mod branches;
mod commits;
pub(crate) mod committed;
mod config;
#[cfg(feature = "describe")]
pub mod describe;
mod dumps;
mod imports;
mod merges;
mod named;
mod objects;
mod reading;
mod refs;
mod repositories;
mod staging;
mod tags;
mod upload;
mod wire;

use axum::Router;

use super::state::AppState;

pub use config::open_routes;
#[cfg(feature = "s3")]
pub(crate) use repositories::DEFAULT_BRANCH;

/// Where the API is.
pub const ROOT: &str = "/api/v1";

/// Routes for those who are known.
pub fn routes() -> Router<AppState> {
    Router::new()
        .merge(config::routes())
        .merge(repositories::routes())
        .merge(branches::routes())
        .merge(objects::routes())
        .merge(staging::routes())
        .merge(commits::routes())
        .merge(merges::routes())
        .merge(refs::routes())
        .merge(tags::routes())
        .merge(imports::routes())
        .merge(dumps::routes())
}
