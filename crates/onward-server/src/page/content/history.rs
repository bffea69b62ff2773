//! The history of a ref, newest first, with its lines drawn beside it.

use axum::response::Response;
use futures::{StreamExt, TryStreamExt};
use maud::{Markup, html};
use serde::Deserialize;

use onward::CommitId;
use onward::history::{CommitInfo, LogRequest};

use super::at::{At, Tab};
use super::graph::{picture, width_of};
use super::lanes::{Lanes, Row};
use super::words::{cut, first_line, name, short, spoken};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Query};
use crate::page::paging::further;
use crate::page::words::moment;

/// Commits of a page.
const COMMITS: usize = 50;

/// Lines of history that a page goes on with, at most: each is an id in the link.
const LINES_MAX: usize = 40;

/// Characters of a committer's name.
const COMMITTER_SHOWN: usize = 60;

/// Which page of which history.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryQuery {
    #[serde(rename = "ref")]
    reference: String,
    /// The commits that the page begins with, where it is not the first one.
    at: String,
    first_parent: Flag,
}

/// A page of a history. Costs the log entries of its commits, each read once, wherever in the history it is.
pub async fn show(at: At, Query(query): Query<HistoryQuery>) -> ApiResult<Response> {
    let reference = at.reference(&query.reference).await?;
    let starts = starts(&query.at)?;
    let is_further = !starts.is_empty();
    let mut lanes = Lanes::going_on(&starts);
    let starts = match is_further {
        true => starts,
        false => at.repo.commit_of(&reference).await?.into_iter().collect(),
    };
    let first_parent = query.first_parent.0;
    let request = LogRequest { first_parent, ..LogRequest::default() };
    let log = at.repo.log_from(starts, &request).await?;
    let commits: Vec<CommitInfo> = log.take(COMMITS).try_collect().await?;
    let rows: Vec<Row> = commits
        .iter()
        .map(|info| {
            let followed = if first_parent { 1 } else { info.commit.parents.len() };
            lanes.row(info.id, info.commit.parents.get(..followed).unwrap_or_default())
        })
        .collect();
    let reference = reference.to_string();
    let links = at.links();
    let list = links.page(
        &["history"],
        &[("ref", &reference), ("first_parent", if first_parent { "true" } else { "" })],
    );
    let open = lanes.left_open();
    let (next, is_left) = match open.len() {
        0 => (None, false),
        1..=LINES_MAX => (Some(list.clone().with("at", &joined(&open))), false),
        _ => {
            // The first lane is that of the branch itself.
            let first = open.first().copied().into_iter().collect::<Vec<_>>();
            (Some(list.clone().with("at", &joined(&first))), true)
        }
    };
    let body = html! {
        (asked(&at, &reference, first_parent))
        @if commits.is_empty() { p.empty { "There is no commit yet." } }
        @else {
            @let width = width_of(&rows);
            ol.history.(format!("w{width}")) {
                @for (info, row) in commits.iter().zip(&rows) {
                    li { (picture(row, width)) (entry(&at, info)) }
                }
            }
        }
        @if is_left {
            p.notice { "More than " (LINES_MAX) " lines of history are open here. The next page goes on with the first of them; a commit's page shows all of its parents." }
        }
        (further(&list, is_further, next))
    };
    Ok(at.show(format!("History of {}", spoken(&reference)), Tab::History, body))
}

fn asked(at: &At, reference: &str, first_parent: bool) -> Markup {
    html! {
        form.filter method="get" action=(at.links().history("")) role="search" {
            label for="ref" { "Branch, tag or commit" }
            input #ref type="search" name="ref" value=(reference) autocomplete="off" autocapitalize="none" spellcheck="false";
            label { input type="checkbox" name="first_parent" value="true" checked[first_parent]; " first parents only" }
            button { "Show" }
        }
    }
}

fn entry(at: &At, info: &CommitInfo) -> Markup {
    let (links, commit) = (at.links(), &info.commit);
    html! {
        div {
            a href=(links.commit(&info.id)) { (name(&first_line(&commit.message))) }
            @if commit.parents.len() > 1 { " " span.mark { "merge" } }
            div.facts {
                code { (short(&info.id)) } " by " (name(&cut(&commit.committer, COMMITTER_SHOWN))) ", "
                (moment(commit.created_ms))
            }
        }
    }
}

/// The commits that a page goes on with.
fn starts(text: &str) -> ApiResult<Vec<CommitId>> {
    let ids = text.split('.').filter(|id| !id.is_empty());
    let ids: Vec<CommitId> = ids.map(str::parse).collect::<Result<_, _>>()?;
    match ids.len() {
        0..=LINES_MAX => Ok(ids),
        _ => Err(ApiError::invalid(
            "a page of history goes on with fewer lines: begin at its first page",
        )),
    }
}

fn joined(ids: &[CommitId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}
