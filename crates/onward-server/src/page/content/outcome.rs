//! What became of what a form has asked for, by its ticket.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use onward::{BranchName, ConflictPath, OpId, Outcome, TicketStatus};

use super::at::{At, Tab};
use super::changes::side;
use super::grouped::{PATH_BYTES_MAX, ROWS_MAX};
use super::naming::to;
use super::words::{name, short};
use crate::error::ApiResult;
use crate::extract::Query;
use crate::page::layout::{head, table};
use crate::page::links;
use crate::page::words::{count, counted, length};

/// How long a form waits for its outcome: then it is told that it is queued.
pub const WAIT: Duration = Duration::from_secs(20);

/// Which op of which branch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeQuery {
    branch: String,
    op: String,
}

/// What is known of an op.
pub async fn show(at: At, Query(query): Query<OutcomeQuery>) -> ApiResult<Response> {
    let (branch, op_id) = (BranchName::new(query.branch)?, query.op.parse::<OpId>()?);
    let (title, body) = match at.branch(&branch).ticket_status(op_id).await? {
        TicketStatus::Decided(outcome) => told(&at, &branch, &outcome).await,
        TicketStatus::Pending { ticket, position } => {
            let said = html! {
                p { "It is ticket " (ticket) " of branch " (branch) ", at place " (count(position)) " of the queue. It will be decided whether anybody waits here or not." }
                (queued(&at, &branch, op_id))
            };
            ("Still queued", said)
        }
    };
    Ok(at.show(title, Tab::None, body))
}

/// The answer to a form: where what became of it can be seen, or a page that says that nothing was done.
pub async fn answer(at: &At, branch: &BranchName, outcome: &Outcome) -> Response {
    if outcome.ticket().is_some() {
        return to(&at.links().outcome(branch, outcome.details().op_id));
    }
    // Nothing was queued, so nothing is kept of it: sending the form again does the same.
    let status = match outcome {
        Outcome::NoChanges { .. } => StatusCode::OK,
        Outcome::Failed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CONFLICT,
    };
    let (title, body) = told(at, branch, outcome).await;
    at.page(title, Tab::None, body).answer(status, Some(&at.visitor))
}

/// An outcome in words: in two or three, and in all.
async fn told(at: &At, branch: &BranchName, outcome: &Outcome) -> (&'static str, Markup) {
    let links = at.links();
    match outcome {
        Outcome::Committed { commit, ticket, details } => {
            let said = html! {
                p { "It is commit " a href=(links.commit(commit)) { code { (short(commit)) } } ", ticket " (ticket) " of branch " (branch) "." }
                p { (how(details)) }
                p { a.button href=(links.history(branch.as_str())) { "History of " (branch) } }
            };
            ("Committed", said)
        }
        Outcome::Applied { ticket, .. } => (
            "Applied",
            html! { p { "It took effect as ticket " (ticket) " of branch " (branch) "." } },
        ),
        Outcome::NoChanges { .. } => (
            "No changes",
            html! { p { "There was nothing to commit on branch " (branch) ", and nothing was changed." } },
        ),
        Outcome::Conflict { paths, total, .. } => {
            ("Conflict", conflicts(at, branch, outcome, paths, *total).await)
        }
        Outcome::StillQueued { ticket, cause, details } => {
            let said = html! {
                p { "It is accepted as ticket " (ticket) " of branch " (branch) " and will be decided." }
                @if let Some(cause) = cause { p.notice { "It waits for this: " (cause) } }
                (queued(at, branch, details.op_id))
            };
            ("Still queued", said)
        }
        Outcome::Cancelled { .. } => {
            ("Called off", html! { p { "It was called off in time. Nothing was changed." } })
        }
        other => {
            let reason = other.reason().unwrap_or("Others were faster. Nothing was changed.");
            (
                "Not done",
                html! { p.notice role="alert" { (reason) } p { "Nothing was changed on branch " (branch) "." } },
            )
        }
    }
}

fn how(details: &onward::Details) -> Markup {
    html! {
        "Decided with " (counted(u64::from(details.batch).saturating_sub(1), "other op", "other ops")) " in its batch"
        @if !details.waited.is_zero() { ", " (length(details.waited.as_millis() as i64)) " after it was accepted" }
        "."
    }
}

fn queued(at: &At, branch: &BranchName, op_id: OpId) -> Markup {
    html! {
        ul.ways {
            li { a href=(at.links().outcome(branch, op_id)) { "Look again" } }
            li { a href=(links::queue(at.name.as_str(), branch.as_str())) { "The queue of " (branch) } }
        }
    }
}

async fn conflicts(
    at: &At,
    branch: &BranchName,
    outcome: &Outcome,
    paths: &[ConflictPath],
    total: u64,
) -> Markup {
    let tables = at.app.tables.conflicts(at.name.as_str(), outcome).await;
    let mut bytes = 0;
    let fits = |conflict: &&ConflictPath| {
        bytes += conflict.path.as_str().len();
        bytes <= PATH_BYTES_MAX
    };
    let shown: Vec<&ConflictPath> = paths.iter().take(ROWS_MAX).take_while(fits).collect();
    html! {
        p.notice role="alert" { (counted(total, "path was", "paths were")) " changed on both sides. Nothing was changed on branch " (branch) "." }
        @for line in tables.iter().flat_map(|table| &table.lines) { p { (line) } }
        (table("Conflicts", html! {
            (head(["Path", "Both began with", "Wanted", &format!("Branch {branch}")]))
            tbody {
                @for conflict in &shown {
                    tr {
                        th scope="row" { (name(conflict.path.as_str())) }
                        td { (side(conflict.base.as_ref())) }
                        td { (side(conflict.source.as_ref())) }
                        td { (side(conflict.dest.as_ref())) }
                    }
                }
            }
        }))
        @if total > shown.len() as u64 { p { "These are the first " (shown.len()) " of " (count(total)) "." } }
        p { "Go back to choose whose changes win, or change one of the two sides first." }
    }
}
