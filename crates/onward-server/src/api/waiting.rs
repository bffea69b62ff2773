//! How long a request waits for an outcome, and what an outcome is as an answer.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use super::outcome::{MergeConflictShape, OutcomeShape};
use super::shapes::{AcceptedShape, TicketShape};
use crate::error::ApiResult;
use crate::extract::Flag;
use crate::idempotency::replayed;
use onward::internals::repo::TicketHandle;
use onward::{Config, Outcome};

/// How long an outcome is waited for unless the client says.
const TIMEOUT_MS: u64 = 300_000;

/// Whether, and how long, the outcome is waited for.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct WaitQuery {
    /// Whether to wait for the outcome; `false` answers as soon as the op is accepted, and tells the
    /// outcome only of one that was decided before. By default `true`.
    #[cfg_attr(feature = "describe", param(value_type = bool))]
    wait: Flag,
    /// How long to wait, in milliseconds; by default five minutes, at most a day.
    timeout_ms: u64,
}

impl Default for WaitQuery {
    fn default() -> Self {
        Self { wait: Flag(true), timeout_ms: TIMEOUT_MS }
    }
}

impl WaitQuery {
    /// How long to wait; `None` for not at all.
    pub fn timeout(&self) -> Option<Duration> {
        self.wait.0.then(|| Duration::from_millis(self.timeout_ms).min(Config::TIMEOUT_MAX))
    }
}

/// What is told of an op that nobody waits for: its ticket, or the outcome, if it was decided before.
pub async fn accepted(mut handle: TicketHandle) -> ApiResult<Response> {
    let (op_id, ticket) = (handle.op_id().to_string(), handle.ticket());
    // Accepted it is, whatever cannot be read of its outcome.
    let outcome = match handle.wait(Duration::ZERO).await {
        Ok(outcome) if !matches!(outcome, Outcome::StillQueued { .. }) => outcome,
        _ => {
            let ticket = ticket.map(|ticket| ticket.0);
            let shape = AcceptedShape { state: "pending", ticket, op_id };
            let answer = (StatusCode::ACCEPTED, Json(&shape)).into_response();
            return Ok(with_ticket(answer, &shape.op_id));
        }
    };
    Ok(answer(outcome))
}

/// The answer that tells an outcome.
pub fn answer(outcome: Outcome) -> Response {
    answer_of_merge(outcome, Vec::new())
}

/// The answer that tells the outcome of a merge, and the tables that it was in conflict for.
pub fn answer_of_merge(outcome: Outcome, tables: Vec<Value>) -> Response {
    let shape = MergeConflictShape { outcome: OutcomeShape(Box::new(outcome)), tables };
    let mut answer = Json(&shape).into_response();
    let outcome = *shape.outcome.0;
    *answer.status_mut() = status_of(&outcome);
    if matches!(outcome, Outcome::StillQueued { .. }) {
        answer = with_ticket(answer, &outcome.details().op_id.to_string());
    }
    replayed(&outcome, answer)
}

/// Says where the op's ticket is: beside what was asked for, as RFC 9110 (10.2.2) lets a server say it.
fn with_ticket(mut answer: Response, op_id: &str) -> Response {
    if let Ok(ticket) = HeaderValue::from_str(&format!("tickets/{op_id}")) {
        answer.headers_mut().insert(header::LOCATION, ticket);
    }
    answer
}

fn status_of(outcome: &Outcome) -> StatusCode {
    match outcome {
        Outcome::Committed { .. } => StatusCode::CREATED,
        Outcome::Applied { .. } | Outcome::NoChanges { .. } => StatusCode::OK,
        Outcome::StillQueued { .. } => StatusCode::ACCEPTED,
        Outcome::Failed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome::Conflict { .. }
        | Outcome::LostRace { .. }
        | Outcome::Cancelled { .. }
        | Outcome::Behind { .. }
        | Outcome::Fenced { .. } => StatusCode::CONFLICT,
        // One that the library has and this program does not know yet.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is known of an op: 202 while it waits.
pub fn status(ticket: TicketShape) -> Response {
    let status = match &ticket {
        TicketShape::Pending { .. } => StatusCode::ACCEPTED,
        TicketShape::Decided(_) => StatusCode::OK,
    };
    (status, Json(ticket)).into_response()
}
