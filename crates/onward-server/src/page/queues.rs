//! The queues of the deployment: where something waits, and where this sidecar works.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, stream};
use maud::{Markup, html};
use tokio::time::{Interval, MissedTickBehavior};

use super::layout::{Page, Section, table};
use super::links::{self, Link};
use super::live::{self, Live, Shown};
use super::visitor::Visitor;
use super::words;
use crate::error::ApiResult;
use crate::extract::{NoParameters, Query};
use crate::state::{App, AppState};
use onward::internals::clock;
use onward::internals::repo::branch::QueueView;
use onward::{BranchName, ErrorKind, Onward, RepoName};

/// Queues of one page, at most: each is a call to Redis.
const QUEUES_MAX: usize = 100;

/// Queues looked at together.
const LOOKS: usize = 16;

/// Between two looks for who watches.
const EVERY: Duration = Duration::from_secs(5);

/// A queue, as a row.
struct Row {
    repo: RepoName,
    branch: BranchName,
    view: QueueView,
}

impl Row {
    fn oldest_ms(&self, now_ms: i64) -> Option<i64> {
        self.view.ops.first().filter(|op| op.created_ms > 0).map(|op| op.age_ms(now_ms))
    }
}

/// The queues that this process knows of, and whether there are more of them than are shown.
struct Queues {
    rows: Vec<Row>,
    is_cut: bool,
}

impl Queues {
    /// Where something waited when all branches were looked at last, at most 20 s ago, and where this
    /// sidecar works; each as it is now.
    async fn look(app: &App) -> onward::Result<Self> {
        let mut names = app.waiting.last();
        let mut known: BTreeSet<_> = names.iter().cloned().collect();
        for context in app.onward.coordinator().at_work(QUEUES_MAX) {
            let name = (context.lake.repo().clone(), context.name.clone());
            if known.insert(name.clone()) {
                names.push(name);
            }
        }
        let is_cut = names.len() > QUEUES_MAX;
        names.truncate(QUEUES_MAX);
        let onward = &app.onward;
        let mut looked_at = stream::iter(names)
            .map(|(repo, branch)| async move { look(onward, repo, branch).await })
            .buffered(LOOKS);
        let (mut rows, mut failed) = (Vec::new(), None);
        while let Some(row) = looked_at.next().await {
            match row {
                Ok(row) => rows.push(row),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // What is wrong with one branch is no reason to show none.
                Err(error) => failed = Some(error),
            }
        }
        match failed.filter(|_| rows.is_empty()) {
            Some(error) => Err(error),
            None => Ok(Self { rows: in_order(rows), is_cut }),
        }
    }

    fn markup(&self) -> Markup {
        let now_ms = clock::now_ms();
        let waiting: u64 = self.rows.iter().map(|row| row.view.depth).sum();
        let queues = self.rows.iter().filter(|row| row.view.depth > 0).count() as u64;
        let summary = match waiting {
            0 => "Nothing waits.".to_owned(),
            _ => format!(
                "{} in {}.",
                words::counted(waiting, "op waits", "ops wait"),
                words::counted(queues, "queue", "queues")
            ),
        };
        html! {
            p.summary data-words { (summary) }
            @if self.rows.is_empty() {
                p { "No branch has been committed to through this sidecar yet, and nothing waits on another. The queue of any branch is found by its "
                    a href=(links::repos()) { "repository" } "." }
            } @else { (table("Queues", rows(&self.rows, now_ms))) }
            @if self.is_cut { p { "There are more: these are the first " (QUEUES_MAX) "." } }
        }
    }
}

fn rows(rows: &[Row], now_ms: i64) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "Branch" }
                th scope="col" { "Waiting" }
                th scope="col" { "Oldest for" }
                th scope="col" { "Decided so far" }
            }
        }
        tbody {
            @for row in rows {
                tr {
                    th scope="row" {
                        a id={ (row.repo) "/" (row.branch) }
                            href=(links::queue(row.repo.as_str(), row.branch.as_str())) { (row.repo) "/" (row.branch) }
                    }
                    td {
                        (words::count(row.view.depth))
                        @if row.view.stood { " " strong { "stood still" } }
                    }
                    td { (row.oldest_ms(now_ms).map_or_else(|| "–".to_owned(), words::length)) }
                    td { (words::count(row.view.done)) }
                }
            }
        }
    }
}

/// Where somebody has waited longest comes first, where nobody waits last.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    let since = |row: &Row| row.view.ops.first().map_or(i64::MAX, |op| op.created_ms);
    rows.sort_by(|a, b| (since(a), &a.repo, &a.branch).cmp(&(since(b), &b.repo, &b.branch)));
    rows
}

async fn look(onward: &Onward, repo: RepoName, branch: BranchName) -> onward::Result<Row> {
    let view = onward.repo(repo.as_str()).branch(branch.as_str()).queue(1).await?;
    Ok(Row { repo, branch, view })
}

/// The queues, as they are now.
pub async fn show(
    visitor: Visitor,
    State(app): State<AppState>,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let queues = Queues::look(&app).await?;
    let body = html! {
        p.tools {
            span #live-state role="status" { "As it was when this page was opened." }
            " " a href=(links::queues()) { "Look again" }
        }
        div #live tabindex="-1" data-live=(Link::to(&["queues", "live"])) { (queues.markup()) }
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
        Shown::View(match Queues::look(&self.app).await {
            Ok(queues) => queues.markup(),
            Err(error) => html! {
                p.notice { "The queues cannot be looked at just now: " (error.for_callers()) }
            },
        })
    }
}
