//! What differs between two refs: a row for each path, in their order.

use futures::{StreamExt, TryStreamExt};
use onward::history::{Decision, ScanStart};
use onward::{Entry, ObjectPath, RefExpr, Repository, Result};

use super::{object, of, pinned};
use crate::cell::{Cell, Row};
use crate::column::{Column, Kind, Schema, always, perhaps};
use crate::table::Table;

const COLUMNS: &[Column] = &[
    always("path", Kind::Text),
    always("type", Kind::Text),
    perhaps("left_size", Kind::Number),
    perhaps("left_checksum", Kind::Text),
    perhaps("left_mtime", Kind::Moment),
    perhaps("left_content_type", Kind::Text),
    perhaps("left_address", Kind::Text),
    perhaps("left_metadata", Kind::Pairs),
    perhaps("right_size", Kind::Number),
    perhaps("right_checksum", Kind::Text),
    perhaps("right_mtime", Kind::Moment),
    perhaps("right_content_type", Kind::Text),
    perhaps("right_address", Kind::Text),
    perhaps("right_metadata", Kind::Pairs),
    perhaps("base_size", Kind::Number),
    perhaps("base_checksum", Kind::Text),
];

/// A row is a path that differs.
pub const CHANGES: Schema = Schema { name: "changes", version: 1, columns: COLUMNS };

/// What differs between two refs below `prefix`, by path, both as they are committed now: what merging the right one
/// would bring to the left one, or with `two_dot` all that is not the same.
///
/// The type of a path is `added`, `removed` or `changed`, from left to right; of a merge also `conflict`, where both
/// have changed it since they parted and not in the same way.
///
/// # Errors
///
/// As [`Repository::diff`] says.
pub async fn changes(
    repo: &Repository,
    (left, right): (&RefExpr, &RefExpr),
    prefix: &str,
    two_dot: bool,
) -> Result<Table> {
    let (from, to) = (repo.commit_of(left).await?, repo.commit_of(right).await?);
    let mut about =
        vec![of(repo)?, ("onward.left", left.to_string()), ("onward.right", right.to_string())];
    about.extend(from.map(|id| ("onward.left_commit", id.to_string())));
    about.extend(to.map(|id| ("onward.right_commit", id.to_string())));
    let (from, to) = (pinned(left, from), pinned(right, to));
    let start = ScanStart::prefix(prefix);
    let rows = if two_dot {
        let all = repo.diff_from(&from, &to, start).await?;
        all.map_ok(|diff| row(diff.path, None, [diff.before, diff.after, None])).boxed()
    } else {
        let all = repo.three_way_diff(&from, &to, start).await?;
        all.try_filter_map(|ruled| async move {
            let kind = match ruled.decision {
                Decision::KeepDest => return Ok(None),
                Decision::TakeSource => None,
                Decision::Conflict => Some("conflict"),
            };
            Ok(Some(row(ruled.path, kind, [ruled.dest, ruled.source, ruled.base])))
        })
        .boxed()
    };
    Ok(Table { schema: CHANGES, about, rows })
}

fn row(path: ObjectPath, kind: Option<&str>, [left, right, base]: [Option<Entry>; 3]) -> Row {
    let kind = kind.unwrap_or(match (&left, &right) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    });
    let nothing = || std::array::from_fn(|_| Cell::Null);
    let mut row = vec![Cell::Text(path.into()), Cell::Text(kind.to_owned())];
    row.extend(left.map_or_else(nothing, object));
    row.extend(right.map_or_else(nothing, object));
    row.extend(base.map_or_else(nothing, object).into_iter().take(2));
    row
}
