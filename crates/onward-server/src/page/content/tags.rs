//! The tags of a repository.

use axum::response::Response;
use maud::html;

use super::at::{At, Tab};
use super::words::{name, short};
use crate::auth::Role;
use crate::error::ApiResult;
use crate::extract::Query;
use crate::page::layout::{head, table};
use crate::page::paging::NamesQuery;

/// A page of the tags. Costs a listing of their names, and a read for each row.
pub async fn show(at: At, Query(query): Query<NamesQuery>) -> ApiResult<Response> {
    at.repo.show().await?;
    let page = at.repo.tags_page(&query.request()).await?;
    let (links, may_write) = (at.links(), at.visitor.may(Role::Write));
    let rows = html! {
        (head(["Tag", "Commit", "Pages"]))
        tbody {
            @for tag in &page.items {
                @let text = tag.name.as_str();
                tr {
                    th scope="row" { a href=(links.commit(&tag.commit)) { (name(text)) } }
                    td { code { (short(&tag.commit)) } }
                    td.ways {
                        a href=(links.history(text)) aria-label={ "History of " (text) } { "History" } " "
                        a href=(links.objects(text, "")) aria-label={ "Objects of " (text) } { "Objects" } " "
                        @if may_write {
                            a href=(links.page(&["tag", "delete"], &[("name", text)])) aria-label={ "Delete " (text) } { "Delete" }
                        }
                    }
                }
            }
        }
    };
    let last = page.items.last().filter(|_| page.has_more).map(|tag| tag.name.as_str());
    let body = html! {
        (query.filter(&links.tags(), "Names that begin with"))
        @if page.items.is_empty() { p.empty { "There is no such tag." } } @else { (table("Tags", rows)) }
        (query.further(links.tags(), last))
        @if may_write { p { a.button href=(links.page(&["tag", "new"], &[])) { "New tag" } } }
    };
    Ok(at.show("Tags", Tab::Tags, body))
}
