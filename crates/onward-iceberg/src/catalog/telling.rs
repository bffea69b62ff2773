//! What changed of tables, and what stands between two sides of one, for whoever looks at branches.

use std::fmt;
use std::sync::Arc;

use onward::{ConflictPath, Entry, ObjectPath};
use serde_json::{Value, json};

use super::deployment::Catalog;
use super::entry::Pointer;
use super::error::{Kind, Result};
use super::ident::TableIdent;
use super::loaded::Loaded;
use super::place::Place;
use crate::table::{Described, Metadata, Sides, describe, kept_apart};

/// What can be said of a table that both sides of a merge have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConflict {
    /// Name of the table, with its namespace.
    pub table: TableIdent,
    /// Its snapshot at the merge base; none where there was no table, or no snapshot.
    pub base: Option<i64>,
    /// Its snapshot at what is merged.
    pub source: Option<i64>,
    /// Its snapshot at the branch that is merged into.
    pub dest: Option<i64>,
    /// Why the two were not merged; none where they can be.
    pub reason: Option<String>,
}

/// What changed of a table from one commit to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange {
    /// Name of the table, with its namespace.
    pub table: TableIdent,
    /// What changed of it; or why that cannot be read.
    pub described: std::result::Result<Described, String>,
}

impl Catalog {
    /// What changed of what a path of repository `repo` names; none where neither is a table. Reads the metadata of
    /// both, and no manifest.
    ///
    /// Fails where the storage does not answer. Damage is told in place of what changed.
    pub async fn table_change(
        &self,
        repo: &str,
        path: &ObjectPath,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Result<Option<TableChange>> {
        let Some(table) = table_at(path, [before, after]) else { return Ok(None) };
        let place = self.anywhere(repo).await?;
        let sides = [self.side(&place, path, before).await?, self.side(&place, path, after).await?];
        let described = match &sides {
            [Side::Damaged(why), _] | [_, Side::Damaged(why)] => Err(why.clone()),
            [before, after] => Ok(describe(before.metadata(), after.metadata())),
        };
        Ok(Some(TableChange { table, described }))
    }

    /// What a conflict of repository `repo` is about; none where it is of no table. Reads the metadata of its sides.
    ///
    /// Fails where the storage does not answer. Damage is a reason.
    pub async fn table_conflict(
        &self,
        repo: &str,
        conflict: &ConflictPath,
    ) -> Result<Option<TableConflict>> {
        let ConflictPath { path, base, source, dest, .. } = conflict;
        let entries = [base.as_ref(), source.as_ref(), dest.as_ref()];
        let Some(table) = table_at(path, entries) else { return Ok(None) };
        let place = self.anywhere(repo).await?;
        let [base, source, dest] = entries;
        let base = self.side(&place, path, base).await?;
        let source = self.side(&place, path, source).await?;
        let dest = self.side(&place, path, dest).await?;
        let [began, theirs, ours] =
            [&base, &source, &dest].map(|side| side.metadata()?.current_snapshot_id());
        let reason = why_apart(&base, &source, &dest);
        Ok(Some(TableConflict { table, base: began, source: theirs, dest: ours, reason }))
    }

    /// A place of a repository that files are read through, whichever branch names them.
    async fn anywhere(&self, repo: &str) -> Result<Place> {
        self.place(&format!("{repo}@main")).await
    }

    async fn side(&self, place: &Place, path: &ObjectPath, entry: Option<&Entry>) -> Result<Side> {
        let Some(entry) = entry else { return Ok(Side::Absent) };
        match self.loaded(place, path, entry).await {
            Ok(loaded) => Ok(Side::There(loaded)),
            Err(error) if error.kind == Kind::Unavailable => Err(error),
            Err(error) => Ok(Side::Damaged(error.message)),
        }
    }

    /// The table that an entry of a path points to.
    pub(super) async fn loaded(
        &self,
        place: &Place,
        path: &ObjectPath,
        entry: &Entry,
    ) -> Result<Arc<Loaded>> {
        self.kept().load(&place.warehouse, &Pointer::of(path, entry)?).await
    }
}

/// A table at one commit.
enum Side {
    Absent,
    Damaged(String),
    There(Arc<Loaded>),
}

impl Side {
    fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::There(loaded) => Some(&loaded.metadata),
            Self::Absent | Self::Damaged(_) => None,
        }
    }
}

/// The table that a path is of, where all that it names are tables.
fn table_at<const N: usize>(path: &ObjectPath, entries: [Option<&Entry>; N]) -> Option<TableIdent> {
    let is_table = |entry: &Entry| Pointer::of(path, entry).is_ok();
    let mut named = entries.into_iter().flatten().peekable();
    named.peek()?;
    named.all(is_table).then(|| TableIdent::of_path(path)).flatten()
}

/// Why the sides of a table stay apart; none where they need not.
fn why_apart(base: &Side, source: &Side, dest: &Side) -> Option<String> {
    match (base, source, dest) {
        (Side::Damaged(why), ..) | (_, Side::Damaged(why), _) | (.., Side::Damaged(why)) => {
            Some(why.clone())
        }
        (_, Side::Absent, _) => Some("the source has dropped or renamed it".to_owned()),
        (.., Side::Absent) => Some("the destination has dropped or renamed it".to_owned()),
        (Side::Absent, ..) => Some("both sides have made it".to_owned()),
        (Side::There(base), Side::There(source), Side::There(dest)) => kept_apart(&Sides {
            base: &base.metadata,
            source: &source.metadata,
            dest: &dest.metadata,
        }),
    }
}

impl TableConflict {
    /// What is told, as JSON for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "namespace": self.table.namespace.levels(), "name": self.table.name,
            "base_snapshot": self.base, "source_snapshot": self.source, "dest_snapshot": self.dest,
            "reason": self.reason,
        })
    }
}

impl TableChange {
    /// What is told, as JSON for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (change, damage) = match &self.described {
            Ok(described) => (described.to_json(), None),
            Err(why) => (Value::Null, Some(why)),
        };
        json!({
            "namespace": self.table.namespace.levels(), "name": self.table.name,
            "change": change, "damage": damage,
        })
    }

    /// What changed, for people: a line for each kind of change.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match &self.described {
            Ok(described) => described.lines(),
            Err(why) => vec![why.clone()],
        }
    }
}

impl fmt::Display for TableConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, base, source, dest, reason } = self;
        write!(f, "table {table}")?;
        for (name, id) in [("base", base), ("source", source), ("destination", dest)] {
            match id {
                Some(id) => write!(f, ", snapshot {id} at the {name}")?,
                None => write!(f, ", none at the {name}")?,
            }
        }
        match reason {
            Some(reason) => write!(f, ": {reason}"),
            None => write!(f, ": the appends of both can be merged"),
        }
    }
}
