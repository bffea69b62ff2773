//! Marking: every run, range and uploaded object that the refs, the staging areas and the queues
//! reach. Each distinct range is read once, whole, so that damage stops the collection before it
//! removes anything.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::commit::log::lake::Lake;
use crate::model::change::{Change, decode_value};
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, RangeId, RunId, Ticket};
use crate::tree::{InlineRun, Level, RangeRef, RunPlace, RunRef, Tree};

use super::super::data::DataNames;
use super::beside::{Beside, Entries};
use super::names::Names;

/// Ranges read at the same time, at most.
const READS: usize = 16;

/// Distinct runs and ranges, at most: about 2 GiB of memory.
const IDS_MAX: usize = 1 << 26;

/// Names of uploaded objects as they are met, from many readers.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    names: DataNames,
    met: Arc<Mutex<Names>>,
    entries: Entries,
}

impl Objects {
    /// Marks what the encoded change of a path names.
    pub(super) fn value(&self, path: &str, value: &[u8]) -> Result<()> {
        let (Change::Put(entry), _) = decode_value(value)? else { return Ok(()) };
        self.entries.tell(path, &entry)?;
        self.address(&entry.address)
    }

    /// Marks what an address names.
    pub(super) fn address(&self, address: &str) -> Result<()> {
        match self.names.loose(address) {
            Some(id) => self.met.lock().unwrap_or_else(PoisonError::into_inner).add(id),
            None => Ok(()),
        }
    }

    /// Marks what the records of an inline run name.
    pub(super) fn inline(&self, run: &InlineRun) -> Result<()> {
        run.records().iter().try_for_each(|record| self.value(record.path.as_str(), &record.value))
    }

    /// The marked names of one part, in order.
    pub(super) fn part(&self, number: usize) -> Result<Vec<u128>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).part(number)
    }
}

/// Everything that is marked. Memory: 16 bytes and some for each distinct run and range.
pub(super) struct Marks {
    lake: Lake,
    pub(super) runs: HashSet<RunId>,
    pub(super) ranges: HashSet<RangeId>,
    pub(super) objects: Objects,
    /// Folded levels whose predecessors are marked.
    unfolded: HashSet<(BranchUid, Ticket, RunId)>,
    /// Whether what is missing or damaged is passed over: nothing relies on it.
    lenient: bool,
    reads: JoinSet<Result<()>>,
}

impl Marks {
    pub(super) fn new(lake: Lake, beside: Option<Arc<dyn Beside>>) -> Result<Self> {
        let names = DataNames::new(lake.life(), lake.objects());
        let (met, entries) = (Arc::new(Mutex::new(Names::new()?)), Entries::of(beside));
        let objects = Objects { names, met, entries };
        let (runs, ranges) = (HashSet::new(), HashSet::new());
        let unfolded = HashSet::new();
        Ok(Self { lake, runs, ranges, objects, unfolded, lenient: false, reads: JoinSet::new() })
    }

    /// From here on, whether what is missing or damaged is passed over.
    pub(super) fn be_lenient(&mut self, lenient: bool) {
        self.lenient = lenient;
        self.objects.entries.be_recent(lenient);
    }

    /// Marks a level, and those that folds have put it in the place of: differences across the
    /// folds are found with them.
    pub(super) async fn level(&mut self, level: &Level) -> Result<()> {
        let mut open = vec![level.clone()];
        while let Some(level) = open.pop() {
            match self.run(&level.run).await {
                Err(error) if self.lenient && error.is_damage() => continue,
                marked => marked?,
            }
            let Some(at) = level.folded_at else { continue };
            if self.unfolded.insert((at.uid, at.first, level.run.id)) {
                open.extend(self.lake.unfolded(&level).await?.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Marks a run with all it names. Its ranges are read in the background, see
    /// [`Marks::settle`].
    pub(super) async fn run(&mut self, run: &RunRef) -> Result<()> {
        if !self.runs.insert(run.id) {
            return Ok(());
        }
        if self.runs.len() + self.ranges.len() > IDS_MAX {
            return Err(Error::invalid(format!(
                "the repository has more than {IDS_MAX} runs and ranges: collecting it would take too much memory"
            )));
        }
        let tree = self.lake.tree();
        let ranges = tree.verify_list(run).await?;
        if let RunPlace::Inline(at) = run.place {
            let inline = tree.store().read_inline(at).await?;
            self.objects.inline(&inline)?;
        }
        for range in ranges {
            if !self.ranges.insert(range.id) {
                continue;
            }
            while self.reads.len() >= READS {
                self.join().await?;
            }
            let read = read(self.lake.tree().clone(), range, self.objects.clone());
            let lenient = self.lenient;
            self.reads.spawn(async move {
                match read.await {
                    Err(error) if lenient && error.is_damage() => Ok(()),
                    read => read,
                }
            });
        }
        Ok(())
    }

    /// Waits until every marked range has been read.
    pub(super) async fn settle(&mut self) -> Result<()> {
        while !self.reads.is_empty() {
            self.join().await?;
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<()> {
        match self.reads.join_next().await {
            None => Ok(()),
            Some(Ok(read)) => read,
            Some(Err(error)) => Err(Error::internal("a read was cut short").with_source(error)),
        }
    }
}

async fn read(tree: Tree, range: RangeRef, objects: Objects) -> Result<()> {
    let found = tree.verify_range_with(range.id, |path, value| objects.value(path, value)).await?;
    if found == range {
        return Ok(());
    }
    Err(Error::corrupt(format!("a run says of range {} what it does not say of itself", range.id)))
}
