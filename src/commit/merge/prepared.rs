//! Merges: working one out against a head, and working out again only what has changed since.
//!
//! A merge brings the *changes* from its base to its source. Each is put through the three-way
//! rule with what the branch has there; those that *survive* are written. Whatever the branch does
//! afterwards, only paths that are both among the changes and changed on the branch in between can
//! come out differently: the *crossings*. They alone are decided again, by the same rule and from
//! the same base, so the result is what a merge from scratch would have given at that moment.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use serde_bytes::ByteBuf;

use crate::clock;
use crate::model::change::Change;
use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{Decision, InlineRun, Metarange, Record, RunWriter, ScanStart, Tree, decide};

use crate::commit::log::lake::Lake;
use crate::commit::op::queued::{
    INLINE_MAX, MergeKind, MergePlan, PreparedMerge, Survivors, encode_within,
};
use crate::commit::op::verdict::CONFLICTS_MAX;

/// Paths decided together: their values are looked up in one go.
const STEP: usize = 1024;

/// Up to where merges are kept in memory and in ops. The defaults suit queues of many small ops;
/// smaller ones change costs, never results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeLimits {
    /// Changes that travel in the op and are decided one by one, at most. Default: 512, and 8 KiB.
    pub few: usize,
    /// Survivors that travel in the op instead of a run, in bytes of paths and values, at most.
    /// Default: 4 KiB.
    pub beside_bytes: usize,
    /// Crossings of a batch, at most. A merge with more is worked out from scratch in its turn.
    /// Default: 100,000.
    pub crossings: usize,
}

impl Default for MergeLimits {
    fn default() -> Self {
        Self { few: 512, beside_bytes: BESIDE_MAX, crossings: 100_000 }
    }
}

/// What the survivors of a merge that are not in its run take in the op, encoded, at most.
const BESIDE_MAX: usize = 4 * 1024;

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
    /// The tree.
    pub tree: Tree,
    /// The content.
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

/// One change of a merge, decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruled {
    /// The path.
    pub path: ObjectPath,
    /// What both sides began with.
    pub base: Option<Entry>,
    /// What the merge brings.
    pub source: Option<Entry>,
    /// What the branch has.
    pub dest: Option<Entry>,
    /// What the rule says, before any strategy.
    pub decision: Decision,
}

impl Ruled {
    fn new(
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
}

/// What a strategy makes of a decision.
pub fn settle(decision: Decision, strategy: Strategy) -> Decision {
    match (decision, strategy) {
        (Decision::Conflict, Strategy::SourceWins) => Decision::TakeSource,
        (Decision::Conflict, Strategy::DestWins) => Decision::KeepDest,
        (decision, _) => decision,
    }
}

/// The changes from `base` to `source`, in path order, each decided against what `dest` has.
/// Costs the difference between base and source, and a lookup in `dest` for each change.
pub fn three_way<'a>(
    lake: &Lake,
    base: Metarange,
    source: Metarange,
    dest: &'a dyn Values,
    start: ScanStart,
) -> BoxStream<'a, Result<Ruled>> {
    lake.diff(base, source, start)
        .try_chunks(STEP)
        .map_err(|error| error.1)
        .and_then(move |changes| async move {
            let paths: Vec<ObjectPath> = changes.iter().map(|c| c.path.clone()).collect();
            let dest = dest.values(&paths).await?;
            let ruled = changes.into_iter().zip(dest).map(|(change, dest)| {
                Ok(Ruled::new(change.path, change.before, change.after, dest))
            });
            Ok(futures::stream::iter(ruled))
        })
        .try_flatten()
        .boxed()
}

/// What is to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeSpec {
    /// What it is in history.
    pub kind: MergeKind,
    /// Where the changes start.
    pub base: Option<CommitId>,
    /// Where they lead.
    pub source: Option<CommitId>,
    /// What happens to conflicts.
    pub strategy: Strategy,
}

/// A merge, worked out against a head.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkedOut {
    /// The result.
    pub merge: PreparedMerge,
    /// How many changes the source brings.
    pub changes: u64,
    /// How many of them survive.
    pub surviving: u64,
    /// Conflicting paths, at most [`CONFLICTS_MAX`] of them.
    pub conflicts: Vec<ConflictPath>,
    /// How many there are.
    pub conflicts_total: u64,
}

/// Works out a merge against head `against`, writing what survives unless there are conflicts.
/// With `write` off nothing is written, and the result is good for its numbers only.
pub async fn work_out(
    lake: &Lake,
    spec: MergeSpec,
    against: Option<CommitId>,
    write: bool,
) -> Result<WorkedOut> {
    let prepared_ms = clock::now_ms();
    let base = lake.content(spec.base).await?;
    let source = lake.content(spec.source).await?;
    let dest = Committed::at(lake, against).await?;
    let mut all = three_way(lake, base, source, &dest, ScanStart::all());
    let mut tally = Tally::default();
    let mut sink = Sink::new(lake, write);
    while let Some(ruled) = all.try_next().await? {
        tally.count(&ruled);
        match settle(ruled.decision, spec.strategy) {
            Decision::Conflict => {
                // Nothing of it will be used.
                sink.write = false;
                tally.conflict(ruled);
            }
            decision => sink.push(ruled, decision == Decision::TakeSource).await?,
        }
    }
    drop(all);
    let (changes, surviving) = (tally.changes, sink.surviving);
    let plan = sink.finish(&tally).await?;
    let Tally { conflicts, conflicts_total, .. } = tally;
    let MergeSpec { kind, base, source, strategy } = spec;
    let merge = PreparedMerge { kind, base, source, strategy, against, prepared_ms, plan };
    Ok(WorkedOut { merge, changes, surviving, conflicts, conflicts_total })
}

