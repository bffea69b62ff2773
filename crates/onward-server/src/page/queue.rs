//! The queue of a branch: once, live, and calling an op off.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use futures::StreamExt;
use futures::stream::BoxStream;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior};

use super::layout::{Page, Section};
use super::links;
use super::live::{self, Live, Shown};
use super::queue_view::{OPS_SHOWN, Queue, QueueShown};
use super::visitor::Visitor;
use super::window::Window;
use crate::auth::Role;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Form, NoParameters, Path, Query};
use crate::state::AppState;
use onward::internals::clock;
use onward::internals::repo::events::Event;
use onward::internals::repo::recent::RecentBatch;
use onward::internals::repo::{Branch, Repository};
use onward::{Cancelled, ErrorKind, OpId, Outcome, TicketStatus};

/// Between two looks at a queue that somebody watches.
const EVERY: Duration = Duration::from_secs(1);

/// The op that is asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueQuery {
    op: String,
}

/// The op that is called off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelForm {
    op: String,
}

type Names = Path<(String, String)>;

/// What waits on a branch.
pub async fn show(
    visitor: Visitor,
    State(app): State<AppState>,
    Path((repo, branch)): Names,
    Query(query): Query<QueueQuery>,
) -> ApiResult<Response> {
    let handle = app.onward.repo(&repo).branch(&branch);
    let queue = Queue::from(handle.queue(OPS_SHOWN).await?);
    let batches = handle.recent_batches().await?;
    let asked = query.op.trim();
    let told = match asked.is_empty() {
        true => None,
        false => Some(standing(&handle, asked).await?),
    };
    let may_cancel = visitor.may(Role::Write);
    let (repo, branch, now_ms) = (repo.as_str(), branch.as_str(), clock::now_ms());
    let shown = QueueShown {
        repo,
        branch,
        queue: &queue,
        batches: &batches,
        window: None,
        now_ms,
        may_cancel,
    };
    let body = html! {
        @if let Some(told) = &told { p.notice role="status" { (told) } }
        p.tools {
            span #live-state role="status" { "As it was when this page was opened." }
            " " a href=(links::queue(repo, branch)) { "Look again" }
        }
        div #live tabindex="-1" data-live=(links::queue_live(repo, branch)) { (shown.markup()) }
        h2 { "One op" }
        form.filter method="get" action=(links::queue(repo, branch)) {
            label for="op" { "Op id" }
            input #op name="op" value=(asked) required spellcheck="false" autocomplete="off";
            button { "What became of it?" }
        }
    };
    Ok(page(format!("Queue of {repo}/{branch}"), body).show(&visitor))
}

fn page(title: String, body: Markup) -> Page {
    Page::new(title, Section::Queues, body).below("Queues", links::queues())
}

/// What became of an op, in words.
async fn standing(branch: &Branch, asked: &str) -> ApiResult<Markup> {
    let Ok(op_id) = asked.parse::<OpId>() else {
        return Ok(
            html! { "'" bdi { (asked) } "' is no op id: it has 36 characters, as 00000000-0000-4000-8000-000000000000." },
        );
    };
    Ok(match branch.ticket_status(op_id).await {
        Ok(TicketStatus::Pending { ticket, position }) => {
            html! { "Op " code { (op_id) } " waits, as ticket " (ticket) ", at place " (position) " of the queue." }
        }
        Ok(TicketStatus::Decided(outcome)) => html! {
            "Op " code { (op_id) } " is decided: " strong { (outcome.name().replace('_', " ")) }
            @if let Some(ticket) = outcome.ticket() { ", as ticket " (ticket) }
            @if let Some(reason) = outcome.reason() { " (" bdi { (reason) } ")" }
            "."
            @if let Outcome::Committed { commit, .. } = &*outcome { " Its commit: " code { (commit) } "." }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            html! { "No op " code { (op_id) } " is known on this branch." }
        }
        Err(error) => return Err(error.into()),
    })
}

