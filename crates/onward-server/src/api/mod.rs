//! Onward's own API: what lakeFS's lacks. Change sets in one request, tickets, queues, events, hints.
//!
//! Its description is `docs/openapi.json`, which `documents` shows. It is made of this code
//! (`describe`, a feature that tests and `make openapi` have and the shipped program has not), and a
//! test compares the two, so that no route goes without one.

mod changes;
#[cfg(feature = "describe")]
mod describe;
mod documents;
mod events;
mod export;
mod head;
mod merges;
pub mod outcome;
mod producers;
mod protection;
#[cfg(feature = "describe")]
mod samples;
pub mod shapes;
mod sinks;
mod tables;
mod tickets;
mod valid_through;
mod waiting;
mod write_policy;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use http::{HeaderValue, StatusCode, header};
use tower_http::decompression::RequestDecompressionLayer;

#[cfg(feature = "describe")]
pub use describe::{description, routes_told, samples_told};
pub use documents::documents;

use super::error::ApiError;
use super::headers::codings;
use super::state::AppState;

/// A path below the API's root, the methods that it takes, and who answers.
type Route = (&'static str, &'static [&'static str], MethodRouter<AppState>);

fn table() -> [Route; 19] {
    let changes =
        post(changes::commit).layer(RequestDecompressionLayer::new()).layer(from_fn(known_coding));
    let ticket = get(tickets::show).delete(tickets::cancel);
    [
        ("/repositories/{repo}/branches/{branch}/changes", &["post"], changes),
        ("/repositories/{repo}/branches/{branch}/merge", &["post"], post(merges::merge)),
        ("/repositories/{repo}/branches/{branch}/tickets/{op_id}", &["get", "delete"], ticket),
        ("/repositories/{repo}/branches/{branch}/producers/{name}", &["get"], get(producers::show)),
        ("/repositories/{repo}/branches/{branch}/queue", &["get"], get(tickets::queue)),
        ("/repositories/{repo}/branches/{branch}/events", &["get"], get(events::listen)),
        (
            "/repositories/{repo}/branches/{branch}/valid_through",
            &["get"],
            get(valid_through::show),
        ),
        ("/repositories/{repo}/refs/{left}/tables/{right}", &["get"], get(tables::differing)),
        ("/repositories/{repo}/refs/{ref}/objects", &["get"], get(export::objects)),
        ("/repositories/{repo}/refs/{ref}/commits", &["get"], get(export::commits)),
        ("/repositories/{repo}/refs/{left}/diff/{right}", &["get"], get(export::diff)),
        (
            "/repositories/{repo}/write_policy",
            &["get", "put"],
            get(write_policy::show).put(write_policy::replace),
        ),
        ("/repositories/{repo}/protection", &["get"], get(protection::list)),
        (
            "/repositories/{repo}/protection/{pattern}",
            &["put", "delete"],
            put(protection::set).delete(protection::remove),
        ),
        ("/repositories/{repo}/sinks", &["get", "post"], get(sinks::list).post(sinks::add)),
        ("/repositories/{repo}/sinks/{sink}", &["delete"], delete(sinks::remove)),
        ("/repositories/{repo}/sinks/{sink}/test", &["post"], post(sinks::test)),
        ("/repositories/{repo}/sinks/{sink}/revive", &["post"], post(sinks::revive)),
        ("/repositories/{repo}/sinks/{sink}/rotate", &["post"], post(sinks::rotate)),
    ]
}

/// The routes, below `/onward/v1`.
pub fn routes() -> Router<AppState> {
    table()
        .into_iter()
        .fold(Router::new(), |router, (path, _, answers)| router.route(path, answers))
}

/// Says how a body is packed in the one word that the layer below knows, or that it is unknown.
async fn known_coding(mut request: Request, next: Next) -> Result<Response, ApiError> {
    let names = codings(request.headers())?;
    request.headers_mut().remove(header::CONTENT_ENCODING);
    match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {}
        // Two names of the same (RFC 9110, 8.4.1.3).
        ["gzip" | "x-gzip"] => {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        }
        _ => {
            let error = ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_supported",
                "the body's Content-Encoding is not known: send it as it is, or packed with gzip",
            );
            let known = HeaderValue::from_static("gzip");
            return Err(error.with_header(header::ACCEPT_ENCODING, known));
        }
    }
    Ok(next.run(request).await)
}
