//! The second step of a round: bringing together what deciding a batch needs. Everything here is
//! reading, in parallel; nothing is decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, TryStreamExt};

use crate::clock;
use crate::coord::areas::Area;
use crate::coord::staging::{self, Bound, PAGE_MAX, Wanted, Which};
use crate::coord::{BranchKeys, Lanes, branches};
use crate::model::change::{PathChange, decode_value};
use crate::model::entry::Entry;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{CommitId, OpId, RunId};
use crate::model::path::ObjectPath;
use crate::tree::{
    ALL, ChangeSorter, InlineRun, Level, Metarange, Record, RunRef, RunWriter, ScanStart,
};

use super::ancestry::{Ancestry, ancestry};
use super::graph::Contained;
use super::head::Head;
use super::lake::Lake;
use super::log::ResetTo;
use super::merge::{Crossing, crossings};
use super::op::{
    Body, Changes, CommitRequest, MergePlan, MergeRequest, Op, PREPARED_MAX, ProducerSequence,
    QueuedOp, Request,
};
use super::verdict::{ProducerRow, Verdict};

/// Changes of one op that are merged into the batch's own run, at most. The run of a larger op
/// becomes a level of its own, as it is.
pub const SMALL_MAX: u64 = 4096;

/// Changes of one op with conditions or a base, at most: each is looked up.
pub const VALIDATED_MAX: u64 = 100_000;

/// Ops loaded at the same time, at most.
const LOADS: usize = 16;

/// Changes of a batch held in memory, in bytes, at most, unless one op alone has more. Ops that
/// bring more end the batch early, and count for the bound on rounds like as many batches.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a record takes in memory besides its path and value, roughly.
const RECORD_OVERHEAD: usize = 64;

/// An op with everything at hand to decide it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its id.
    pub id: OpId,
    /// The producer's sequence it carries.
    pub producer: Option<ProducerSequence>,
    /// The areas it had sealed; `None` when it brought its changes itself.
    pub areas: Option<Vec<OpId>>,
    /// What is to be done.
    pub work: Work,
}

impl Prepared {
    /// What its changes take in memory, roughly.
    fn bytes(&self) -> usize {
        let records = match &self.work {
            Work::Commit { changes: ChangeSet::Small(records), .. } => records,
            Work::Merge { view, .. } => &view.records,
            _ => return 0,
        };
        records.iter().map(|r| r.path.as_str().len() + r.value.len() + RECORD_OVERHEAD).sum()
    }

