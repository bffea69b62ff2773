//! Onward's own API.
use axum::Router;

use super::settings::Limits;
use super::state::AppState;

/// Routes.
pub fn routes(_: Limits) -> Router<AppState> {
    Router::new()
}

/// Documents.
pub fn documents() -> Router<AppState> {
    Router::new()
}