/// Numbers and conflicts of a merge.
#[derive(Debug, Default)]
struct Tally {
    changes: u64,
    first: Option<ObjectPath>,
    last: Option<ObjectPath>,
    conflicts: Vec<ConflictPath>,
    conflicts_total: u64,
}

impl Tally {
    fn count(&mut self, ruled: &Ruled) {
        self.changes += 1;
        if self.first.is_none() {
            self.first = Some(ruled.path.clone());
        }
        self.last = Some(ruled.path.clone());
    }

    fn conflict(&mut self, ruled: Ruled) {
        self.conflicts_total += 1;
        if self.conflicts.len() < CONFLICTS_MAX {
            self.conflicts.push(ruled.into_conflict());
        }
    }
}

/// Where the changes of a merge go: held while they are few, survivors written when they are many.
struct Sink {
    tree: Tree,
    limits: MergeLimits,
    write: bool,
    /// All changes, and whether each survives; `None` when they have become too many.
    few: Option<Vec<(Record, bool)>>,
    /// Survivors, when the changes are many.
    held: Vec<Record>,
    held_bytes: usize,
    writer: Option<RunWriter>,
    surviving: u64,
}

impl Sink {
    fn new(lake: &Lake, write: bool) -> Self {
        Self {
            tree: lake.tree().clone(),
            limits: lake.merge_limits(),
            write,
            few: Some(Vec::new()),
            held: Vec::new(),
            held_bytes: 0,
            writer: None,
            surviving: 0,
        }
    }

    async fn push(&mut self, ruled: Ruled, survives: bool) -> Result<()> {
        self.surviving += u64::from(survives);
        if !self.write {
            return Ok(());
        }
        let record = record_of(0, ruled.path, ruled.source);
        let Some(few) = &mut self.few else {
            return if survives { self.hold(record).await } else { Ok(()) };
        };
        few.push((record, survives));
        if few.len() > self.limits.few {
            self.spill().await?;
        }
        Ok(())
    }

    async fn spill(&mut self) -> Result<()> {
        for (record, survives) in self.few.take().unwrap_or_default() {
            if survives {
                self.hold(record).await?;
            }
        }
        Ok(())
    }

    async fn hold(&mut self, record: Record) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            return writer.push(record).await;
        }
        self.held_bytes += record.path.as_str().len() + record.value.len();
        self.held.push(record);
        if self.held_bytes > self.limits.beside_bytes {
            self.write_held().await?;
        }
        Ok(())
    }

    async fn write_held(&mut self) -> Result<()> {
        let mut writer = self.tree.run_writer();
        writer.push_all(self.held.drain(..)).await?;
        self.writer = Some(writer);
        Ok(())
    }

    async fn finish(mut self, tally: &Tally) -> Result<MergePlan> {
        if let Some(few) = &self.few {
            let records = few.iter().map(|(record, _)| record.clone()).collect();
            if let Some(encoded) = encode_within(&InlineRun::from_records(records)?, INLINE_MAX) {
                return Ok(MergePlan::Changes(encoded));
            }
            self.spill().await?;
        }
        let mut beside = InlineRun::from_records(self.held.clone())?.encode();
        if beside.len() > BESIDE_MAX {
            self.write_held().await?;
            beside = InlineRun::default().encode();
        }
        let run = match self.writer {
            Some(writer) => Some(writer.finish().await?),
            None => None,
        };
        let records = ByteBuf::from(beside);
        let span = tally.first.clone().zip(tally.last.clone());
        let (changes, surviving) = (tally.changes, self.surviving);
        Ok(MergePlan::Survivors(Survivors { run, records, span, changes, surviving }))
    }
}

/// The record that makes `path` name `entry`, or nothing.
pub fn record_of(op: u16, path: ObjectPath, entry: Option<Entry>) -> Record {
    Record::new(op, path, &entry.map_or(Change::Delete, Change::Put))
}

/// A change of a merge whose path the branch has changed since the merge was worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// The path.
    pub path: ObjectPath,
    /// What both sides began with.
    pub base: Option<Entry>,
    /// What the merge brings.
    pub source: Option<Entry>,
    /// What the branch had when the merge was worked out.
    pub before: Option<Entry>,
}

/// A path that the branch has changed, with what was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The path.
    pub path: ObjectPath,
    /// What it had before.
    pub before: Option<Entry>,
}