    /// Whether deciding it needs to know what paths have.
    pub fn asks(&self) -> bool {
        match &self.work {
            Work::Commit { request, changes: ChangeSet::Small(records), .. } => {
                // What cannot be read is found out when the op is decided.
                is_validated(request, records).unwrap_or(true)
            }
            Work::Merge { .. } => true,
            _ => false,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Work {
    /// Nothing: the verdict is clear.
    Settled(Verdict),
    /// A commit.
    Commit {
        /// Who asked.
        committer: String,
        /// When.
        created_ms: i64,
        /// What.
        request: CommitRequest,
        /// Its changes.
        changes: ChangeSet,
    },
    /// The difference between two commits, brought into the branch.
    Merge {
        /// Who asked.
        committer: String,
        /// When.
        created_ms: i64,
        /// What.
        request: MergeRequest,
        /// What deciding it needs.
        view: MergeView,
    },
    /// Another head.
    Reset {
        /// Which.
        to: ResetTo,
        /// Its content.
        levels: Vec<Level>,
    },
    /// The end of the branch.
    DeleteBranch,
    /// An exchange of levels.
    Fold {
        /// The levels, newest first: run and as-of index of each.
        levels: Vec<(RunId, u16)>,
        /// Whether they must be the bottom of the stack.
        bottom: bool,
        /// What replaces them.
        with: Arc<RunRef>,
    },
}

/// What deciding a merge needs besides its request.
#[derive(Debug, Clone)]
pub struct MergeView {
    /// The records it brings in the op: all changes of a small merge, else what goes on top of its
    /// run.
    pub records: Vec<Record>,
    /// The run it brings.
    pub run: Option<Arc<RunRef>>,
    /// For a merge of many changes: those whose paths have changed between the head it was worked
    /// out against and the present one; `None` when they are too many.
    pub crossings: Option<Vec<Crossing>>,
    /// The base, by the history of the present head; `None` when there is none any more.
    pub base: Option<CommitId>,
    /// The source's generation; 0 without a source.
    pub source_generation: u64,
}

/// The changes of one op.
#[derive(Debug, Clone)]
pub enum ChangeSet {
    /// In memory, one per path, in path order.
    Small(Vec<Record>),
    /// In the object store.
    Large(Arc<RunRef>),
}

/// What paths name, before the batch.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    /// At the head.
    pub head: HashMap<ObjectPath, Option<Entry>>,
    /// At the base of an op.
    pub bases: HashMap<(CommitId, ObjectPath), Option<Entry>>,
}

/// A batch, ready to be decided.
#[derive(Debug)]
pub struct Situation {
    /// The ops, in ticket order.
    pub ops: Vec<Prepared>,
    /// Rows of the producers among them.
    pub producers: BTreeMap<String, ProducerRow>,
    /// What the ops with conditions or a base need to know.
    pub lookups: Lookups,
    /// What the head has come to contain since the merges among them were worked out.
    pub contained: Contained,
}

/// Where a branch's things are.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Redis.
    pub lanes: &'a Lanes,
    /// The branch's keys.
    pub keys: &'a BranchKeys,
    /// The repository.
    pub lake: &'a Lake,
}

/// Reads the longest prefix of a queue that this program may decide: everything before the first
/// op written by a newer version, and nothing behind the end of the branch or a reset.
pub fn readable(elements: &[bytes::Bytes]) -> Result<Vec<QueuedOp>> {
    let mut ops = Vec::with_capacity(elements.len());
    for element in elements {
        let op = QueuedOp::decode(element)?;
        if let Body::Newer(version) = op.body {
            tracing::warn!(op_id = %op.id, version, "leaving an op to helpers of a newer version");
            break;
        }
        // What follows a reset is decided on another head, which is not at hand.
        let ends = matches!(
            &op.body,
            Body::Op(body) if matches!(body.request, Request::DeleteBranch | Request::Reset(_))
        );
        ops.push(op);
        if ends {
            break;
        }
    }
    Ok(ops)
}

/// Loads everything that deciding `ops` on top of `head` needs.
pub async fn prepare(
    sources: Sources<'_>,
    head: &Head,
    ops: Vec<QueuedOp>,
    areas: &[Area],
) -> Result<Situation> {
    let producers = producer_rows(sources, &ops).await?;
    let mut ops = load_batch(sources, ops, areas).await?;
    let contained = trace(sources.lake, head, &mut ops).await?;
    let lookups = look_up(sources.lake, head, &mut ops).await?;
    Ok(Situation { ops, producers, lookups, contained })
}

/// Finds the bases of merges by the history of the head, and what moves them.
async fn trace(lake: &Lake, head: &Head, ops: &mut [Prepared]) -> Result<Contained> {
    let merges = ops.iter().enumerate().filter_map(|(index, op)| match &op.work {
        Work::Merge { request, .. } if request.merge.kind.follows_merge_base() => {
            Some((index, &request.merge))
        }
        _ => None,
    });
    let merges: Vec<_> = merges.collect();
    let at: Vec<usize> = merges.iter().map(|(index, _)| *index).collect();
    let Ancestry { contained, bases } = match ancestry(lake, head, merges).await {
        Ok(ancestry) => ancestry,
        Err(error) if is_permanent(&error) => {
            let failed = Work::Settled(Verdict::Failed { reason: error.to_string() });
            for index in at {
                if let Some(op) = ops.get_mut(index) {
                    op.work = failed.clone();
                }
            }
            return Ok(Contained::default());
        }
        Err(error) => return Err(error),
    };
    for (index, base) in bases {
        if let Some(Prepared { work: Work::Merge { view, .. }, .. }) = ops.get_mut(index) {
            view.base = base;
        }
    }
    Ok(contained)
}

/// Loads ops in order until the batch is heavy enough; those behind it are for the next round. The
/// first op is always in, however heavy.
async fn load_batch(
    sources: Sources<'_>,
    ops: Vec<QueuedOp>,
    areas: &[Area],
) -> Result<Vec<Prepared>> {
    let mut loading = std::pin::pin!(
        futures::stream::iter(ops).map(|op| load(sources, op, areas)).buffered(LOADS)
    );
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(op) = loading.try_next().await? {
        bytes += op.bytes();
        if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
            break;
        }
        batch.push(op);
    }
    Ok(batch)
}