/// Asks whether an op is really to be called off.
pub async fn ask_to_cancel(
    visitor: Visitor,
    State(app): State<AppState>,
    Path((repo, branch)): Names,
    Query(query): Query<QueueQuery>,
) -> ApiResult<Response> {
    visitor.require(Role::Write)?;
    let op_id = query.op.parse::<OpId>()?;
    let told = standing(&app.onward.repo(&repo).branch(&branch), &query.op).await?;
    let body = html! {
        p { (told) }
        p { "Whoever submitted it is told that it was cancelled, and nothing of it happens, unless somebody is deciding it at this moment." }
        form.stacked method="post" action=(links::cancel(&repo, &branch)) {
            (visitor.token())
            input type="hidden" name="op" value=(op_id);
            button.danger { "Call it off" }
        }
        p { a href=(links::queue(&repo, &branch)) { "Back to the queue" } }
    };
    let queue = format!("Queue of {repo}/{branch}");
    let page = page("Call an op off".to_owned(), body);
    Ok(page.below(queue, links::queue(&repo, &branch)).show(&visitor))
}

/// Calls an op off, and shows what came of it.
pub async fn cancel(
    visitor: Visitor,
    State(app): State<AppState>,
    Path((repo, branch)): Names,
    Form(form): Form<CancelForm>,
) -> ApiResult<Response> {
    visitor.require(Role::Write)?;
    let op_id = form.op.parse::<OpId>()?;
    match app.onward.repo(&repo).branch(&branch).ticket_cancel(op_id).await? {
        Cancelled::Marked(_) | Cancelled::Decided(_) => {
            let queue = links::queue(&repo, &branch).with("op", &op_id.to_string());
            Ok(Redirect::to(queue.as_str()).into_response())
        }
        _ => Err(ApiError::from(onward::Error::not_found(format!("op {op_id} is not known here")))),
    }
}

/// The queue as it changes: once a second a look at it, one at what was decided last, and at four commits,
/// for how long they took.
pub async fn follow(
    visitor: Visitor,
    State(app): State<AppState>,
    Path((repo, branch)): Names,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let repository = app.onward.repo(&repo);
    let handle = repository.branch(&branch);
    let events = handle.events(None).await?;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let may_cancel = visitor.may(Role::Write);
    let follower = Follower {
        names: (repo, branch),
        repository,
        branch: handle,
        events,
        tick,
        window: Window::default(),
        batches: Vec::new(),
        done: None,
        may_cancel,
    };
    live::follow(&app, &visitor, follower)
}

/// Somebody who watches a queue.
struct Follower {
    names: (String, String),
    repository: Repository,
    branch: Branch,
    events: BoxStream<'static, onward::Result<Event>>,
    tick: Interval,
    window: Window,
    batches: Vec<RecentBatch>,
    /// Tickets decided at the last look.
    done: Option<u64>,
    may_cancel: bool,
}

impl Live for Follower {
    async fn next(&mut self) -> Shown {
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Ok(Event::Outcome { commit, .. })) => self.window.decided(commit, clock::now_ms()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Shown::End(error.for_callers()),
                    None => return Shown::End("The branch was deleted.".to_owned()),
                },
                _ = self.tick.tick() => {
                    return match self.look().await {
                        Ok(markup) => Shown::View(markup),
                        Err(error) if error.is_retryable() => Shown::View(html! {
                            p.notice { "The queue cannot be looked at just now: " (error.for_callers()) }
                        }),
                        Err(error) => Shown::End(error.for_callers()),
                    };
                }
            }
        }
    }
}

impl Follower {
    async fn look(&mut self) -> onward::Result<Markup> {
        for (commit, at_ms) in self.window.tick() {
            // One that cannot be read says nothing of the queue.
            if let Ok(commit) = self.repository.commit(&commit).await {
                self.window.took(at_ms.saturating_sub(commit.created_ms));
            }
        }
        let view = self.branch.queue(OPS_SHOWN).await?;
        if self.done != Some(view.done) {
            self.batches = self.branch.recent_batches().await?;
            self.done = Some(view.done);
        }
        let (repo, branch) = (self.names.0.as_str(), self.names.1.as_str());
        let (batches, window) = (self.batches.as_slice(), Some(&self.window));
        let (now_ms, may_cancel) = (clock::now_ms(), self.may_cancel);
        let queue = &Queue::from(view);
        Ok(QueueShown { repo, branch, queue, batches, window, now_ms, may_cancel }.markup())
    }
}
