//! Which commits a set of refs can reach, over all parents and from log to log.
//!
//! A commit id names its place (branch uid, first ticket, index), so what was reached is kept by
//! place: of each log entry, how many of its ops. Memory: 10 bytes for each log entry of the logs
//! that are walked, and what is yet to be looked at. Within an entry everything up to the reached
//! op counts as reached.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use futures::StreamExt;

use crate::commit::log::entry::LogEntry;
use crate::commit::log::lake::Lake;
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, CommitId, Ticket};
use crate::tree::{ALL, Level};

/// Log entries read ahead, and at the same time.
const AHEAD: usize = 16;

/// Why something must be there: the first ref and, behind it, the first commit that needs it.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    /// The name of a branch or tag.
    pub(super) by: Arc<str>,
    /// The commit that needs it.
    pub(super) commit: Option<CommitId>,
}

impl Needed {
    /// By a ref itself.
    pub(super) fn by(name: impl Into<Arc<str>>) -> Self {
        Self { by: name.into(), commit: None }
    }
}

/// What the next step of the walk came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Ops of an entry that were not reached before.
    Reached(Reached),
    /// The commit cannot be read.
    Lost(Lost),
}

/// Ops of an entry that were not reached before.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) entry: Arc<LogEntry>,
    /// Indexes of the ops that were reached.
    pub(super) ops: Range<u16>,
    pub(super) needed: Needed,
}

/// A commit that something names and that cannot be read.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) uid: BranchUid,
    pub(super) first: Ticket,
    pub(super) needed: Needed,
    /// Missing or damaged.
    pub(super) error: Error,
}

/// An entry that is yet to be looked at.
#[derive(Debug)]
struct Due {
    /// Ops of the entry, from the first.
    ops: u16,
    id: Option<CommitId>,
    needed: Needed,
}

#[derive(Debug, Default)]
struct Log {
    firsts: Vec<Ticket>,
    /// Of each entry, how many ops were reached.
    reached: Vec<u16>,
}

/// A walk over everything that refs reach.
#[derive(Debug)]
pub(super) struct Reach {
    lake: Lake,
    logs: HashMap<BranchUid, Log>,
    wanted: BTreeMap<(BranchUid, Ticket), Due>,
    /// Entries of this log between these two were read ahead.
    ahead: Option<(BranchUid, std::ops::RangeInclusive<Ticket>)>,
}

impl Reach {
    pub(super) fn new(lake: Lake) -> Self {
        Self { lake, logs: HashMap::new(), wanted: BTreeMap::new(), ahead: None }
    }

    /// Adds a commit to start from.
    pub(super) fn add(&mut self, id: CommitId, needed: Needed) {
        let ops = id.index().saturating_add(1);
        self.want(id.uid(), id.first_ticket(), Due { ops, id: Some(id), needed });
    }

    /// Goes on behind an entry that cannot be read, at the one before it in its log: a guess at
    /// what its commits descend from.
    pub(super) fn pass_over(&mut self, lost: &Lost) {
        let Some(log) = self.logs.get(&lost.uid) else { return };
        let at = log.firsts.partition_point(|first| *first < lost.first);
        if let Some(before) = at.checked_sub(1).and_then(|at| log.firsts.get(at)) {
            let wanted = Due { ops: ALL, id: None, needed: lost.needed.clone() };
            self.want(lost.uid, *before, wanted);
        }
    }

    fn want(&mut self, uid: BranchUid, first: Ticket, wanted: Due) {
        let slot = self.wanted.entry((uid, first));
        slot.and_modify(|known| {
            if known.ops < wanted.ops {
                known.ops = wanted.ops;
                known.id = wanted.id;
            }
        })
        .or_insert(wanted);
    }

