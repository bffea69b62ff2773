//! This sidecar and what it stands on: whether Redis and the storage answer, what contention costs here, and
//! what an examination has found.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::checkup::Findings;
use super::layout::{Page, Section, head, table};
use super::links::{self, Link};
use super::measured::Histogram;
use super::sinks;
use super::visitor::Visitor;
use super::words;
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::{Form, NoParameters, Query};
use crate::probes::Readiness;
use crate::state::{App, AppState};
use onward::internals::commit::counters::CounterSnapshot;
use onward::internals::measures;
use onward::internals::repo::doctor::{Check, Health};

/// The form that asks for an examination: it has nothing in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckupForm {}

/// A count of this sidecar: what it is called, what it says, and where it is.
type Counted = (&'static str, &'static str, fn(&CounterSnapshot) -> u64);

const COUNTED: [Counted; 10] = [
    ("Accepted", "ops that came in here", |c| c.accepted),
    ("Decided", "ops in the batches that this sidecar decided, by whomever they came", |c| {
        c.decided
    }),
    ("Batches", "that it decided", |c| c.batches),
    ("Rounds", "that it began", |c| c.rounds),
    ("Helped", "ops that it decided for others", |c| c.helped),
    ("Lost races", "rounds in which another had decided first: no commit failed for it", |c| {
        c.lost_races
    }),
    ("Failed rounds", "that ended with an error, as of Redis or the storage", |c| c.failed_rounds),
    ("Put back", "branches that were put back into Redis from the log", |c| c.restored),
    ("Wasted", "bytes written for merges and then not used", |c| c.bytes_wasted),
    ("Violations", "things seen that must never be: anything but 0 is a bug", |c| {
        c.invariant_violations
    }),
];

/// The page of the deployment. Asks Redis and the storage once a second at most, however many look.
pub async fn show(
    visitor: Visitor,
    State(app): State<AppState>,
    _: Query<NoParameters>,
) -> ApiResult<Response> {
    let readiness = Readiness::of(&app).await;
    let body = html! {
        h2 { "Health" }
        dl.figures {
            div { dt { "Redis" } dd { (answers(readiness.redis)) } }
            div { dt { "Storage" } dd { (answers(readiness.storage)) } }
            div { dt { "Sidecar" } dd { @if readiness.stopping { "stops" } @else { "serves" } } }
            div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) } }
        }
        h2 { "Contention" }
        (contention(&app))
        h2 { "Events out" }
        (sinks::trouble(&app.sinks))
        @if visitor.may(Role::Admin) {
            h2 { "Examination" }
            (examination(&visitor, app.checkup.last()))
        }
    };
    Ok(Page::new("Deployment", Section::Deployment, body).show(&visitor))
}

/// Examines the deployment, for administrators: what is found tells where it is.
pub async fn check_up(
    visitor: Visitor,
    State(app): State<AppState>,
    _: Form<CheckupForm>,
) -> ApiResult<Response> {
    visitor.require(Role::Admin)?;
    app.checkup.make(&app.onward).await;
    Ok(Redirect::to(links::deployment().as_str()).into_response())
}

fn answers(does: bool) -> Markup {
    match does {
        true => html! { span.good { "answers" } },
        false => html! { span.bad { "does not answer" } },
    }
}

fn contention(app: &App) -> Markup {
    let counters = app.onward.counters();
    let text = app.metrics.render();
    let of = |name| Histogram::of(&text, name);
    let (took, rounds, batch) =
        (of(measures::COMMIT_SECONDS), of(measures::COMMIT_ROUNDS), of(measures::BATCH_OPS));
    let in_ms = |seconds: f64| match seconds.is_finite() {
        true => words::length((seconds * 1000.0) as i64),
        false => "more than 5 min".to_owned(),
    };
    let plain = |number: f64| format!("{number:.1}");
    let whole = |number: f64| match number.is_finite() {
        true => words::count(number as u64),
        false => "more".to_owned(),
    };
    html! {
        p { "Of this sidecar, since it started. Nobody's commit fails for another's: what contention costs is rounds, and the time that they take." }
        dl.figures {
            (figure("Time to commit", &took, &in_ms, &in_ms))
            (figure("Rounds of an op", &rounds, &plain, &whole))
            (figure("Ops of a batch", &batch, &plain, &whole))
        }
        (table("What this sidecar has done", html! {
            (head(["What", "How often", "What it says"]))
            tbody {
                @for (name, says, value) in COUNTED {
                    tr { th scope="row" { (name) } td { (words::count(value(&counters))) } td.text { (says) } }
                }
            }
        }))
    }
}

fn figure(
    name: &str,
    of: &Histogram,
    mean: &dyn Fn(f64) -> String,
    most: &dyn Fn(f64) -> String,
) -> Markup {
    html! {
        div {
            dt { (name) }
            dd {
                @match (of.mean(), of.within(0.99)) {
                    (Some(average), Some(within)) => {
                        (mean(average)) " " small { "on average, 99 % within " (most(within)) ", of " (words::count(of.count())) }
                    }
                    _ => { "–" }
                }
            }
        }
    }
}

fn examination(visitor: &Visitor, found: Option<Findings>) -> Markup {
    html! {
        p { "Looks at what Redis and the storage really do, as " code { "onward doctor" } " does: about 60 small calls, once a minute at most." }
        form method="post" action=(Link::to(&["deployment", "checkup"])) {
            (visitor.token())
            button { "Examine now" }
        }
        @if let Some(found) = found {
            p {
                "Found at " (words::moment(found.at_ms)) "."
                @if !found.is_whole { " It took too long: not all was looked at." }
            }
            (table("What was found", findings(&found.checks)))
        } @else { p { "Not examined since this sidecar started." } }
    }
}

fn findings(checks: &[Check]) -> Markup {
    html! {
        (head(["What", "How", "Found"]))
        tbody {
            @for check in checks {
                tr {
                    th scope="row" { (check.check.replace('_', " ")) }
                    td {
                        @match check.health {
                            Health::Good => { span.good { "good" } }
                            Health::Warning => { span.warning { "warning" } }
                            Health::Bad => { span.bad { "bad" } }
                        }
                    }
                    td.text {
                        (check.found)
                        @if let Some(advice) = &check.advice { br; small { "→ " (advice) } }
                    }
                }
            }
        }
    }
}
