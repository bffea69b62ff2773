//! Merges: what one would bring, path by path, and making it.

use std::future::ready;

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::changes::OnConflict;
use onward::{BranchName, RefExpr};

use super::at::{At, Tab};
use super::changes::{Table, in_all, merging};
use super::folders::Folder;
use super::forms::{form, hidden, lines, message, metadata, once, op, print};
use super::grouped::{Line, page_of};
use super::outcome::{WAIT, answer};
use super::words::{at_least, name, spoken};
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::{Flag, Form, Query};
use crate::refs::pinned;

/// Which page of which merge.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct MergeQuery {
    source: String,
    into: String,
    prefix: String,
    after: String,
}

/// The form that asks for what is merged into what, and a page of what that would bring. Costs the changes
/// of that page and a lookup for each; and the walk to the merge base, as a merge does.
pub async fn show(at: At, Query(query): Query<MergeQuery>) -> ApiResult<Response> {
    let into = BranchName::new(at.reference(&query.into).await?.to_string())?;
    let body = html! {
        form.filter method="get" action=(at.links().page(&["merge"], &[])) {
            label for="source" { "Merge" }
            input #source type="text" name="source" value=(query.source) required autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="refs";
            label for="into" { "into" }
            input #into type="text" name="into" value=(into) required autocomplete="off" autocapitalize="none" spellcheck="false";
            button { "Show what it would bring" }
            small #refs { "A branch, a tag or a commit; into a branch." }
        }
        @if !query.source.is_empty() { (brought(&at, &query, &into).await?) }
    };
    Ok(at.show("Merge", Tab::None, body))
}

async fn brought(at: &At, query: &MergeQuery, into: &BranchName) -> ApiResult<Markup> {
    let dest = pinned(&at.repo, &RefExpr::plain(into.as_str())).await?;
    let source = pinned(&at.repo, &query.source.parse()?).await?;
    let links = at.links();
    let top = links.merge(&query.source, into.as_str());
    let folder = Folder { top, prefix: &query.prefix, after: &query.after };
    let three = at.repo.three_way(&dest, &source).await?;
    let page = page_of(&folder, |start| ready(Ok(merging(&three, start)))).await?;
    let object = |line: &Line| {
        line.after.as_ref().map(|_| links.object(&source.to_string(), line.path.as_str()))
    };
    let shown = Table {
        folder: &folder,
        before: "There",
        after: "Merged",
        settled: "there already",
        object: &object,
    };
    let (all, has_more) = in_all(&page);
    Ok(html! {
        h2 { "What " (name(&spoken(&query.source))) " would bring into " (into) }
        (folder.trail())
        @if query.after.is_empty() {
            p { (at_least(all.total(), has_more)) " paths were changed since both were the same." }
            @if all.conflicts > 0 { p.notice { (at_least(all.conflicts, has_more)) " of them were changed on both sides: without a choice whose changes win, nothing is merged." } }
        }
        (shown.show(&page))
        @if folder.is_top() && at.visitor.may(Role::Write) { (asked(at, query, into)) }
    })
}

fn asked(at: &At, query: &MergeQuery, into: &BranchName) -> Markup {
    let choices = [
        ("fail", "Merge nothing"),
        ("source-wins", "What is merged wins"),
        ("dest-wins", "The branch wins"),
    ];
    let fields = html! {
        (hidden("source", &query.source))
        (hidden("into", into.as_str()))
        (once())
        fieldset {
            legend { "Where both sides have changed a path" }
            @for (value, label) in choices {
                label { input type="radio" name="strategy" value=(value) checked[value == "fail"]; " " (label) }
            }
        }
        p { label { input type="checkbox" name="squash" value="true"; " As one commit, which does not name what it was merged from" } }
        (message("Unless you write one, it says what is merged into what."))
        p { button { "Merge into " (into) } }
    };
    html! { h2 { "Merge" } (form(at, &at.links().page(&["merge"], &[]), fields)) }
}

/// A merge that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    source: String,
    into: String,
    op: String,
    strategy: OnConflict,
    #[serde(default)]
    squash: Flag,
    message: String,
    metadata: String,
}

/// Merges, once however often the form is sent.
pub async fn merge(at: At, Form(wanted): Form<Wanted>) -> ApiResult<Response> {
    at.visitor.require(Role::Write)?;
    let into = BranchName::new(wanted.into)?;
    let how = format!("{:?} {}", wanted.strategy, wanted.squash.0);
    let fields =
        print(&["merge", into.as_str(), &wanted.source, &how, &wanted.message, &wanted.metadata]);
    let merge = at
        .branch(&into)
        .merge(wanted.source.parse()?)
        .committer(at.visitor.caller.name())
        .strategy(wanted.strategy.into())
        .squash(wanted.squash.0)
        .op_id(op(&wanted.op)?)
        .fingerprint(fields)
        .timeout(WAIT);
    let mut merge = at.app.tables.merging(merge, at.name.as_str(), into.as_str());
    for (key, value) in metadata(&wanted.metadata)? {
        merge = merge.meta(key, value);
    }
    let said = lines(&wanted.message);
    if !said.is_empty() {
        merge = merge.message(said);
    }
    let outcome = merge.commit().await?;
    Ok(answer(&at, &into, &outcome).await)
}
