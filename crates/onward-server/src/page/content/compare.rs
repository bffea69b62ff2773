//! What differs between two refs, folder by folder.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::at::{At, Tab};
use super::changes::between;
use super::folders::Folder;
use super::words::{name, spoken};
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
    let top = at.links().compare(&query.from, &query.to);
    let folder = Folder { top, prefix: &query.prefix, after: &query.after };
    let said = html! { ", by what is committed" };
    Ok(html! {
        h2 { "From " (name(&spoken(&query.from))) " to " (name(&spoken(&query.to))) }
        (between(at, &folder, (&from, &to), said).await?)
    })
}