async fn producer_rows(
    sources: Sources<'_>,
    ops: &[QueuedOp],
) -> Result<BTreeMap<String, ProducerRow>> {
    let names: BTreeSet<String> = ops
        .iter()
        .filter_map(|op| match &op.body {
            Body::Op(body) => body.producer.as_ref().map(|p| p.producer.clone()),
            _ => None,
        })
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    branches::producer_rows(sources.lanes, sources.keys, &names)
        .await?
        .into_iter()
        .map(|(name, row)| Ok((name, ProducerRow::decode(&row)?)))
        .collect()
}

async fn load(sources: Sources<'_>, queued: QueuedOp, areas: &[Area]) -> Result<Prepared> {
    let QueuedOp { id, cancelled, body } = queued;
    let op = match body {
        Body::Op(op) => *op,
        Body::Damaged(reason) => {
            // Whatever it had sealed is given back.
            let owned: Vec<OpId> = owned(id, areas).collect();
            let areas = Some(owned).filter(|owned| !owned.is_empty());
            let work = Work::Settled(Verdict::Failed { reason });
            return Ok(Prepared { id, producer: None, areas, work });
        }
        Body::Newer(_) => {
            return Err(Error::internal("an op of a newer version was to be decided"));
        }
    };
    let taken = owned_areas(&op.request, id, areas);
    let expired = is_expired(&op);
    let Op { committer, created_ms, producer, request } = op;
    let work = match request {
        _ if cancelled => Work::Settled(Verdict::Cancelled),
        _ if expired => Work::Settled(Verdict::Failed {
            reason: format!(
                "its changes were written more than {} hours ago: submit it again",
                PREPARED_MAX.as_secs() / 3600
            ),
        }),
        Request::DeleteBranch => Work::DeleteBranch,
        Request::Fold(fold) => {
            Work::Fold { levels: fold.levels, bottom: fold.bottom, with: Arc::new(fold.with) }
        }
        Request::Commit(request) => {
            match load_changes(sources, &request, taken.as_deref()).await {
                Ok(changes) => Work::Commit { committer, created_ms, request, changes },
                // What is missing or damaged now will be so the next time: an outcome, not a retry.
                Err(error) if is_permanent(&error) => {
                    Work::Settled(Verdict::Failed { reason: error.to_string() })
                }
                Err(error) => return Err(error),
            }
        }
        Request::Merge(request) => match load_merge(sources.lake, &request).await {
            Ok(view) => Work::Merge { committer, created_ms, request, view },
            Err(error) if is_permanent(&error) => {
                Work::Settled(Verdict::Failed { reason: error.to_string() })
            }
            Err(error) => return Err(error),
        },
        Request::Reset(to) => match load_reset(sources.lake, to).await {
            Ok(work) => work,
            Err(error) if is_permanent(&error) => {
                Work::Settled(Verdict::Failed { reason: error.to_string() })
            }
            Err(error) => return Err(error),
        },
    };
    Ok(Prepared { id, producer, areas: taken, work })
}

/// Whether garbage collection may have taken what the op names.
fn is_expired(op: &Op) -> bool {
    let age = clock::now_ms().saturating_sub(op.prepared_ms());
    !op.runs().is_empty() && u128::try_from(age).is_ok_and(|age| age > PREPARED_MAX.as_millis())
}

async fn load_merge(lake: &Lake, request: &MergeRequest) -> Result<MergeView> {
    let merge = &request.merge;
    for commit in [merge.base, merge.against].iter().flatten() {
        lake.node(commit).await?;
    }
    let source_generation = match &merge.source {
        Some(source) => lake.node(source).await?.generation(),
        None => 0,
    };
    let (records, run) = match &merge.plan {
        MergePlan::Changes(records) => (records, None),
        MergePlan::Survivors(survivors) => (&survivors.records, survivors.run.clone()),
    };
    let records = InlineRun::decode(records)?.records().to_vec();
    let run = run.map(Arc::new);
    Ok(MergeView { records, run, crossings: None, base: merge.base, source_generation })
}

