//! Whether the sidecar lives, and whether it can serve.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use super::error::json as answer;
use super::state::AppState;
use onward::internals::clock::Stopwatch;
use onward::internals::objects::layout;
use onward::{Onward, Result};

/// `GET /healthz`: the process lives.
pub async fn alive() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// How long an answer is waited for: who asks does so again and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether something answers in time. Why not is for the log: anybody may ask this.
async fn answers(what: &str, call: impl Future<Output = Result<()>>) -> bool {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "not ready: {what} does not answer as it should"),
        Err(_) => tracing::warn!("not ready: {what} does not answer in time"),
    }
    false
}

/// How long what was found holds for others who ask: anybody may, as often as he likes.
const FRESH: Duration = Duration::from_secs(1);

/// What Redis and the object store answered last. Who asks meanwhile waits for the same answers.
#[derive(Default)]
pub struct Health(Mutex<Option<Found>>);

#[derive(Clone, Copy)]
struct Found {
    at: Stopwatch,
    redis: bool,
    storage: bool,
}

impl Health {
    async fn look(&self, onward: &Onward) -> Found {
        let mut found = self.0.lock().await;
        if let Some(found) = found.filter(|found| found.at.elapsed() < FRESH) {
            return found;
        }
        let coordinator = onward.coordinator();
        let ping = redis::cmd("PING");
        let (redis, storage) = tokio::join!(
            answers("Redis", async { coordinator.lanes().call("ping", &ping).await.map(drop) }),
            answers("the storage", async {
                coordinator.objects().size(layout::TOKEN_KEY).await.map(drop)
            }),
        );
        *found.insert(Found { at: Stopwatch::start(), redis, storage })
    }
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
