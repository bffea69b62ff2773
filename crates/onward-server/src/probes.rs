//! What a supervisor asks: whether the sidecar lives, and whether it can serve.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::error::json as answer;
use super::health::Found;
use super::state::{App, AppState};

/// `GET /healthz`: the process lives.
pub async fn alive() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// What the sidecar needs to serve.
pub struct Readiness {
    /// Whether Redis answered within the last second.
    pub redis: bool,
    /// Whether the object store did.
    pub storage: bool,
    /// Whether the sidecar was told to stop.
    pub stopping: bool,
}

impl Readiness {
    /// What is so now.
    pub async fn of(app: &App) -> Self {
        let Found { redis, storage, .. } = app.health.look(&app.onward).await;
        Self { redis, storage, stopping: app.stopping.is_cancelled() }
    }

    /// Whether it can serve.
    pub fn is_ready(&self) -> bool {
        self.redis && self.storage && !self.stopping
    }
}

/// `GET /readyz`: Redis and the object store answer, by what was found within the last second, and
/// the sidecar is not stopping. 503 with the reasons otherwise.
pub async fn ready(State(app): State<AppState>) -> Response {
    let readiness = Readiness::of(&app).await;
    let word = |ok: bool| if ok { "ok" } else { "does not answer" };
    let (status, told) = match readiness.is_ready() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    answer(
        status,
        json!({
            "status": told,
            "redis": word(readiness.redis),
            "storage": word(readiness.storage),
            "stopping": readiness.stopping,
        }),
    )
}