    /// The next entry with ops that were not reached before; `None` when all were. Entries of one
    /// log come newest first, so that each is mostly met once.
    pub(super) async fn next(&mut self) -> Result<Option<Step>> {
        while let Some(((uid, first), wanted)) = self.wanted.pop_last() {
            let slot = self.slot(uid, first).await?;
            let reached = self.reached(uid, slot);
            if reached >= wanted.ops {
                continue;
            }
            self.read_ahead(uid, slot).await;
            let entry = match self.lake.known_entry(uid, first).await {
                Ok(entry) => {
                    wanted.id.map_or(Ok(()), |id| entry.commit(&id).map(drop)).map(|()| entry)
                }
                Err(error) => Err(error),
            };
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.is_damage() => {
                    return Ok(Some(Step::Lost(Lost { uid, first, needed: wanted.needed, error })));
                }
                Err(error) => return Err(error),
            };
            let end = wanted.ops.min(u16::try_from(entry.ops.len()).unwrap_or(ALL));
            if let Some(known) = self.logs.get_mut(&uid).and_then(|log| log.reached.get_mut(slot)) {
                *known = wanted.ops;
            }
            let ops = reached.min(end)..end;
            self.add_parents(&entry, ops.clone(), &wanted.needed)?;
            return Ok(Some(Step::Reached(Reached { entry, ops, needed: wanted.needed })));
        }
        Ok(None)
    }

    fn reached(&self, uid: BranchUid, slot: usize) -> u16 {
        self.logs.get(&uid).and_then(|log| log.reached.get(slot)).copied().unwrap_or(0)
    }

    /// Where in its log the entry at `first` stands, listing the log as far as it is needed.
    async fn slot(&mut self, uid: BranchUid, first: Ticket) -> Result<usize> {
        let log = self.logs.entry(uid).or_default();
        let last = log.firsts.last().copied();
        if last.is_none_or(|last| last < first) {
            let more = self.lake.log_tickets(uid, last.unwrap_or_default()).await?;
            log.firsts.extend(more);
            log.reached.resize(log.firsts.len(), 0);
        }
        let at = log.firsts.partition_point(|known| *known < first);
        if log.firsts.get(at) != Some(&first) {
            // Not listed: reading it will tell whether it is there.
            log.firsts.insert(at, first);
            log.reached.insert(at, 0);
        }
        Ok(at)
    }

    /// Brings an entry and those before it into the cache together. What fails is read again when
    /// it is needed, and told then.
    async fn read_ahead(&mut self, uid: BranchUid, slot: usize) {
        let Some(log) = self.logs.get(&uid) else { return };
        let from = (slot + 1).saturating_sub(AHEAD);
        let firsts = log.firsts.get(from..=slot).unwrap_or_default().to_vec();
        let (Some(lowest), Some(first)) = (firsts.first().copied(), firsts.last().copied()) else {
            return;
        };
        if self.ahead.as_ref().is_some_and(|(log, read)| *log == uid && read.contains(&first)) {
            return;
        }
        let lake = &self.lake;
        futures::stream::iter(firsts)
            .for_each_concurrent(AHEAD, |first| async move {
                let _ = lake.entry(uid, first).await;
            })
            .await;
        self.ahead = Some((uid, lowest..=first));
    }

    fn add_parents(&mut self, entry: &LogEntry, ops: Range<u16>, needed: &Needed) -> Result<()> {
        for (index, commit) in commits(entry, ops.clone()) {
            for parent in &commit.parents {
                let inside = parent.uid() == entry.uid && parent.first_ticket() == entry.first;
                if inside && parent.index() < ops.end {
                    continue;
                }
                let commit = entry.commit_id(usize::from(index))?;
                self.add(*parent, Needed { by: Arc::clone(&needed.by), commit });
            }
        }
        Ok(())
    }
}

fn commits(
    entry: &LogEntry,
    ops: Range<u16>,
) -> impl Iterator<Item = (u16, &crate::model::commit::Commit)> {
    ops.filter_map(|index| Some((index, entry.ops.get(usize::from(index))?.commit.as_ref()?)))
}

impl Reached {
    /// The levels that the reached commits see, each with the first of them.
    pub(super) fn levels(&self) -> impl Iterator<Item = (u16, &Level)> {
        self.entry.levels.iter().filter_map(|span| {
            let sees =
                |index: &u16| span.is_seen(*index, usize::from(*index) + 1 >= self.entry.ops.len());
            let first =
                commits(&self.entry, self.ops.clone()).map(|(index, _)| index).find(sees)?;
            Some((first, &span.level))
        })
    }
}
