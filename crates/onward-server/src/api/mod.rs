//! Onward's own API: what lakeFS's lacks. Change sets in one request, tickets, queues, events, hints.
//!
//! Its description is made of the code (`description`), so that no route goes without one; it is
//! kept in `docs/openapi.json`, and a test compares the two.

mod changes;
mod events;
mod merges;
pub mod outcome;
mod producers;
pub mod shapes;
mod tickets;
mod waiting;
mod whole;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::error::ApiError;
use super::state::AppState;

/// Where the API is.
const ROOT: &str = "/onward/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Onward",
        description = "Commits to data lakes that never wait for luck. Beside this API the sidecar speaks lakeFS's under /api/v1.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "commits", description = "Change sets and merges"),
        (name = "tickets", description = "What became of accepted ops, and what waits"),
        (name = "producers", description = "Where a producer that starts again goes on"),
    ),
    modifiers(&Logins),
    security(("basic" = []), ("bearer" = [])),
)]
struct Document;

struct Logins;

impl utoipa::Modify for Logins {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        for (name, scheme, what) in [
            ("basic", HttpAuthScheme::Basic, "Access key id and secret"),
            ("bearer", HttpAuthScheme::Bearer, "A token from /api/v1/auth/login"),
        ] {
            let scheme = HttpBuilder::new().scheme(scheme).description(Some(what)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// What is told whose body is packed in a way that is not known, which the layer below says without a
/// word.
async fn unknown_encoding(response: Response) -> Response {
    if response.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return response;
    }
    let error = ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_supported",
        "the body's Content-Encoding is not known: send it as it is, or packed with gzip",
    );
    match response.headers().get(header::ACCEPT_ENCODING) {
        Some(known) => error.with_header(header::ACCEPT_ENCODING, known.clone()).into_response(),
        None => error.into_response(),
    }
}

fn described() -> (Router<AppState>, Description) {
    let changes = OpenApiRouter::new()
        .routes(routes!(changes::commit))
        .layer(RequestDecompressionLayer::new())
        .layer(map_response(unknown_encoding));
    let routes = OpenApiRouter::new()
        .merge(changes)
        .routes(routes!(merges::merge))
        .routes(routes!(tickets::show, tickets::cancel))
        .routes(routes!(tickets::queue))
        .routes(routes!(producers::show))
        .routes(routes!(events::listen));
    let (routes, paths) = routes.split_for_parts();
    let mut description = Document::openapi();
    description.merge(Description::default().nest(ROOT, paths));
    (routes, description)
}

/// The routes, below `/onward/v1`.
pub fn routes() -> Router<AppState> {
    described().0
}

/// What the API is, in OpenAPI 3.1.
pub fn description() -> Description {
    described().1
}

/// The description, and a page that shows it, which needs nothing from elsewhere.
pub fn documents() -> Router<AppState> {
    SwaggerUi::new("/docs").url("/openapi.json", description()).into()
}
