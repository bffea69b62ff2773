//! Where events of repositories go, and which of these are not reached.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Page, Section, head, table};
use super::links;
use super::visitor::Visitor;
use super::words;
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::{Form, NoParameters, Path, Query};
use crate::sinks::Sinks;
use crate::sinks::shapes::SinkShape;
use crate::state::AppState;
use onward::RepoName;

/// The sinks of a repository, 100 at most. Costs two reads for each.
pub async fn show(
    visitor: Visitor,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let repo = repo.parse::<RepoName>()?;
    let sinks = app.sinks.list(&repo).await?;
    let body = html! {
        @if sinks.is_empty() {
            p { "Events of this repository go nowhere. " code { "onward sink add" } " makes a sink." }
        } @else {
            (table("Sinks", rows(&visitor, &sinks)))
            p { "One that is dead was given up, and goes on where it stopped when an administrator revives it (" code { "onward sink revive" } ")." }
        }
    };
    let page = Page::new(format!("Sinks of {repo}"), Section::Repositories, body);
    Ok(page.below("Repositories", links::repos()).show(&visitor))
}

fn rows(visitor: &Visitor, sinks: &[SinkShape]) -> Markup {
    let columns = ["Sink", "State", "Where", "Branches", "Delivered"];
    let may_revive = visitor.may(Role::Admin) && sinks.iter().any(SinkShape::is_dead);
    html! {
        (head(columns.into_iter().chain(may_revive.then_some("Revive"))))
        tbody {
            @for sink in sinks {
                tr {
                    th scope="row" { (sink.id) }
                    td.text {
                        span class=(tone(&sink.state)) { (sink.state) }
                        @if let Some(since) = &sink.since { " since " time datetime=(since) { (since) } }
                        @if let Some(reason) = &sink.reason { br; small { bdi { (reason) } } }
                    }
                    td.text { bdi { (sink.place()) } }
                    td.text {
                        (sink.branches.join(", "))
                        @if !sink.left_out.is_empty() {
                            br; small { "left out, as their records are damaged: " bdi { (sink.left_out.join(", ")) } }
                        }
                    }
                    td { (words::count(sink.delivered)) }
                    @if may_revive { td { @if sink.is_dead() { (revival(visitor, sink)) } } }
                }
            }
        }
    }
}

/// Lets a sink go on: nothing is lost by it, so nobody is asked whether he is sure.
fn revival(visitor: &Visitor, sink: &SinkShape) -> Markup {
    html! {
        form method="post" action=(links::revive(&sink.repository)) {
            (visitor.token())
            input type="hidden" name="sink" value=(sink.id);
            button aria-label={ "Revive sink " (sink.id) } { "Revive" }
        }
    }
}

/// Which sink is to go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviveForm {
    sink: String,
}

/// Lets a sink that was given up go on where it stopped.
pub async fn revive(
    visitor: Visitor,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    Form(form): Form<ReviveForm>,
) -> ApiResult<Response> {
    visitor.require(Role::Admin)?;
    let repo = repo.parse::<RepoName>()?;
    app.sinks.revive(&repo, &form.sink).await?;
    Ok(Redirect::to(links::sinks(repo.as_str()).as_str()).into_response())
}

/// How the word for a state looks.
fn tone(state: &str) -> &'static str {
    match state {
        "live" => "good",
        "failing" => "warning",
        _ => "bad",
    }
}

/// The sinks that this sidecar delivers to and does not reach.
pub fn trouble(sinks: &Sinks) -> Markup {
    let states = sinks.states();
    let wrong: Vec<_> = states
        .iter()
        .filter(|(_, state)| state.is_dead || state.failing_since_ms.is_some())
        .collect();
    html! {
        p {
            "This sidecar delivers to " (words::counted(states.len() as u64, "sink", "sinks"))
            @if states.is_empty() { ": others may do." } @else { ", of which " (wrong.len()) " are not reached." }
        }
        @if !wrong.is_empty() {
            ul {
                @for ((repo, id), state) in wrong {
                    li {
                        a href=(links::sinks(repo)) { (repo) "/" (id) } " "
                        @if state.is_dead { span.bad { "is dead: it was given up" } }
                        @else if let Some(since) = state.failing_since_ms {
                            span.warning { "fails" } " since " (words::moment(since))
                        }
                    }
                }
            }
        }
    }
}
