//! What a batch has made of the branch so far: the head it started from, under what its ops have
//! added.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};

use crate::model::change::decode_value;
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ALL, PathSpan, Record, RunRef, ScanStart};

use super::situation::Lookups;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::graph::Contained;
use crate::commit::merge::three_way::Values;

/// The branch between two ops of a batch.
pub struct State<'a> {
    pub(super) lake: &'a Lake,
    head: &'a Head,
    /// What paths have at the head and at bases, as far as it was looked up beforehand.
    known: &'a Lookups,
    /// What it has come to contain since merges of this batch were worked out.
    pub(super) contained: Contained,
    /// Whether an op of the batch asks what paths have; if none does, nothing is kept.
    asked: bool,
    /// The newest small change of each path, and the op it is from.
    small: BTreeMap<ObjectPath, (u16, Bytes)>,
    /// The runs of large ops, oldest first.
    large: Vec<(u16, Arc<RunRef>)>,
}

impl<'a> State<'a> {
    /// The branch before the batch. Nothing is remembered of the ops unless it will be `asked` for.
    pub fn new(
        lake: &'a Lake,
        head: &'a Head,
        known: &'a Lookups,
        contained: Contained,
        asked: bool,
    ) -> Self {
        Self { lake, head, known, contained, asked, small: BTreeMap::new(), large: Vec::new() }
    }

    /// Whether an op of the batch has brought a run that may have to be read.
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Op `index` has made these changes: a run, and records on top of it.
    pub fn add(&mut self, index: u16, run: Option<&Arc<RunRef>>, records: &[Record]) {
        if !self.asked {
            return;
        }
        self.large.extend(run.map(|run| (index, Arc::clone(run))));
        for record in records {
            self.small.insert(record.path.clone(), (index, record.value.clone()));
        }
    }

    /// The branch has come to contain `merged`, by a merge from `base`.
    pub(super) async fn contain(&mut self, merged: CommitId, base: Option<CommitId>) -> Result<()> {
        self.contained.insert_merged(self.lake, merged, base).await
    }

    /// What paths, sorted, have at the base of an op: as it was looked up beforehand, or now.
    pub(super) async fn at_base(
        &self,
        base: CommitId,
        paths: &[ObjectPath],
    ) -> Result<Vec<Option<Entry>>> {
        let known = paths.iter().map(|path| self.known.bases.get(&(base, path.clone())).cloned());
        match known.collect() {
            Some(known) => Ok(known),
            None => self.lake.tree().get_many(&self.lake.metarange(&base).await?, paths).await,
        }
    }

    /// Paths between first and last that ops of the batch have changed, in order; `None` when they
    /// are more than `max`.
    pub async fn changed_in(
        &self,
        (first, last): &PathSpan,
        max: usize,
    ) -> Result<Option<Vec<ObjectPath>>> {
        let small = self.small.range::<ObjectPath, _>(first..=last).map(|(path, _)| path.clone());
        let mut changed: Vec<ObjectPath> = small.take(max + 1).collect();
        for (_, run) in &self.large {
            if self.is_apart(run, first, last).await? {
                continue;
            }
            let start = ScanStart::all().at(first.as_str());
            let mut scan = self.lake.tree().scan_run(Arc::clone(run), ALL, start);
            while let Some(record) = scan.try_next().await? {
                if record.path > *last || changed.len() > max {
                    break;
                }
                changed.push(record.path);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Ok((changed.len() <= max).then_some(changed))
    }

    /// What paths had at the head, before the batch.
    pub async fn at_head(&self, paths: &[ObjectPath]) -> Result<Vec<Option<Entry>>> {
        let unknown: Vec<ObjectPath> =
            paths.iter().filter(|path| !self.known.head.contains_key(*path)).cloned().collect();
        let mut found =
            self.lake.tree().get_many(&self.head.metarange, &unknown).await?.into_iter();
        let entry = |path| match self.known.head.get(path) {
            Some(entry) => entry.clone(),
            None => found.next().flatten(),
        };
        Ok(paths.iter().map(entry).collect())
    }

    /// Whether a run has nothing between two paths.
    async fn is_apart(
        &self,
        run: &Arc<RunRef>,
        first: &ObjectPath,
        last: &ObjectPath,
    ) -> Result<bool> {
        let span = self.lake.tree().span_of(run).await?;
        Ok(span.is_none_or(|(run_first, run_last)| run_last < *first || *last < run_first))
    }

    async fn now(&self, paths: &[ObjectPath]) -> Result<Vec<Option<Entry>>> {
        let mut newest: Vec<Option<(u16, Bytes)>> =
            paths.iter().map(|path| self.small.get(path).cloned()).collect();
        let (Some(first), Some(last)) = (paths.first(), paths.last()) else {
            return Ok(Vec::new());
        };
        for (op, run) in &self.large {
            if self.is_apart(run, first, last).await? {
                continue;
            }
            let in_run = self.lake.tree().changes_in_run(run, paths).await?;
            for (newest, value) in newest.iter_mut().zip(in_run) {
                let Some(value) = value else { continue };
                if newest.as_ref().is_none_or(|(at, _)| at < op) {
                    *newest = Some((*op, value));
                }
            }
        }
        let untouched = paths.iter().zip(&newest).filter(|(_, newest)| newest.is_none());
        let untouched: Vec<ObjectPath> = untouched.map(|(path, _)| path.clone()).collect();
        let mut at_head = self.at_head(&untouched).await?.into_iter();
        newest
            .into_iter()
            .map(|newest| match newest {
                Some((_, value)) => Ok(decode_value(&value)?.0.entry().cloned()),
                None => Ok(at_head.next().flatten()),
            })
            .collect()
    }
}

impl Values for State<'_> {
    fn values<'a>(
        &'a self,
        sorted_paths: &'a [ObjectPath],
    ) -> BoxFuture<'a, Result<Vec<Option<Entry>>>> {
        self.now(sorted_paths).boxed()
    }
}
