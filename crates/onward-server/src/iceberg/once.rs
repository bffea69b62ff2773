//! Requests with an `Idempotency-Key`: carried out once by this sidecar, however often they are sent within half an
//! hour.
//!
//! What became of one is told again: of a table that was made or changed as it is by then, of anything else as it
//! was. Answers of 5xx, and those that only say *not now*, are no outcome. Commits that add snapshots are recognised
//! by those in every sidecar, also without a key.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::delegation::Wanted;
use super::error::Answer;
use super::outcomes::{Once, Outcome, Shown};
use super::tables::show;
use crate::auth::Caller;
use crate::idempotency::{REPLAYED, idempotent_op};
use crate::state::AppState;
use onward::OpId;

/// The longest body that is remembered, in bytes; a request with a longer one is carried out again.
const BODY_MAX: usize = 2048;

/// Carries a request with a key out, or tells what became of it. Goes on to its end when the client goes away, as all
/// that changes something does (`auth::authenticate`).
pub async fn once(State(app): State<AppState>, request: Request, next: Next) -> Answer<Response> {
    let key = match (request.method(), request.extensions().get::<Caller>()) {
        (&Method::POST | &Method::DELETE, Some(caller)) => {
            let what = [request.method().as_str(), request.uri().path()];
            idempotent_op(request.headers(), &caller.key.id, &what)?
        }
        _ => None,
    };
    let Some(id) = key else { return Ok(next.run(request).await) };
    let wanted = match request.extensions().get::<Caller>() {
        Some(caller) => Wanted::of(request.headers(), &caller.key)?,
        None => return Ok(next.run(request).await),
    };
    let once = &app.iceberg_once;
    let turn = once.turn(id);
    // Also where a handler ends by a fault of ours. Dropped behind the turn that is held.
    let _over = Over(once, id);
    let _held = turn.lock().await;
    match once.outcomes.get(&id) {
        Some(outcome) => tell(&app, outcome, &wanted).await,
        None => remember(once, id, next.run(request).await).await,
    }
}

/// A request with a key that is under way.
struct Over<'a>(&'a Once, OpId);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over(self.1);
    }
}

async fn tell(app: &AppState, outcome: Outcome, wanted: &Wanted) -> Answer<Response> {
    let mut answer = match outcome {
        Outcome::Answer(status, body) if body.is_empty() => status.into_response(),
        Outcome::Answer(status, body) => {
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Outcome::Table(table) => {
            let Shown(place, ident) = *table;
            let loaded = app.catalog.load(&place, &ident, "").await?;
            show(app, &loaded, wanted, place, ident).await
        }
    };
    answer.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    Ok(answer)
}

async fn remember(once: &Once, id: OpId, answer: Response) -> Answer<Response> {
    let status = answer.status();
    let is_final = !status.is_server_error()
        && !matches!(status.as_u16(), 401 | 403 | 408 | 413 | 415 | 419 | 429);
    if !is_final {
        return Ok(answer);
    }
    if let Some(table) = answer.extensions().get::<Shown>() {
        once.outcomes.insert(id, Outcome::Table(Box::new(table.clone())));
        return Ok(answer);
    }
    // Credentials end, and are made anew.
    if answer.headers().contains_key(CACHE_CONTROL) {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // One that is refused in Onward's words is put into the specification's behind this.
    let is_told = parts.extensions.get::<crate::error::Told>().is_none();
    if is_told && bytes.len() <= BODY_MAX {
        once.outcomes.insert(id, Outcome::Answer(status, bytes.clone()));
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