/// The crossings of a merge of many changes, between the head it was worked out against and
/// `head`. `None` when they are more than `max`.
///
/// Cost: the difference between the two heads within the span of the merge.
pub async fn crossings(
    lake: &Lake,
    merge: &PreparedMerge,
    survivors: &Survivors,
    head: &Metarange,
    max: usize,
) -> Result<Option<Vec<Crossing>>> {
    let Some((first, last)) = &survivors.span else { return Ok(Some(Vec::new())) };
    let against = lake.content(merge.against).await?;
    let start = ScanStart::all().at(first.as_str());
    let mut changed = lake.diff(against, head.clone(), start).try_chunks(STEP);
    let mut found = Vec::new();
    while let Some(step) = changed.try_next().await.map_err(|error| error.1)? {
        let ended = step.last().is_some_and(|diff| diff.path > *last);
        let inside = step.into_iter().filter(|diff| diff.path <= *last);
        let inside = inside.map(|diff| Changed { path: diff.path, before: diff.before }).collect();
        found.extend(crossing(lake, merge, inside).await?);
        if found.len() > max {
            return Ok(None);
        }
        if ended {
            break;
        }
    }
    Ok(Some(found))
}

/// Those of the `changed` paths, sorted, that are among the changes of the merge.
pub async fn crossing(
    lake: &Lake,
    merge: &PreparedMerge,
    changed: Vec<Changed>,
) -> Result<Vec<Crossing>> {
    let paths: Vec<ObjectPath> = changed.iter().map(|changed| changed.path.clone()).collect();
    let base = lake.content(merge.base).await?;
    let source = lake.content(merge.source).await?;
    let (base, source) = futures::try_join!(
        lake.tree().get_many(&base, &paths),
        lake.tree().get_many(&source, &paths)
    )?;
    let sides = changed.into_iter().zip(base).zip(source);
    Ok(sides
        .filter(|((_, base), source)| !crate::tree::rule::same(base.as_ref(), source.as_ref()))
        .map(|((Changed { path, before }, base), source)| Crossing { path, base, source, before })
        .collect())
}

/// What deciding crossings again comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Corrections {
    /// What the paths have after the merge, where its first result is no longer right.
    pub records: Vec<Record>,
    /// Changes that survive and did not before, less those the other way around.
    pub surviving: i64,
    /// Conflicts.
    pub conflicts: Vec<ConflictPath>,
}

/// Decides crossings again; `dest` has what the branch has there now. `pinned` are the paths whose
/// first result was corrected before: whatever stays with the branch there has to follow it.
pub fn redecide(
    op: u16,
    crossings: Vec<Crossing>,
    dest: Vec<Option<Entry>>,
    strategy: Strategy,
    pinned: &BTreeSet<ObjectPath>,
) -> Corrections {
    let mut corrections = Corrections::default();
    for (crossing, dest) in crossings.into_iter().zip(dest) {
        let Crossing { path, base, source, before } = crossing;
        let first = decide(base.as_ref(), source.as_ref(), before.as_ref());
        let took = settle(first, strategy) == Decision::TakeSource;
        let ruled = Ruled::new(path, base, source, dest);
        match settle(ruled.decision, strategy) {
            Decision::Conflict => corrections.conflicts.push(ruled.into_conflict()),
            Decision::TakeSource if took => {}
            Decision::TakeSource => {
                corrections.surviving += 1;
                corrections.records.push(record_of(op, ruled.path, ruled.source));
            }
            Decision::KeepDest => {
                corrections.surviving -= i64::from(took);
                if took || pinned.contains(&ruled.path) {
                    corrections.records.push(record_of(op, ruled.path, ruled.dest));
                }
            }
        }
    }
    corrections
}

/// Crossings that are decided again for a hint, at most.
const CARRIED_MAX: usize = 512;

/// The same merge as if it had been worked out against the head `against`: only crossings are
/// decided again. `None` where that is not worth it, or where conflicts have to be listed.
pub async fn carry_on(
    lake: &Lake,
    merge: &PreparedMerge,
    against: Option<CommitId>,
) -> Result<Option<PreparedMerge>> {
    let MergePlan::Survivors(survivors) = &merge.plan else { return Ok(None) };
    let dest = Committed::at(lake, against).await?;
    let crossings = crossings(lake, merge, survivors, &dest.metarange, CARRIED_MAX).await?;
    let Some(crossings) = crossings else { return Ok(None) };
    let paths: Vec<ObjectPath> = crossings.iter().map(|c| c.path.clone()).collect();
    let now = dest.values(&paths).await?;
    let records = InlineRun::decode(&survivors.records)?;
    let pinned = records.records().iter().map(|record| record.path.clone()).collect();
    let corrections = redecide(0, crossings, now, merge.strategy, &pinned);
    if !corrections.conflicts.is_empty() {
        return Ok(None);
    }
    let all = records.records().iter().cloned().chain(corrections.records).collect();
    let all = InlineRun::from_records(all)?;
    let Some(records) = encode_within(&all, BESIDE_MAX) else { return Ok(None) };
    let surviving = survivors.surviving.saturating_add_signed(corrections.surviving);
    let survivors = Survivors { records, surviving, ..survivors.clone() };
    let plan = MergePlan::Survivors(survivors);
    Ok(Some(PreparedMerge { against, plan, ..merge.clone() }))
}
