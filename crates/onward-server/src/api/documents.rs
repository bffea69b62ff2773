//! The description of the API for programs, and a page that shows it to people, which needs nothing
//! from elsewhere.

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header;

use crate::state::AppState;

/// The description. It is kept, and compared with what the code says, because making it anew takes
/// macros that cost a build more than this whole room.
const DESCRIPTION: &str = include_str!("../../../../docs/openapi.json");

/// Shows the description, by a script of its own.
const PAGE: &str = include_str!("documents.html");

/// The page runs the script it brings and asks its own server, nobody else.
const ONLY_ITSELF: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/// The description at `/openapi.json`, the page at `/docs`.
pub fn documents() -> Router<AppState> {
    Router::new()
        .route("/openapi.json", get(description))
        .route("/docs", get(page))
        .route("/docs/", get(page))
}

async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, ONLY_ITSELF)], Html(PAGE))
}
