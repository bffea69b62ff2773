//! The repositories.

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::layout::{Page, Section, head, table};
use super::links;
use super::paging::NamesQuery;
use super::visitor::Visitor;
use super::words;
use crate::error::ApiResult;
use crate::extract::Query;
use crate::state::AppState;

/// A page of the repositories, by name. Costs a listing of the names, and two reads for each row.
pub async fn list(
    visitor: Visitor,
    State(app): State<AppState>,
    Query(query): Query<NamesQuery>,
) -> ApiResult<Response> {
    let page = app.onward.repos_page(&query.request(), "").await?;
    let last = page.items.last().filter(|_| page.has_more).map(|info| info.name.as_str());
    let rows = html! {
        (head(["Repository", "Default branch", "Created"]))
        tbody {
            @for info in &page.items {
                tr {
                    th scope="row" { a href=(links::repo(info.name.as_str())) { (info.name) } }
                    td { a href=(links::queue(info.name.as_str(), info.default_branch.as_str())) { (info.default_branch) } }
                    td { (words::moment(info.created_ms)) }
                }
            }
        }
    };
    let body = html! {
        (query.filter(&links::repos(), "Names that begin with"))
        @if page.items.is_empty() {
            p { "There is none" @if !query.prefix.is_empty() { " whose name begins so" } ". " code { "onward repo create NAME" } " makes one." }
        } @else {
            (table("Repositories", rows))
        }
        (query.further(links::repos(), last))
    };
    Ok(Page::new("Repositories", Section::Repositories, body).show(&visitor))
}
