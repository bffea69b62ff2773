//! Taking a commit back by another one.

use axum::response::Response;
use maud::html;
use serde::Deserialize;

use onward::{BranchName, RefExpr};

use super::at::{At, Tab};
use super::forms::{form, hidden, line, lines, message, metadata, once, op, print};
use super::outcome::{WAIT, answer};
use super::words::{first_line, name, short};
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::{Form, Query};

/// Which commit is to be taken back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevertQuery {
    commit: String,
}

/// Asks on which branch a commit is to be taken back.
pub async fn ask(at: At, Query(query): Query<RevertQuery>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let info = at.repo.show_commit(&query.commit.parse()?).await?;
    let branch = at.repo.show().await?.default_branch;
    let (links, parents) = (at.links(), &info.commit.parents);
    let fields = html! {
        (hidden("commit", &info.id.to_string()))
        (once())
        (line("branch", "On branch", branch.as_str(), "What the commit changed is taken back there by a commit of its own."))
        @if parents.len() > 1 {
            fieldset {
                legend { "It is a merge: back to" }
                @for (number, parent) in parents.iter().enumerate() {
                    label {
                        input type="radio" name="parent" value=(number + 1) checked[number == 0];
                        " parent " (number + 1) ", " code { (short(parent)) }
                        @if number == 0 { " (the branch it was merged into)" }
                    }
                }
            }
        }
        (message("Unless you write one, it says which commit is taken back."))
        p { button { "Revert" } " " a href=(links.commit(&info.id)) { "Leave it as it is" } }
    };
    let body = html! {
        p { "Commit " a href=(links.commit(&info.id)) { code { (short(&info.id)) } } ": " (name(&first_line(&info.commit.message))) }
        (form(&at, &links.page(&["revert"], &[]), fields))
    };
    Ok(at.show("Revert a commit", Tab::None, body))
}

/// A commit that is to be taken back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    commit: String,
    branch: String,
    #[serde(default)]
    parent: Option<u32>,
    op: String,
    message: String,
    metadata: String,
}

/// Takes a commit back, once however often the form is sent.
pub async fn revert(at: At, Form(wanted): Form<Wanted>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(wanted.branch.trim())?;
    let parent = wanted.parent.map(|number| number.to_string()).unwrap_or_default();
    let fields = print(&[
        "revert",
        branch.as_str(),
        &wanted.commit,
        &parent,
        &wanted.message,
        &wanted.metadata,
    ]);
    let mut revert = at
        .branch(&branch)
        .revert(wanted.commit.parse::<RefExpr>()?, wanted.parent)
        .committer(at.visitor.caller.name())
        .op_id(op(&wanted.op)?)
        .fingerprint(fields)
        .timeout(WAIT);
    for (key, value) in metadata(&wanted.metadata)? {
        revert = revert.meta(key, value);
    }
    let said = lines(&wanted.message);
    if !said.is_empty() {
        revert = revert.message(said);
    }
    let outcome = revert.commit().await?;
    Ok(answer(&at, &branch, &outcome).await)
}
