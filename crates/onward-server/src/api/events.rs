//! `GET …/events`: outcomes as they are published, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::json;

use crate::auth::Reader;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Query};
use crate::headers::text;
use crate::state::AppState;
use onward::Ticket;
use onward::internals::repo::events::Event as Decided;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a comment is sent when nothing happens, so that what is in between keeps the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where to begin.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct EventsQuery {
    /// Only outcomes behind this ticket; by default those from now on. The header Last-Event-ID,
    /// which browsers send when they connect again, says the same.
    after: Option<u64>,
}

/// The outcomes of a branch, as they are published
///
/// Server-sent events, in ticket order. `outcome`: `{"ticket", "op_id", "outcome", "commit"}`, with
/// the ticket as event id. `gap`: `{"from", "to"}`, tickets whose outcomes Redis no longer keeps; the
/// log has them. `error`: `{"message"}`, why the stream ends here. `end`: `{}`, the branch was
/// deleted; a stream that ends without it is to be opened again, with the last ticket that was seen.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/branches/{branch}/events",
        tag = "tickets",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            EventsQuery,
            ("Last-Event-ID" = Option<String>, Header, description = "The ticket of the last event that was seen"),
        ),
        responses(
            (status = 200, description = "The events", content_type = "text/event-stream", body = String),
            (status = 429, description = "As many listen as may", body = crate::error::Problem),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
        )
    )
)]
pub async fn listen(
    Reader(caller): Reader,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let last = text(&headers, &LAST_EVENT_ID)?.map(|text| {
        text.trim()
            .parse()
            .map_err(|_| ApiError::invalid("Last-Event-ID is the number of a ticket"))
    });
    let after = last.transpose()?.or(query.after).map(Ticket);
    let places = app.listen(&caller.key.id)?;
    let decided = app.onward.repo(repo).branch(name).events(after).await?;
    let stopping = app.stopping.clone();
    let events =
        with_end(decided).take_until(async move { stopping.cancelled().await }).map(move |event| {
            let _held = &places;
            event
        });
    Ok(sse(events).into_response())
}

/// What is told of outcomes, and of their end: that is the branch's, unless an error was before it.
fn with_end(
    decided: impl Stream<Item = onward::Result<Decided>>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut failed = false;
    let decided = decided.map(Some).chain(futures::stream::iter([None]));
    let events = decided.map(move |event| match event {
        Some(event) => {
            failed |= event.is_err();
            told(event)
        }
        None if failed => None,
        None => Some(Event::default().event("end").data("{}")),
    });
    events.filter_map(|event| async { event.map(Ok) })
}

fn sse<S: Stream<Item = Result<Event, Infallible>> + Send + 'static>(
    events: S,
) -> impl IntoResponse {
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn told(event: onward::Result<Decided>) -> Option<Event> {
    Some(match event {
        Ok(Decided::Quiet) => return None,
        Ok(Decided::Outcome { ticket, op_id, outcome, commit }) => {
            let said =
                json!({"ticket": ticket, "op_id": op_id, "outcome": outcome, "commit": commit});
            Event::default().id(ticket.to_string()).event("outcome").data(said.to_string())
        }
        Ok(Decided::Gap { from, to }) => {
            Event::default().event("gap").data(json!({"from": from, "to": to}).to_string())
        }
        Err(error) => {
            let said = json!({"message": error.for_callers()});
            Event::default().event("error").data(said.to_string())
        }
    })
}
