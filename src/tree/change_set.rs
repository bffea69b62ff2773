//! Few changes stay in memory, many become a run: the one place where it is seen to.
//!
//! Whoever gathers changes says up to where they stay. Nothing is written before that is passed;
//! from then on memory no longer follows their number.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::handle::Tree;
use super::inline::InlineRun;
use super::record::{Record, stored_path};
use super::run::RunRef;
use super::writer::RunWriter;
use crate::model::error::Result;

/// Some changes: few or many.
#[derive(Debug, Clone)]
pub enum ChangeSet {
    /// Few changes, in memory.
    Small(Vec<Record>),
    /// In the object store.
    Large(Arc<RunRef>),
}

/// A change set whose few changes are encoded.
#[derive(Debug, Clone, PartialEq)]
pub enum EncodedChanges {
    /// An encoded [`InlineRun`].
    Inline(Vec<u8>),
    /// In the object store.
    Run(RunRef),
}

/// Up to where changes stay in memory. What passes either is a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallMax {
    /// How many they are.
    pub records: usize,
    /// Bytes of their paths and values.
    pub bytes: usize,
}

impl SmallMax {
    /// So many, whatever they take.
    pub const fn records(records: usize) -> Self {
        Self { records, bytes: usize::MAX }
    }

    /// So many bytes of paths and values, however many they are.
    pub const fn bytes(bytes: usize) -> Self {
        Self { records: usize::MAX, bytes }
    }

    /// Whether so much stays.
    pub(crate) fn holds(self, records: usize, bytes: usize) -> bool {
        records <= self.records && bytes <= self.bytes
    }
}

impl ChangeSet {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Small(records) => records.is_empty(),
            Self::Large(run) => run.records == 0,
        }
    }

    /// The changes as a stored run, however few they are. They are sorted, as for
    /// [`RunWriter::push`].
    pub async fn stored(self, tree: &Tree) -> Result<RunRef> {
        match self {
            Self::Large(run) => Ok(Arc::unwrap_or_clone(run)),
            Self::Small(records) => tree.write_run(records).await,
        }
    }
}

impl Tree {
    /// Changes that are at hand, in any order: as they are where they stay in memory, else sorted
    /// and written.
    pub async fn change_set(&self, mut records: Vec<Record>, max: SmallMax) -> Result<ChangeSet> {
        if max.holds(records.len(), records.iter().map(Record::size).sum()) {
            return Ok(ChangeSet::Small(records));
        }
        records.sort_by(|a, b| a.key().cmp(&b.key()));
        self.write_run(records).await.map(Arc::new).map(ChangeSet::Large)
    }
}

/// A tree that is asked for when there is a run to be written: where most changes are few, finding it
/// is left out for most.
pub trait LateTree: Sync {
    /// The tree that runs are written to.
    fn tree(&self) -> BoxFuture<'_, Result<Tree>>;
}

impl LateTree for Tree {
    fn tree(&self) -> BoxFuture<'_, Result<Tree>> {
        std::future::ready(Ok(self.clone())).boxed()
    }
}

/// Gathers changes in the order of a run: in memory while they are few, into a run from then on.
pub struct ChangeSetWriter<'a> {
    tree: &'a dyn LateTree,
    max: SmallMax,
    held: Vec<Record>,
    held_bytes: usize,
    /// Boxed: what seldom happens should not make everybody's futures large.
    run: Option<Box<RunWriter>>,
}

impl<'a> ChangeSetWriter<'a> {
    /// Nothing yet; up to `max` stays in memory.
    pub fn new(tree: &'a dyn LateTree, max: SmallMax) -> Self {
        Self { tree, max, held: Vec::new(), held_bytes: 0, run: None }
    }

    /// Begins with these, which are sorted.
    pub async fn with(tree: &'a dyn LateTree, max: SmallMax, records: Vec<Record>) -> Result<Self> {
        let held_bytes = records.iter().map(Record::size).sum();
        let mut this = Self { held: records, held_bytes, ..Self::new(tree, max) };
        this.write_if_many().await?;
        Ok(this)
    }

    /// Adds a change, see [`RunWriter::push`].
    pub async fn push(&mut self, record: Record) -> Result<()> {
        if let Some(run) = &mut self.run {
            return run.push(record).await;
        }
        self.held_bytes += record.size();
        self.held.push(record);
        self.write_if_many().await
    }

    /// [`ChangeSetWriter::push`] for a change that is somewhere else, and is copied if it stays.
    pub(crate) async fn push_parts(&mut self, path: &str, op: u16, value: &[u8]) -> Result<()> {
        if let Some(run) = &mut self.run {
            return run.push_parts(path, op, value).await;
        }
        let (path, value) = (stored_path(path)?, Bytes::copy_from_slice(value));
        self.push(Record { path, op, value }).await
    }

    async fn write_if_many(&mut self) -> Result<()> {
        if !self.max.holds(self.held.len(), self.held_bytes) {
            self.as_run().await?;
        }
        Ok(())
    }

    /// The run of these changes, which they are from now on, however few.
    pub(crate) async fn as_run(&mut self) -> Result<&mut RunWriter> {
        let run = match &mut self.run {
            Some(run) => run,
            none => none.insert(Box::new(self.tree.tree().await?.run_writer())),
        };
        run.push_all(self.held.drain(..)).await?;
        Ok(run)
    }

    /// Whether they are a run by now.
    pub(crate) fn is_large(&self) -> bool {
        self.run.is_some()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.run.is_none()
    }

    /// Ends the set, and gives what was written.
    pub async fn finish(self) -> Result<ChangeSet> {
        match self.run {
            Some(run) => run.finish().await.map(Arc::new).map(ChangeSet::Large),
            None => Ok(ChangeSet::Small(self.held)),
        }
    }

    /// The changes encoded, unless that takes more than `max` bytes or they are a run already.
    pub async fn finish_encoded(self, max: usize) -> Result<EncodedChanges> {
        if let Some(run) = self.run {
            return run.finish().await.map(EncodedChanges::Run);
        }
        let run = InlineRun::from_records(self.held)?;
        match run.encode_within(max) {
            Some(encoded) => Ok(EncodedChanges::Inline(encoded)),
            None => {
                let tree = self.tree.tree().await?;
                Box::pin(tree.write_run(run.into_records())).await.map(EncodedChanges::Run)
            }
        }
    }
}