async fn load_reset(lake: &Lake, to: CommitId) -> Result<Work> {
    let generation = lake.commit(&to).await?.generation;
    let levels = lake.metarange(&to).await?.levels;
    Ok(Work::Reset { to: ResetTo { commit: to, generation }, levels })
}

/// Whether an error comes again however often the op is tried.
pub fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::InvalidInput)
}

fn owned_areas(request: &Request, id: OpId, areas: &[Area]) -> Option<Vec<OpId>> {
    match request {
        Request::Commit(commit) if commit.changes == Changes::Sealed => {
            Some(owned(id, areas).collect())
        }
        _ => None,
    }
}

fn owned(id: OpId, areas: &[Area]) -> impl Iterator<Item = OpId> + '_ {
    areas.iter().filter(move |area| area.owner == Some(id)).map(|area| area.id)
}

async fn load_changes(
    sources: Sources<'_>,
    request: &CommitRequest,
    areas: Option<&[OpId]>,
) -> Result<ChangeSet> {
    let changes = match (&request.changes, areas) {
        (Changes::Inline(bytes), _) => {
            ChangeSet::Small(InlineRun::decode(bytes)?.records().to_vec())
        }
        (Changes::Run(run), _) => ChangeSet::Large(Arc::new(run.clone())),
        (Changes::Sealed, Some([area])) => load_area(sources, *area).await?,
        (Changes::Sealed, areas) => load_areas(sources, areas.unwrap_or_default()).await?,
    };
    match changes {
        ChangeSet::Large(run) => {
            let validated = run.conditions || request.base.is_some();
            if validated && run.records > VALIDATED_MAX {
                return Err(Error::invalid(format!(
                    "it has {} changes with conditions or a base, the limit is {VALIDATED_MAX}: split it",
                    run.records
                )));
            }
            if validated || run.records <= SMALL_MAX {
                let scan = sources.lake.tree().scan_run(run, ALL, ScanStart::default());
                return Ok(ChangeSet::Small(scan.try_collect().await?));
            }
            Ok(ChangeSet::Large(run))
        }
        small => Ok(small),
    }
}

/// Reads one sealed area in path order, a page at a time; what does not stay small goes to the
/// object store as it is read, so that memory does not follow the size of the area.
async fn load_area(sources: Sources<'_>, area: OpId) -> Result<ChangeSet> {
    let mut collector = Collector::new(sources.lake);
    let mut from = Bound::Open;
    while let Some(values) = area_page(sources, area, &from).await? {
        for value in values {
            from = Bound::Behind(value.path.clone());
            let path = ObjectPath::new(value.path)?;
            collector.push(Record { path, op: 0, value: value.value }).await?;
        }
    }
    collector.finish().await
}

/// Reads several sealed areas, oldest first: the newest change of a path wins.
async fn load_areas(sources: Sources<'_>, areas: &[OpId]) -> Result<ChangeSet> {
    let mut sorter = ChangeSorter::new(0);
    for area in areas {
        let mut from = Bound::Open;
        while let Some(values) = area_page(sources, *area, &from).await? {
            for value in values {
                from = Bound::Behind(value.path.clone());
                let (change, condition) = decode_value(&value.value)?;
                let path = ObjectPath::new(value.path)?;
                sorter.push(PathChange { path, change, condition })?;
            }
        }
    }
    let mut collector = Collector::new(sources.lake);
    for record in sorter.finish()? {
        collector.push(record?).await?;
    }
    collector.finish().await
}

async fn area_page(
    sources: Sources<'_>,
    area: OpId,
    from: &Bound,
) -> Result<Option<Vec<staging::StagedValue>>> {
    let wanted = Wanted::From(from, PAGE_MAX);
    let page = staging::staged(sources.lanes, sources.keys, Which::Area(area), wanted).await?;
    // An area that is no longer listed was committed, or lost with Redis: what is read of it now
    // is not what was sealed, and must not become a commit.
    let page = page.filter(|page| page.areas.iter().any(|listed| listed.id == area));
    let page = page.ok_or_else(|| {
        Error::unavailable(format!("sealed area {area} went away while it was read"))
    })?;
    Ok(Some(page.values).filter(|values| !values.is_empty()))
}

