//! What is staged on a branch and not committed: what it is, committing it, taking it back.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::internals::repo::protection::Action;
use onward::{BranchName, PathChange};

use super::at::{At, Tab};
use super::changes::{Table, in_all, staged};
use super::folders::Folder;
use super::forms::{form, hidden, lines, message, metadata, once, op, print};
use super::grouped::{Line, page_of};
use super::naming::{sure, to};
use super::outcome::{WAIT, answer};
use super::words::at_least;
use crate::auth::Role;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Form, Query};

/// Which page of what is staged where.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct StagedQuery {
    branch: String,
    prefix: String,
    after: String,
}

/// A page of what is staged. Costs the staged changes of that page and a lookup of what each replaces.
pub async fn show(at: At, Query(query): Query<StagedQuery>) -> ApiResult<Response> {
    let name = BranchName::new(at.reference(&query.branch).await?.to_string())?;
    let branch = at.branch(&name);
    let (links, text) = (at.links(), name.as_str());
    let top = links.uncommitted(text);
    let folder = Folder { top, prefix: &query.prefix, after: &query.after };
    let page = page_of(&folder, |start| staged(branch.clone(), start)).await?;
    let is_asked = folder.is_top() && !page.rows.is_empty() && at.visitor.may(Role::Write);
    let asked = if is_asked { Some(asked(&at, &name).await?) } else { None };
    let object = |line: &Line| line.after.as_ref().map(|_| links.object(text, line.path.as_str()));
    let shown = Table {
        folder: &folder,
        before: "Committed",
        after: "Staged",
        settled: "as committed",
        object: &object,
    };
    let (all, has_more) = in_all(&page);
    let body = html! {
        (folder.trail())
        @if query.after.is_empty() {
            p { (at_least(all.total(), has_more)) " paths are staged on branch " a href=(links.history(text)) { (name) } " and not committed. They are kept by Redis alone." }
        }
        (shown.show(&page))
        @if let Some(asked) = asked { (asked) }
    };
    Ok(at.show(format!("Uncommitted on {name}"), Tab::None, body))
}

/// What a writer may do about it: where the branch is protected, it is said why not.
async fn asked(at: &At, branch: &BranchName) -> ApiResult<Markup> {
    let links = at.links();
    let back = links.page(&["uncommitted", "discard"], &[("branch", branch.as_str())]);
    Ok(html! {
        h2 { "Commit" }
        @match at.branch(branch).check_protection(Action::Commit).await {
            Err(why) => p.notice { (why.for_callers()) },
            Ok(()) => (form(at, &links.page(&["uncommitted"], &[]), html! {
                (hidden("branch", branch.as_str()))
                (once())
                (message("What the commit is for."))
                p { button { "Commit all that is staged" } }
            })),
        }
        p { a href=(back) { "Take all of it back" } }
    })
}

/// A commit of what is staged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staged {
    branch: String,
    op: String,
    message: String,
    metadata: String,
}

/// Commits what is staged, once however often the form is sent.
pub async fn commit(at: At, Form(wanted): Form<Staged>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(wanted.branch)?;
    let fields = print(&["commit", branch.as_str(), &wanted.message, &wanted.metadata]);
    let mut change = at
        .branch(&branch)
        .commit_staged()
        .message(lines(&wanted.message))
        .committer(at.visitor.caller.name())
        .op_id(op(&wanted.op)?)
        .fingerprint(fields)
        .timeout(WAIT);
    for (key, value) in metadata(&wanted.metadata)? {
        change = change.meta(key, value);
    }
    let outcome = change.commit().await?;
    Ok(answer(&at, &branch, &outcome).await)
}

/// Staged changes that are compared before they are taken back.
const COMPARED: usize = 1000;

/// Of which branch it is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardQuery {
    branch: String,
}

/// What is taken back, as it was when that was confirmed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discarded {
    branch: String,
    seen: String,
}

/// What tells what is staged now from what is staged at another time, as far as it is compared.
async fn seen(at: &At, branch: &BranchName) -> ApiResult<String> {
    let staged = at.branch(branch).status("", None, COMPARED).await?;
    let of = |change: &PathChange| match change.change.entry() {
        None => format!("{} removed", change.path),
        Some(entry) => format!("{} {} {}", change.path, entry.checksum, entry.address),
    };
    let all: Vec<String> = staged.iter().map(of).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Ok(print(&all).0.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Asks whether what is staged is really to be taken back.
pub async fn ask_to_discard(at: At, Query(query): Query<DiscardQuery>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(query.branch)?;
    let seen = seen(&at, &branch).await?;
    let links = at.links();
    let text = branch.as_str();
    let said = html! { p { "All that is staged on branch " strong { (text) } " will be gone. Nothing that is committed changes." } };
    let action = links.page(&["uncommitted", "discard"], &[]);
    let fields = html! { (hidden("branch", text)) (hidden("seen", &seen)) };
    let body = sure(&at, &action, said, fields, "Take all of it back", &links.uncommitted(text));
    Ok(at.show("Take back what is staged", Tab::None, body))
}

/// Takes what is staged back, where it is what was seen: of more than 1,000 paths, as far as those go.
pub async fn discard(at: At, Form(wanted): Form<Discarded>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(wanted.branch)?;
    if seen(&at, &branch).await? != wanted.seen {
        return Err(ApiError::conflict(format!(
            "something else is staged on branch '{branch}' since its page was opened, and nothing was done: look at it, and take it back from there"
        )));
    }
    at.branch(&branch).reset("", false).await?;
    Ok(to(&at.links().uncommitted(branch.as_str())))
}
