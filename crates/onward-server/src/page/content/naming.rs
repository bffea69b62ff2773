//! Branches and tags that come and go: the forms that ask, and what is done when they are sent.

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use onward::internals::model::error::quoted;
use onward::read::TagInfo;
use onward::{BranchName, CommitId, RefExpr, TagName};

use super::at::{At, Tab};
use super::forms::{form, hidden, line};
use super::words::name;
use crate::auth::Role;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Form, Query};
use crate::page::links::Link;
use crate::refs;

/// Where a new name begins.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct FromQuery {
    from: String,
}

/// A new name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    name: String,
    from: String,
}

/// A name that is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldName {
    /// What is to go, by its name.
    pub name: String,
}

/// A name that is to go, and what it named when that was confirmed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenName {
    name: String,
    seen: String,
}

impl SeenName {
    /// Fails with 409 where it names something else by now.
    fn require(&self, now: Option<CommitId>) -> ApiResult<()> {
        if self.seen == head(now) {
            return Ok(());
        }
        Err(ApiError::conflict(format!(
            "'{}' has moved since its page was opened, and nothing was done: look at what it names now, and delete it from there",
            quoted(&self.name)
        )))
    }
}

/// What a name names, as forms have it.
fn head(commit: Option<CommitId>) -> String {
    commit.map(|commit| commit.to_string()).unwrap_or_default()
}

/// Asks for the name of a branch.
pub async fn ask_branch(at: At, Query(query): Query<FromQuery>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let action = at.links().page(&["branch", "new"], &[]);
    let rule = "Letters, digits, '_' and '-'.";
    Ok(at.show("New branch", Tab::None, new_name(&at, &action, rule, &query.from, "Create branch")))
}

/// Asks for the name of a tag.
pub async fn ask_tag(at: At, Query(query): Query<FromQuery>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let action = at.links().page(&["tag", "new"], &[]);
    let rule = "Without blanks and slashes.";
    Ok(at.show("New tag", Tab::None, new_name(&at, &action, rule, &query.from, "Create tag")))
}

fn new_name(at: &At, action: &Link, rule: &str, from: &str, what: &str) -> Markup {
    let fields = html! {
        (line("name", "Name", "", rule))
        (line("from", "At", from, "A branch, a tag or a commit, as main~2."))
        p { button { (what) } }
    };
    form(at, action, fields)
}

/// Makes a branch.
pub async fn create_branch(at: At, Form(wanted): Form<NewName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let name = BranchName::new(wanted.name.trim())?;
    at.branch(&name).create(&wanted.from.trim().parse::<RefExpr>()?).await?;
    Ok(to(&at.links().history(name.as_str())))
}

/// Makes a tag.
pub async fn create_tag(at: At, Form(wanted): Form<NewName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let name = TagName::new(wanted.name.trim())?;
    let made = at.repo.create_tag(&name, &wanted.from.trim().parse::<RefExpr>()?).await?;
    Ok(to(&at.links().commit(&made.commit)))
}

/// Asks whether a branch is really to go.
pub async fn ask_to_delete_branch(at: At, Query(query): Query<OldName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(query.name)?;
    let seen = head(at.branch(&branch).show().await?.commit);
    let staged = !at.branch(&branch).status("", None, 1).await?.is_empty();
    let said = html! {
        p { "Branch " strong { (branch) } " will be gone. Commits that no other branch or tag leads to are lost with the next garbage collection." }
        @if staged { p.notice { "It has changes that are not committed, and they will be gone, too." } }
    };
    let action = at.links().page(&["branch", "delete"], &[]);
    let body = sure(
        &at,
        &action,
        said,
        seen_name(branch.as_str(), &seen),
        "Delete branch",
        &at.links().branches(),
    );
    Ok(at.show("Delete a branch", Tab::None, body))
}

/// Asks whether a tag is really to go.
pub async fn ask_to_delete_tag(at: At, Query(query): Query<OldName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let TagInfo { name: tag, commit, .. } = at.repo.tag(&TagName::new(query.name)?).await?;
    let said = html! { p { "Tag " strong { (name(tag.as_str())) } " will be gone. Its commit stays where a branch or another tag leads to it." } };
    let action = at.links().page(&["tag", "delete"], &[]);
    let body = sure(
        &at,
        &action,
        said,
        seen_name(tag.as_str(), &head(Some(commit))),
        "Delete tag",
        &at.links().tags(),
    );
    Ok(at.show("Delete a tag", Tab::None, body))
}

fn seen_name(name: &str, seen: &str) -> Markup {
    html! { (hidden("name", name)) (hidden("seen", seen)) }
}

/// A question that has to be answered before something goes.
pub fn sure(
    at: &At,
    action: &Link,
    said: Markup,
    fields: Markup,
    what: &str,
    back: &Link,
) -> Markup {
    let fields = html! {
        (fields)
        p { button.danger { (what) } " " a href=(back) { "Leave it as it is" } }
    };
    html! { (said) (form(at, action, fields)) }
}

/// Deletes a branch.
pub async fn delete_branch(at: At, Form(wanted): Form<SeenName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let branch = BranchName::new(wanted.name.as_str())?;
    wanted.require(at.branch(&branch).show().await?.commit)?;
    refs::delete_branch(&at.repo, branch.as_str()).await?;
    Ok(to(&at.links().branches()))
}

/// Deletes a tag.
pub async fn delete_tag(at: At, Form(wanted): Form<SeenName>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let tag = TagName::new(wanted.name.as_str())?;
    wanted.require(Some(at.repo.tag(&tag).await?.commit))?;
    at.repo.delete_tag(&tag).await?;
    Ok(to(&at.links().tags()))
}

/// Sends on who has sent a form, so that loading the next page again does nothing again.
pub fn to(link: &Link) -> Response {
    Redirect::to(link.as_str()).into_response()
}
