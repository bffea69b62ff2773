//! The description of the API, made of the code: of each handler, and of the shapes that it takes and
//! gives.

use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{changes, events, merges, table, tickets};

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
    ),
    modifiers(&Logins),
    security(("basic" = []), ("bearer" = [])),
)]
struct Document;

#[derive(OpenApi)]
#[openapi(paths(
    changes::commit,
    merges::merge,
    tickets::show,
    tickets::cancel,
    tickets::queue,
    events::listen
))]
struct Paths;

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

/// What the API is, in OpenAPI 3.1.
pub fn description() -> Description {
    let mut description = Document::openapi();
    let mut paths = Paths::openapi();
    // What it is about is said above.
    paths.info = Description::default().info;
    description.merge(Description::default().nest(ROOT, paths));
    description
}

/// Every path that is answered, with its methods, as the description must have them.
pub fn routes_told() -> Vec<(String, &'static [&'static str])> {
    table().into_iter().map(|(path, methods, _)| (format!("{ROOT}{path}"), methods)).collect()
}
