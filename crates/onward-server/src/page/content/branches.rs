//! The branches of a repository, each with how far it has gone apart from the default one.

use std::collections::HashMap;

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::internals::commit::merge::graph::Apart;
use onward::read::{BranchInfo, NamesRequest, RepoInfo};
use onward::{BranchName, CommitId};

use super::at::{At, Tab};
use super::words::{at_least, short};
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::{Flag, Query};
use crate::page::layout::{head, table};
use crate::page::links;
use crate::page::paging::further;
use crate::page::words::moment;

/// Branches of a page: as many as one walk through history compares.
const ROWS: usize = 50;

/// Commits that are visited for the counts of a page.
const VISITS_MAX: usize = 1000;

/// Which page of the branches.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct BranchesQuery {
    after: String,
    prefix: String,
    hidden: Flag,
}

/// A page of the branches. Costs a listing of their names, two reads for each row, and those of
/// [`VISITS_MAX`] commits at the most.
pub async fn show(at: At, Query(query): Query<BranchesQuery>) -> ApiResult<Response> {
    let info = at.repo.show().await?;
    let request =
        NamesRequest { prefix: query.prefix.clone(), after: query.after.clone(), amount: ROWS };
    let page = at.repo.branches_page(&request, query.hidden.0).await?;
    let apart = apart(&at, &info.default_branch, &page.items).await;
    let rows = html! {
        (head(["Branch", "Head", "Ahead", "Behind", "Pages"]))
        tbody { @for branch in &page.items { (row(&at, &info, branch, &apart)) } }
    };
    let links = at.links();
    let list = links.page(
        &[],
        &[("prefix", &query.prefix), ("hidden", if query.hidden.0 { "true" } else { "" })],
    );
    let next = page.items.last().filter(|_| page.has_more);
    let next = next.map(|last| list.clone().with("after", last.name.as_str()));
    let body = html! {
        p { "Default branch: " strong { (info.default_branch) } ", created " (moment(info.created_ms)) "." }
        form.filter method="get" action=(links.branches()) role="search" {
            label for="prefix" { "Names that begin with" }
            input #prefix type="search" name="prefix" value=(query.prefix) autocomplete="off" spellcheck="false";
            label { input type="checkbox" name="hidden" value="true" checked[query.hidden.0]; " with hidden ones" }
            button { "Show" }
        }
        @if page.items.is_empty() { p.empty { "There is no such branch." } } @else { (table("Branches", rows)) }
        (further(&list, !query.after.is_empty(), next))
        @if at.visitor.may(Role::Write) {
            p { a.button href=(links.page(&["branch", "new"], &[("from", info.default_branch.as_str())])) { "New branch" } }
        }
    };
    Ok(at.show(at.name.to_string(), Tab::Branches, body))
}

/// How far the branches of a page have gone apart from the default one, by their heads. Where history cannot
/// be read there are no counts, and the page is there all the same.
async fn apart(
    at: &At,
    default_branch: &BranchName,
    branches: &[BranchInfo],
) -> HashMap<CommitId, Apart> {
    let counted = async {
        let Some(base) = at.branch(default_branch).show().await?.commit else {
            return Ok(HashMap::new());
        };
        let heads: Vec<CommitId> = branches.iter().filter_map(|branch| branch.commit).collect();
        let apart = at.repo.apart(base, &heads, VISITS_MAX).await?;
        Ok::<_, onward::Error>(heads.into_iter().zip(apart).collect())
    };
    counted.await.unwrap_or_else(|error| {
        tracing::debug!(%error, repo = %at.name, "branches are shown without how far they have gone apart");
        HashMap::new()
    })
}

fn row(at: &At, info: &RepoInfo, branch: &BranchInfo, apart: &HashMap<CommitId, Apart>) -> Markup {
    let (links, name) = (at.links(), branch.name.as_str());
    let is_default = branch.name == info.default_branch;
    let apart = branch.commit.and_then(|head| apart.get(&head)).filter(|_| !is_default);
    html! {
        tr {
            th scope="row" {
                a href=(links.history(name)) { (branch.name) }
                @if is_default { " " span.mark { "default" } }
            }
            @match (&branch.commit, &branch.damage) {
                (_, Some(why)) => td colspan="3" { span.mark.conflict { "damaged" } " " (why) },
                (None, None) => td colspan="3" { "no commit yet" },
                (Some(head), None) => {
                    td { a href=(links.commit(head)) { code { (short(head)) } } }
                    td { (counted(apart.map(|apart| (apart.ahead, apart.has_more)))) }
                    td { (counted(apart.map(|apart| (apart.behind, apart.has_more)))) }
                }
            }
            td.ways {
                a href=(links.objects(name, "")) aria-label={ "Objects of " (name) } { "Objects" } " "
                a href=(links.uncommitted(name)) aria-label={ "Uncommitted changes of " (name) } { "Uncommitted" } " "
                a href=(links::queue(at.name.as_str(), name)) aria-label={ "Queue of " (name) } { "Queue" } " "
                @if !is_default {
                    a href=(links.merge(name, info.default_branch.as_str())) aria-label={ "Merge " (name) } { "Merge" } " "
                    @if at.visitor.may(Role::Write) {
                        a href=(links.page(&["branch", "delete"], &[("name", name)])) aria-label={ "Delete " (name) } { "Delete" }
                    }
                }
            }
        }
    }
}

fn counted(count: Option<(u64, bool)>) -> Markup {
    html! {
        @match count {
            Some((0, true)) => "not counted",
            Some((count, has_more)) => (at_least(count, has_more)),
            None => "–",
        }
    }
}
