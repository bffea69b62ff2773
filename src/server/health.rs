//! Whether the sidecar lives, and whether it can serve.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::error::json as answer;
use super::state::AppState;

/// `GET /healthz`: the process lives.
pub async fn alive() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// `GET /readyz`: Redis and the object store answer, and the sidecar is not stopping. 503 with the
/// reasons otherwise.
pub async fn ready(State(app): State<AppState>) -> Response {
    let coordinator = app.onward.coordinator();
    let ping = redis::cmd("PING");
    let (redis, storage) = tokio::join!(
        coordinator.lanes().call("ping", &ping),
        coordinator.objects().list_dirs("_onward")
    );
    let word = |failure: Option<String>| failure.unwrap_or_else(|| "ok".to_owned());
    let redis = redis.err().map(|error| error.to_string());
    let storage = storage.err().map(|error| error.to_string());
    let stopping = app.stopping.is_cancelled();
    let is_ready = redis.is_none() && storage.is_none() && !stopping;
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
