//! The objects of a ref, a folder at a time.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use onward::read::{ListItem, ListPage, ListRequest};

use super::at::{At, Tab};
use super::folders::Folder;
use super::grouped::{PATH_BYTES_MAX, ROWS_MAX};
use super::words::{name, size, spoken};
use crate::error::ApiResult;
use crate::extract::Query;
use crate::page::layout::{head, table};
use crate::page::words::moment;

/// Which page of which folder.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectsQuery {
    #[serde(rename = "ref")]
    reference: String,
    prefix: String,
    after: String,
}

/// A page of a folder. Costs some blocks of the tree for each row, however many objects its folders have.
pub async fn show(at: At, Query(query): Query<ObjectsQuery>) -> ApiResult<Response> {
    let reference = at.reference(&query.reference).await?;
    let (text, links) = (reference.to_string(), at.links());
    let folder =
        Folder { top: links.objects(&text, ""), prefix: &query.prefix, after: &query.after };
    let request = ListRequest {
        prefix: query.prefix.clone(),
        after: folder.behind().map(str::to_owned),
        delimiter: Some("/".to_owned()),
        amount: ROWS_MAX,
    };
    let page = fitting(at.repo.list(&reference, &request).await?);
    let rows = html! {
        (head(["Name", "Size", "Modified", "Type"]))
        tbody { @for item in &page.items { tr { (row(&at, &text, &folder, item)) } } }
    };
    let body = html! {
        form.filter method="get" action=(links.objects("", "")) role="search" {
            label for="ref" { "Branch, tag or commit" }
            input #ref type="search" name="ref" value=(text) autocomplete="off" autocapitalize="none" spellcheck="false";
            label for="prefix" { "Paths that begin with" }
            input #prefix type="search" name="prefix" value=(query.prefix) autocomplete="off" autocapitalize="none" spellcheck="false";
            button { "Show" }
        }
        (folder.trail())
        @if page.items.is_empty() { p.empty { "There is nothing here." } } @else { (table("Objects", rows)) }
        (folder.further(page.next.as_deref()))
    };
    Ok(at.show(format!("Objects of {}", spoken(&text)), Tab::Objects, body))
}

fn row(at: &At, reference: &str, folder: &Folder<'_>, item: &ListItem) -> Markup {
    html! {
        @match item {
            ListItem::CommonPrefix(below) => {
                th scope="row" { a href=(folder.at(below)) { (folder.shown(below)) } }
                td colspan="3" { "folder" }
            }
            ListItem::Object(path, entry) => {
                th scope="row" { a href=(at.links().object(reference, path.as_str())) { (folder.shown(path.as_str())) } }
                td { (size(entry.size)) }
                td { (moment(entry.mtime.saturating_mul(1000))) }
                td { (name(&super::words::cut(entry.content_type.as_deref().unwrap_or("–"), 60))) }
            }
        }
    }
}

/// A page that is not too long to be sent: of very long paths fewer are shown.
fn fitting(mut page: ListPage) -> ListPage {
    let mut bytes = 0;
    let fits = page.items.iter().take_while(|item| {
        bytes += item.name().len();
        bytes <= PATH_BYTES_MAX
    });
    let count = fits.count().max(1);
    if count < page.items.len() {
        page.items.truncate(count);
        page.next = page.items.last().map(|item| item.name().to_owned());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_long_paths_ends_early_behind_what_it_shows() {
        let mut page = ListPage::default();
        page.items = (0..100)
            .map(|n| ListItem::CommonPrefix(format!("{n:03}{}/", "x".repeat(500))))
            .collect();
        let fitted = fitting(page.clone());
        assert_eq!(fitted.items.len(), PATH_BYTES_MAX / 504);
        assert_eq!(fitted.next.as_deref(), fitted.items.last().map(ListItem::name));
        page.items.truncate(2);
        assert_eq!(fitting(page.clone()), page);
    }
}
