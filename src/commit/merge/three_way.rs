//! Three ways: every change from a base to a source beside what a third side has of the path, and
//! what the rule says of the three.

use std::ops::Deref;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::model::change::Change;
use crate::model::conflict::ConflictPath;
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{Decision, Metarange, Record, ScanStart, Tree, decide};

use crate::commit::log::lake::Lake;

/// Paths decided together: their values are looked up in one go.
pub(super) const STEP: usize = 1024;

/// What paths have somewhere.
pub trait Values: Send + Sync {
    /// What each of `sorted_paths` has, in the same order.
    fn values<'a>(
        &'a self,
        sorted_paths: &'a [ObjectPath],
    ) -> BoxFuture<'a, Result<Vec<Option<Entry>>>>;
}

/// What paths have in a commit.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The tree that it is read from.
    pub tree: Tree,
    /// What the commit contains.
    pub metarange: Metarange,
}

impl Committed {
    /// What paths have in `commit`, or in the state before the first one.
    pub async fn at(lake: &Lake, commit: Option<CommitId>) -> Result<Self> {
        Ok(Self { tree: lake.tree().clone(), metarange: lake.content(commit).await? })
    }
}

impl Values for Committed {
    fn values<'a>(
        &'a self,
        sorted_paths: &'a [ObjectPath],
    ) -> BoxFuture<'a, Result<Vec<Option<Entry>>>> {
        self.tree.get_many(&self.metarange, sorted_paths).boxed()
    }
}

/// The changes from `base` to `source`, in path order, each decided against what `dest` has.
/// Costs the difference between base and source, and a lookup in `dest` for each change.
pub fn three_way<'a, D>(
    lake: &Lake,
    base: Metarange,
    source: Metarange,
    dest: D,
    start: ScanStart,
) -> BoxStream<'a, Result<Ruled>>
where
    D: Deref + Clone + Send + Sync + 'a,
    D::Target: Values,
{
    lake.diff(base, source, start)
        .try_chunks(STEP)
        .map_err(|error| error.1)
        .and_then(move |changes| {
            let dest = dest.clone();
            async move {
                let paths: Vec<ObjectPath> = changes.iter().map(|c| c.path.clone()).collect();
                let dest = dest.values(&paths).await?;
                let ruled = changes.into_iter().zip(dest).map(|(change, dest)| {
                    Ok(Ruled::new(change.path, change.before, change.after, dest))
                });
                Ok(futures::stream::iter(ruled))
            }
        })
        .try_flatten()
        .boxed()
}

/// One change, decided.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ruled {
    /// The path that was decided.
    pub path: ObjectPath,
    /// What both sides began with.
    pub base: Option<Entry>,
    /// What the change makes of it.
    pub source: Option<Entry>,
    /// What the branch has.
    pub dest: Option<Entry>,
    /// What the rule says, before any strategy.
    pub decision: Decision,
}

impl Ruled {
    pub(in crate::commit) fn new(
        path: ObjectPath,
        base: Option<Entry>,
        source: Option<Entry>,
        dest: Option<Entry>,
    ) -> Self {
        let decision = decide(base.as_ref(), source.as_ref(), dest.as_ref());
        Self { path, base, source, dest, decision }
    }

    /// The path as part of a conflict.
    pub fn into_conflict(self) -> ConflictPath {
        ConflictPath { path: self.path, base: self.base, source: self.source, dest: self.dest }
    }

    /// The record by which op `op` gives the path the source's side.
    pub(in crate::commit) fn into_record(self, op: u16) -> Record {
        record_of(op, self.path, self.source)
    }
}

/// The record that makes `path` name `entry`, or nothing.
pub(super) fn record_of(op: u16, path: ObjectPath, entry: Option<Entry>) -> Record {
    Record::new(op, path, &entry.map_or(Change::Delete, Change::Put))
}
