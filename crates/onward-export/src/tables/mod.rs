//! The tables: what there is at a ref, what led to it, what differs from another.

mod changes;
mod commits;
mod objects;

use onward::{CommitId, Entry, RefExpr, Repository, Result};

pub use changes::{CHANGES, changes};
pub use commits::{COMMITS, CommitsRequest, commits};
pub use objects::{OBJECTS, objects};

use super::cell::Cell;

/// What a file says of itself first: whose it is.
fn of(repo: &Repository) -> Result<(&'static str, String)> {
    Ok(("onward.repository", repo.name()?.to_string()))
}

/// A ref for a commit, so that every look at it is at the same; the ref as it is while it has none.
fn pinned(reference: &RefExpr, commit: Option<CommitId>) -> RefExpr {
    commit.map_or_else(|| reference.clone(), |id| RefExpr::plain(id.to_string()))
}

/// What is told of an object wherever it is told: size, checksum, mtime, content type, address, metadata.
fn object(entry: Entry) -> [Cell; 6] {
    [
        Cell::number(entry.size),
        Cell::Text(entry.checksum),
        Cell::moment(entry.mtime.saturating_mul(1000)),
        Cell::text(entry.content_type),
        Cell::Text(entry.address),
        Cell::Pairs(entry.metadata),
    ]
}
