//! Where events of repositories go, and which of these are not reached.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{Page, Section, table};
use super::links;
use super::visitor::Visitor;
use super::words;
use crate::error::ApiResult;
use crate::extract::{NoParameters, Path, Query};
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
            (table("Sinks", rows(&sinks)))
            p { code { "onward sink revive" } " lets one that is dead go on where it stopped." }
        }
    };
    let page = Page::new(format!("Sinks of {repo}"), Section::Repositories, body);
    Ok(page.below("Repositories", links::repos()).show(&visitor))
}

fn rows(sinks: &[SinkShape]) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "Sink" }
                th scope="col" { "State" }
                th scope="col" { "Where" }
                th scope="col" { "Branches" }
                th scope="col" { "Delivered" }
            }
        }
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
                    td.text { (sink.branches.join(", ")) }
                    td { (words::count(sink.delivered)) }
                }
            }
        }
    }
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
