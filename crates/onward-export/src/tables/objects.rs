//! What there is at a ref: a row for each path, in their order.

use futures::stream;
use futures::{StreamExt, TryStreamExt};
use onward::read::{ListItem, ListRequest};
use onward::{Error, RefExpr, Repository, Result};

use super::{object, of, pinned};
use crate::cell::{Cell, Row};
use crate::column::{Column, Kind, Schema, always, perhaps};
use crate::table::Table;

const COLUMNS: &[Column] = &[
    always("path", Kind::Text),
    always("size", Kind::Number),
    always("checksum", Kind::Text),
    perhaps("mtime", Kind::Moment),
    perhaps("content_type", Kind::Text),
    always("address", Kind::Text),
    always("metadata", Kind::Pairs),
];

/// A row is an object.
pub const OBJECTS: Schema = Schema { name: "objects", version: 1, columns: COLUMNS };

/// The objects at a ref whose paths begin with `prefix`, by path.
///
/// Of a commit, of a tag and of a branch on which nothing is uncommitted, all rows are of one moment. Uncommitted
/// changes count as in [`Repository::list`], page by page as they are then.
///
/// # Errors
///
/// As [`Repository::list`] says; reading the rows fails with `Conflict` where such a branch was made again meanwhile.
pub async fn objects(repo: &Repository, reference: &RefExpr, prefix: &str) -> Result<Table> {
    let shown = repo.shown(reference).await?;
    let commit = shown.commit;
    let mut about = vec![of(repo)?, ("onward.ref", reference.to_string())];
    about.extend(commit.map(|id| ("onward.commit", id.to_string())));
    let first = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
    let pages = stream::try_unfold(
        (repo.clone(), pinned(reference, commit), Some(first)),
        move |(repo, reference, request)| async move {
            let Some(request) = request else { return Ok(None) };
            let page = repo.list(&reference, &request).await?;
            // What is read by its name may be another by now, and never the same again.
            if commit.is_none() && repo.shown(&reference).await?.branch != shown.branch {
                return Err(Error::conflict(format!(
                    "branch '{reference}' was deleted and made again while it was listed: list it again"
                )));
            }
            let next = page.next.map(|after| ListRequest { after: Some(after), ..request });
            let rows = stream::iter(page.items.into_iter().filter_map(row).map(Ok));
            Ok(Some((rows, (repo, reference, next))))
        },
    );
    Ok(Table { schema: OBJECTS, about, rows: pages.try_flatten().boxed() })
}

/// Without a delimiter there are objects only.
fn row(item: ListItem) -> Option<Row> {
    let ListItem::Object(path, entry) = item else { return None };
    Some([Cell::Text(path.into())].into_iter().chain(object(entry)).collect())
}
