//! What led to a ref: a row for each commit, newest first.

use futures::{StreamExt, TryStreamExt};
use onward::history::{CommitInfo, LogRequest, ScanStart};
use onward::{RefExpr, Repository, Result};

use super::{of, pinned};
use crate::cell::{Cell, Row};
use crate::column::{Column, Kind, Schema, always, perhaps};
use crate::table::Table;

const COLUMNS: &[Column] = &[
    always("commit", Kind::Text),
    always("ticket", Kind::Number),
    always("parents", Kind::Texts),
    always("generation", Kind::Number),
    always("committer", Kind::Text),
    always("message", Kind::Text),
    perhaps("created", Kind::Moment),
    always("metadata", Kind::Pairs),
    always("op_id", Kind::Text),
    perhaps("added", Kind::Number),
    perhaps("removed", Kind::Number),
    perhaps("changed", Kind::Number),
];

/// A row is a commit.
pub const COMMITS: Schema = Schema { name: "commits", version: 1, columns: COLUMNS };

/// Which commits, and what of them.
#[derive(Debug, Clone, Default)]
pub struct CommitsRequest {
    /// Which commits are wanted.
    pub log: LogRequest,
    /// Whether it is counted what each has changed. Takes reading that, commit by commit.
    pub counts: bool,
}

/// The commits that lead to a ref, newest first, from the one that it stands for now.
///
/// # Errors
///
/// As [`Repository::log`] says.
pub async fn commits(
    repo: &Repository,
    reference: &RefExpr,
    request: &CommitsRequest,
) -> Result<Table> {
    let commit = repo.commit_of(reference).await?;
    let mut about = vec![of(repo)?, ("onward.ref", reference.to_string())];
    about.extend(commit.map(|id| ("onward.commit", id.to_string())));
    let log = repo.log(&pinned(reference, commit), &request.log).await?;
    let (repo, counts) = (repo.clone(), request.counts);
    let rows = log.and_then(move |info| {
        let repo = repo.clone();
        async move {
            let counts = if counts { Some(counted(&repo, &info).await?) } else { None };
            Ok(row(info, counts))
        }
    });
    Ok(Table { schema: COMMITS, about, rows: rows.boxed() })
}

/// How many paths a commit added, removed and changed against its first parent, or against nothing.
async fn counted(repo: &Repository, info: &CommitInfo) -> Result<[u64; 3]> {
    let [mut added, mut removed, mut changed] = [0; 3];
    let own = RefExpr::plain(info.id.to_string());
    let Some(parent) = info.commit.parents.first() else {
        let all = super::objects(repo, &own, "").await?.rows;
        return Ok([all.try_fold(0, async |count, _| Ok(count + 1)).await?, 0, 0]);
    };
    let parent = RefExpr::plain(parent.to_string());
    let mut differing = repo.diff_from(&parent, &own, ScanStart::all()).await?;
    while let Some(diff) = differing.try_next().await? {
        match (diff.before, diff.after) {
            (None, _) => added += 1,
            (_, None) => removed += 1,
            _ => changed += 1,
        }
    }
    Ok([added, removed, changed])
}

fn row(info: CommitInfo, counts: Option<[u64; 3]>) -> Row {
    let (id, ticket, commit) = (info.id, info.ticket(), info.commit);
    let counts = match counts {
        Some(counts) => counts.map(Cell::number),
        None => [Cell::Null, Cell::Null, Cell::Null],
    };
    let told = [
        Cell::Text(id.to_string()),
        Cell::number(ticket.0),
        Cell::Texts(commit.parents.iter().map(ToString::to_string).collect()),
        Cell::number(commit.generation),
        Cell::Text(commit.committer),
        Cell::Text(commit.message),
        Cell::moment(commit.created_ms),
        Cell::Pairs(commit.metadata),
        Cell::Text(commit.op_id.to_string()),
    ];
    told.into_iter().chain(counts).collect()
}
