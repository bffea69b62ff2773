//! What a supervisor asks: whether the sidecar lives, and whether it can serve.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::error::json as answer;
use super::health::Found;
use super::state::AppState;

/// `GET /healthz`: the process lives.
pub async fn alive() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// `GET /readyz`: Redis and the object store answer, by what was found within the last second, and
/// the sidecar is not stopping. 503 with the reasons otherwise.
pub async fn ready(State(app): State<AppState>) -> Response {
    let Found { redis, storage, .. } = app.health.look(&app.onward).await;
    let word = |ok: bool| if ok { "ok" } else { "does not answer" };
    let stopping = app.stopping.is_cancelled();
    let is_ready = redis && storage && !stopping;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(
        status,
        json!({
            "status": if is_ready { "ok" } else { "not ready" },
            "redis": word(redis),
            "storage": word(storage),
            "stopping": stopping,
        }),
    )
}