/// Gathers records in path order: in memory while they are few, into a run when they are many.
pub(super) struct Collector<'a> {
    lake: &'a Lake,
    small: Vec<Record>,
    large: Option<RunWriter>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(lake: &'a Lake) -> Self {
        Self { lake, small: Vec::new(), large: None }
    }

    pub(super) async fn push(&mut self, record: Record) -> Result<()> {
        if let Some(writer) = &mut self.large {
            return writer.push(record).await;
        }
        self.small.push(record);
        if self.small.len() as u64 > SMALL_MAX {
            let mut writer = self.lake.tree().run_writer();
            for record in std::mem::take(&mut self.small) {
                writer.push(record).await?;
            }
            self.large = Some(writer);
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<ChangeSet> {
        match self.large {
            Some(writer) => Ok(ChangeSet::Large(Arc::new(writer.finish().await?))),
            None => Ok(ChangeSet::Small(self.small)),
        }
    }
}

/// Whether deciding a commit needs to know what its paths name.
pub fn is_validated(request: &CommitRequest, records: &[Record]) -> Result<bool> {
    if request.base.is_some() {
        return Ok(true);
    }
    for record in records {
        if decode_value(&record.value)?.1.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What one op needs to know to be decided.
struct Asked {
    lookups: Lookups,
    crossings: Option<Vec<Crossing>>,
}

/// What the ops with conditions or a base need to know. An op whose question can never be answered,
/// because an object is missing or damaged, is settled as failed; it must not stop the others.
async fn look_up(lake: &Lake, head: &Head, ops: &mut [Prepared]) -> Result<Lookups> {
    let room = AtomicUsize::new(lake.merge_limits().crossings);
    let asking: Vec<_> = ops.iter().map(|op| look_up_for(lake, head, op, &room)).collect();
    let asked: Vec<Result<Asked>> = futures::stream::iter(asking).buffered(LOADS).collect().await;
    let mut lookups = Lookups::default();
    for (op, asked) in ops.iter_mut().zip(asked) {
        match asked {
            Ok(asked) => {
                lookups.head.extend(asked.lookups.head);
                lookups.bases.extend(asked.lookups.bases);
                if let Work::Merge { view, .. } = &mut op.work {
                    view.crossings = asked.crossings;
                }
            }
            Err(error) if is_permanent(&error) => {
                op.work = Work::Settled(Verdict::Failed { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lookups)
}

/// Looks up what one op needs to know; `room` is what crossings of the batch may still take.
async fn look_up_for(lake: &Lake, head: &Head, op: &Prepared, room: &AtomicUsize) -> Result<Asked> {
    let mut lookups = Lookups::default();
    let mut found = None;
    match &op.work {
        Work::Commit { request, changes: ChangeSet::Small(records), .. }
            if is_validated(request, records)? =>
        {
            look_up_paths(lake, head, request.base, records, &mut lookups).await?;
        }
        Work::Merge { request, view, .. } => match &request.merge.plan {
            MergePlan::Changes(_) => {
                look_up_paths(lake, head, request.merge.base, &view.records, &mut lookups).await?;
            }
            MergePlan::Survivors(_) if request.merge.against == head.commit => {
                found = Some(Vec::new());
            }
            MergePlan::Survivors(survivors) => {
                let max = room.load(Ordering::Relaxed);
                let metarange = &head.metarange;
                found = crossings(lake, &request.merge, survivors, metarange, max).await?;
                let taken = found.as_ref().map_or(0, Vec::len);
                // Where two ask at the same time both may take the rest: a bound within a factor.
                room.store(max.saturating_sub(taken), Ordering::Relaxed);
            }
        },
        _ => {}
    }
    Ok(Asked { lookups, crossings: found })
}

async fn look_up_paths(
    lake: &Lake,
    head: &Head,
    base: Option<CommitId>,
    records: &[Record],
    lookups: &mut Lookups,
) -> Result<()> {
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    if let Some(base) = base {
        let metarange = lake.metarange(&base).await?;
        for (path, entry) in get_all(lake, &metarange, paths.clone()).await? {
            lookups.bases.insert((base, path), entry);
        }
    }
    lookups.head.extend(get_all(lake, &head.metarange, paths).await?);
    Ok(())
}

async fn get_all(
    lake: &Lake,
    metarange: &Metarange,
    paths: Vec<ObjectPath>,
) -> Result<HashMap<ObjectPath, Option<Entry>>> {
    let entries = lake.tree().get_many(metarange, &paths).await?;
    Ok(paths.into_iter().zip(entries).collect())
}
