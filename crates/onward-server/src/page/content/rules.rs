//! The rules of protected branches: what there is, adding one, removing one.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::admin::{Action, Rule};

use super::at::{At, Tab};
use super::forms::{form, hidden, line};
use super::naming::{OldName, sure, to};
use super::words::name;
use crate::auth::Role;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Form, Query};
use crate::page::layout::{head, table};
use crate::page::paging::{ROWS, further};
use crate::sinks::shown;

/// Which page of the rules.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RulesQuery {
    /// How many are in front of it.
    skip: usize,
}

/// A page of the rules. Costs one read.
pub async fn show(at: At, Query(query): Query<RulesQuery>) -> ApiResult<Response> {
    let rules = at.repo.protection().await?;
    let (links, is_admin) = (at.links(), at.visitor.may(Role::Admin));
    let page = rules.get(query.skip..).unwrap_or_default();
    let next =
        (page.len() > ROWS).then(|| links.rules().with("skip", &(query.skip + ROWS).to_string()));
    let rows = html! {
        (head(["Branches", "Blocked", "Checked by"].into_iter().chain(is_admin.then_some("Pages"))))
        tbody {
            @for rule in page.iter().take(ROWS) {
                tr {
                    th scope="row" { (name(&rule.pattern)) }
                    td { @for action in &rule.blocks { span.mark { (action) } " " } }
                    td { @if let Some(check) = &rule.check { bdi { (shown(&check.url)) } } }
                    @if is_admin {
                        td { a href=(links.page(&["rule", "delete"], &[("name", &rule.pattern)])) aria-label={ "Remove the rule for " (rule.pattern) } { "Remove" } }
                    }
                }
            }
        }
    };
    let body = html! {
        p { "What may not be done directly to branches whose names match, and who is asked before a commit or a merge into them is queued." }
        @if rules.is_empty() { p.empty { "No branch is protected." } } @else { (table("Rules", rows)) }
        (further(&links.rules(), query.skip > 0, next))
        @if is_admin { h2 { "New rule" } (asked(&at)) }
    };
    Ok(at.show("Protected branches", Tab::Rules, body))
}

fn asked(at: &At) -> Markup {
    let fields = html! {
        (line("pattern", "Branches", "", "A name, or a pattern: main, release-*. A rule with the same pattern is replaced; its check stays."))
        fieldset {
            legend { "Blocked" }
            @for action in Action::ALL {
                label { input type="checkbox" name="blocks" value=(action) checked; " " (action) }
            }
        }
        p { button { "Protect" } }
    };
    form(at, &at.links().rules(), fields)
}

/// A rule that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    pattern: String,
    #[serde(default)]
    blocks: Vec<String>,
}

/// Adds a rule.
pub async fn add(at: At, Form(wanted): Form<NewRule>) -> ApiResult<Response> {
    at.visitor.require(Role::Admin)?;
    let blocks = wanted.blocks.iter().map(|action| action.parse::<Action>());
    let blocks: Vec<Action> = blocks.collect::<Result<_, _>>()?;
    at.repo.protect(Rule::new(wanted.pattern.trim()).only(blocks)).await?;
    Ok(to(&at.links().rules()))
}

/// Asks whether a rule is really to go.
pub async fn ask_to_remove(at: At, Query(query): Query<OldName>) -> ApiResult<Response> {
    at.visitor.require(Role::Admin)?;
    let rules = at.repo.protection().await?;
    let Some(rule) = rules.iter().find(|rule| rule.pattern == query.name) else {
        return Err(ApiError::from(onward::Error::not_found("there is no such rule by now")));
    };
    let said = html! { p { "The rule for " strong { (name(&rule.pattern)) } " will be gone, and what it blocks can be done." } };
    let action = at.links().page(&["rule", "delete"], &[]);
    let body =
        sure(&at, &action, said, hidden("name", &rule.pattern), "Remove rule", &at.links().rules());
    Ok(at.show("Remove a rule", Tab::None, body))
}

/// Removes a rule.
pub async fn remove(at: At, Form(wanted): Form<OldName>) -> ApiResult<Response> {
    at.visitor.require(Role::Admin)?;
    at.repo.unprotect(&wanted.name).await?;
    Ok(to(&at.links().rules()))
}
