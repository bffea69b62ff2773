//! One commit: what it says, what it descends from, and what it changed, folder by folder.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::history::CommitInfo;
use onward::{CommitId, RefExpr};

use super::at::{At, Tab};
use super::changes::between;
use super::folders::Folder;
use super::links::Links;
use super::words::{first_line, name, short};
use crate::auth::Role;
use crate::error::{ApiError, ApiResult};
use crate::extract::Query;
use crate::page::layout::{head, table};
use crate::page::words::moment;

/// Which page of which commit.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct CommitQuery {
    #[serde(rename = "ref")]
    reference: String,
    /// Which parent it is compared with, from 1; the first unless it is said.
    parent: Option<usize>,
    prefix: String,
    after: String,
}

/// A commit with a page of its changes. Costs the changes of that page.
pub async fn show(at: At, Query(query): Query<CommitQuery>) -> ApiResult<Response> {
    let info = at.repo.show_commit(&at.reference(&query.reference).await?).await?;
    let number = query.parent.unwrap_or(1);
    let parent = match info.commit.parents.as_slice() {
        [] => None,
        parents => Some(number.checked_sub(1).and_then(|at| parents.get(at)).ok_or_else(|| {
            ApiError::invalid(format!(
                "the commit has {} parents: there is no number {number}",
                parents.len()
            ))
        })?),
    };
    let body = html! {
        @if query.prefix.is_empty() && query.after.is_empty() { (said(&at, &info)) (ways(&at, &info.id)) }
        h2 { "Changes" }
        @match parent {
            None => p.empty { "It has no parent: whatever it has is new." },
            Some(parent) => (changes(&at, &query, &info, number, parent).await?),
        }
    };
    Ok(at.show(format!("Commit {}", short(&info.id)), Tab::History, body))
}

fn said(at: &At, info: &CommitInfo) -> Markup {
    let (links, commit) = (at.links(), &info.commit);
    html! {
        p.lead { (name(&first_line(&commit.message))) }
        @if commit.message.trim().contains('\n') { pre.message { (commit.message.trim()) } }
        dl.facts {
            dt { "Commit" } dd { code { (info.id) } }
            dt { "Made by" } dd { (name(&commit.committer)) }
            dt { "Made" } dd { (moment(commit.created_ms)) }
            dt { "Ticket" } dd { (info.ticket()) }
            dt { "Op" } dd { code { (commit.op_id) } }
            @for (number, parent) in commit.parents.iter().enumerate() {
                dt { "Parent " (number + 1) }
                dd {
                    a href=(links.commit(parent)) { code { (short(parent)) } }
                    @if commit.parents.len() > 1 {
                        " " a href=(of_parent(links, &info.id, number + 1)) { "changes against it" }
                    }
                }
            }
        }
        @if !commit.metadata.is_empty() {
            h2 { "Metadata" }
            (table("Metadata", html! {
                (head(["Key", "Value"]))
                tbody {
                    @for (key, value) in &commit.metadata {
                        tr { th scope="row" { (name(key)) } td { (name(value)) } }
                    }
                }
            }))
        }
    }
}

fn of_parent(links: Links<'_>, id: &CommitId, number: usize) -> crate::page::links::Link {
    links.commit(id).with("parent", &number.to_string())
}

fn ways(at: &At, id: &CommitId) -> Markup {
    let (links, id) = (at.links(), &id.to_string());
    html! {
        ul.ways {
            li { a href=(links.objects(id, "")) { "Objects" } }
            li { a href=(links.history(id)) { "History from here" } }
            @if at.visitor.may(Role::Write) {
                li { a href=(links.page(&["branch", "new"], &[("from", id)])) { "New branch here" } }
                li { a href=(links.page(&["tag", "new"], &[("from", id)])) { "New tag here" } }
                li { a href=(links.page(&["revert"], &[("commit", id)])) { "Revert" } }
            }
        }
    }
}

async fn changes(
    at: &At,
    query: &CommitQuery,
    info: &CommitInfo,
    number: usize,
    parent: &CommitId,
) -> ApiResult<Markup> {
    let (from, to) = (RefExpr::plain(parent.to_string()), RefExpr::plain(info.id.to_string()));
    let links = at.links();
    let top = match number {
        1 => links.commit(&info.id),
        number => of_parent(links, &info.id, number),
    };
    let folder = Folder { top, prefix: &query.prefix, after: &query.after };
    let said = html! { " from parent " (number) ", " code { (short(parent)) } };
    between(at, &folder, (&from, &to), said).await
}
