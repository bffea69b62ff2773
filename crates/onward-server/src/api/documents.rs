//! The description of the API for programs, and a page that shows it to people, which needs nothing
//! from elsewhere.

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::error::{ApiResult, json as answer};
use crate::headers::text;
use crate::state::AppState;

/// The description. It is kept, and compared with what the code says, because making it anew takes
/// macros that cost a build more than this whole room.
const DESCRIPTION: &str = include_str!("../../../../docs/openapi.json");

/// Shows the description, by a script of its own.
const PAGE: &str = include_str!("documents.html");

/// The page runs the script it brings and asks its own server, nobody else.
const ONLY_ITSELF: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/// What people see who open the address of a sidecar that has no page.
#[cfg(not(feature = "page"))]
const FRONT: &str = include_str!("front.html");

/// The description at `/openapi.json`, the page at `/docs`, and at `/` where each thing is.
pub fn documents() -> Router<AppState> {
    Router::new()
        .route("/", get(front))
        .route("/openapi.json", get(description))
        .route("/docs", get(page))
        .route("/docs/", get(page))
}

/// Where each thing is, for programs; people, who come with a browser, get the page.
async fn front(headers: HeaderMap) -> ApiResult<Response> {
    if text(&headers, &header::ACCEPT)?.is_some_and(|accepted| accepted.contains("text/html")) {
        return Ok(front_page());
    }
    Ok(answer(
        StatusCode::OK,
        json!({
            "name": "onward",
            "version": env!("CARGO_PKG_VERSION"),
            "onward": "/onward/v1",
            "lakefs": "/api/v1",
            "iceberg": cfg!(feature = "iceberg").then_some("/iceberg/v1"),
            "description": "/openapi.json",
            "docs": "/docs",
            "ready": "/readyz",
            "metrics": "/metrics",
        }),
    ))
}

#[cfg(feature = "page")]
fn front_page() -> Response {
    axum::response::Redirect::to("/ui").into_response()
}

#[cfg(not(feature = "page"))]
fn front_page() -> Response {
    let page = FRONT.replace("{version}", env!("CARGO_PKG_VERSION"));
    ([(header::CONTENT_SECURITY_POLICY, ONLY_ITSELF)], Html(page)).into_response()
}

async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, ONLY_ITSELF)], Html(PAGE))
}
