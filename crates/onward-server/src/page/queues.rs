//! The queues of the deployment: where something waits, and where this sidecar works.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use tokio::time::{Interval, MissedTickBehavior};

use super::all_queues::{Found, Row};
use super::layout::{Page, Section, head, table};
use super::links::{self, Link};
use super::live::{self, Live, Shown};
use super::visitor::Visitor;
use super::words;
use crate::error::ApiResult;
use crate::extract::{NoParameters, Query};
use crate::state::{App, AppState};
use onward::internals::clock;

/// Between two looks for who watches.
const EVERY: Duration = Duration::from_secs(5);

async fn look(app: &App) -> onward::Result<Markup> {
    let found = app.all_queues.look(&app.onward, &app.waiting).await?;
    Ok(markup(&found, clock::now_ms()))
}

fn markup(found: &Found, now_ms: i64) -> Markup {
    let summary = match found.waiting {
        (0, _) => "Nothing waits.".to_owned(),
        (ops, queues) => format!(
            "{} in {}.",
            words::counted(ops, "op waits", "ops wait"),
            words::counted(queues, "queue", "queues")
        ),
    };
    html! {
        p.summary data-words { (summary) }
        @if found.rows.is_empty() {
            p { "No branch has been committed to through this sidecar yet, and nothing waits on another. The queue of any branch is found by its "
                a href=(links::repos()) { "repository" } "." }
        } @else { (table("Queues", rows(&found.rows, now_ms))) }
        @if found.is_cut { p { "There are more: these are the first " (found.rows.len()) "." } }
    }
}

fn rows(rows: &[Row], now_ms: i64) -> Markup {
    let age = |since: i64| match since {
        1.. => words::length(now_ms.saturating_sub(since)),
        _ => "unknown".to_owned(),
    };
    html! {
        (head(["Branch", "Waiting", "Oldest for", "Decided so far"]))
        tbody {
            @for row in rows {
                tr {
                    th scope="row" {
                        a id={ (row.repo) "/" (row.branch) }
                            href=(links::queue(row.repo.as_str(), row.branch.as_str())) { (row.repo) "/" (row.branch) }
                    }
                    td {
                        (words::count(row.depth))
                        @if row.stood { " " strong { "stood still" } }
                    }
                    td { (row.since_ms.map_or_else(|| "–".to_owned(), age)) }
                    td { (words::count(row.done)) }
                }
            }
        }
    }
}

/// The queues, as they are now.
pub async fn show(
    visitor: Visitor,
    State(app): State<AppState>,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let queues = look(&app).await?;
    let body = html! {
        p.tools {
            span #live-state role="status" { "As it was when this page was opened." }
            " " a href=(links::queues()) { "Look again" }
        }
        div #live tabindex="-1" data-live=(Link::to(&["queues", "live"])) { (queues) }
    };
    Ok(Page::new("Queues", Section::Queues, body).show(&visitor))
}

/// The queues as they change.
pub async fn follow(
    visitor: Visitor,
    State(app): State<AppState>,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    live::follow(&app, &visitor, Follower { app: AppState::clone(&app), tick })
}

/// Somebody who watches all queues.
struct Follower {
    app: AppState,
    tick: Interval,
}

impl Live for Follower {
    async fn next(&mut self) -> Shown {
        self.tick.tick().await;
        Shown::View(match look(&self.app).await {
            Ok(queues) => queues,
            Err(error) => html! {
                p.notice { "The queues cannot be looked at just now: " (error.for_callers()) }
            },
        })
    }
}
