//! An Iceberg REST catalog: `/iceberg/v1`, for PyIceberg, Java (Spark, Flink, Kafka Connect), DuckDB.
//!
//! `/iceberg/v1/config?warehouse=REPO[@BRANCH]` gives a client the prefix of all other URLs, `REPO@BRANCH`: a branch
//! of Onward is a catalog. Handlers turn requests into calls of `onward_iceberg::catalog`, which knows no HTTP;
//! shapes, status codes and errors are the specification's. What of it there is, `config` lists.

mod client;
mod commits;
mod config;
mod delegation;
mod error;
mod namespaces;
mod oauth;
mod once;
mod outcomes;
mod paging;
mod paths;
mod tables;
mod views;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub use delegation::Delegation;
pub use error::speak;
pub use once::once;
pub use outcomes::Once;

/// What can be called without a login.
pub fn open_routes() -> Router<AppState> {
    Router::new().route("/oauth/tokens", post(oauth::token))
}

/// Routes for those who are known.
pub fn routes() -> Router<AppState> {
    let namespace = get(namespaces::load).head(namespaces::exists).delete(namespaces::drop_it);
    let table =
        get(tables::load).head(tables::exists).post(commits::commit).delete(tables::drop_it);
    Router::new()
        .route("/config", get(config::show))
        .route("/{prefix}/namespaces", get(namespaces::list).post(namespaces::create))
        .route("/{prefix}/namespaces/{namespace}", namespace)
        .route("/{prefix}/namespaces/{namespace}/properties", post(namespaces::update))
        .route("/{prefix}/namespaces/{namespace}/tables", get(tables::list).post(tables::create))
        .route("/{prefix}/namespaces/{namespace}/tables/{table}", table)
        .route("/{prefix}/namespaces/{namespace}/tables/{table}/metrics", post(tables::report))
        .route(
            "/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
            get(tables::credentials),
        )
        .route("/{prefix}/namespaces/{namespace}/register", post(tables::register))
        .route("/{prefix}/tables/rename", post(tables::rename))
        .route("/{prefix}/transactions/commit", post(commits::transaction))
        .route("/{prefix}/namespaces/{namespace}/views", get(views::list).post(views::refuse))
        .route(
            "/{prefix}/namespaces/{namespace}/views/{view}",
            get(views::absent).post(views::refuse).delete(views::absent),
        )
}
