//! What differs between two refs, folder by folder.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::at::{At, Tab};
use super::changes::{Table, between, in_all};
use super::folders::Folder;
use super::grouped::{Line, page_of};
use super::words::{at_least, name, spoken};
use crate::error::ApiResult;
use crate::extract::Query;
use crate::refs::pinned;

/// Which page of which difference.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct CompareQuery {
    from: String,
    to: String,
    prefix: String,
    after: String,
}

/// The form that asks for two refs, and a page of what differs once they are given. Costs the changes of
/// that page, of large folders the first of them.
pub async fn show(at: At, Query(query): Query<CompareQuery>) -> ApiResult<Response> {
    let is_asked = !query.from.is_empty() && !query.to.is_empty();
    let body = html! {
        (asked(&at, &query).await?)
        @if is_asked { (differences(&at, &query).await?) }
    };
    Ok(at.show("Compare", Tab::Compare, body))
}

async fn asked(at: &At, query: &CompareQuery) -> ApiResult<Markup> {
    let from = at.reference(&query.from).await?.to_string();
    Ok(html! {
        form.filter method="get" action=(at.links().compare("", "")) {
            label for="from" { "From" }
            input #from type="text" name="from" value=(from) required autocomplete="off" autocapitalize="none" spellcheck="false";
            label for="to" { "to" }
            input #to type="text" name="to" value=(query.to) required autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="refs";
            button { "Compare" }
            small #refs { "Branches, tags or commits, as main~2." }
        }
    })
}

async fn differences(at: &At, query: &CompareQuery) -> ApiResult<Markup> {
    let from = pinned(&at.repo, &at.reference(&query.from).await?).await?;
    let to = pinned(&at.repo, &at.reference(&query.to).await?).await?;
    let links = at.links();
    let top = links.compare(&query.from, &query.to);
    let folder = Folder { top, prefix: &query.prefix, after: &query.after };
    let page = page_of(&folder, |start| between(&at.repo, &from, &to, start)).await?;
    let object = |line: &Line| {
        let of = if line.after.is_some() { &to } else { &from };
        Some(links.object(&of.to_string(), line.path.as_str()))
    };
    let shown = Table {
        folder: &folder,
        before: "Before",
        after: "After",
        settled: "the same",
        object: &object,
    };
    let (all, has_more) = in_all(&page);
    Ok(html! {
        h2 { "From " (name(&spoken(&query.from))) " to " (name(&spoken(&query.to))) }
        (folder.trail())
        @if query.after.is_empty() { p { (at_least(all.total(), has_more)) " paths differ, by what is committed." } }
        (shown.show(&page))
    })
}
