//! The second step of a round: bringing together what deciding a batch needs. Everything here is
//! reading, in parallel; nothing is decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::coord::areas::Area;
use crate::coord::staging::{self, Bound, PAGE_MAX, Wanted, Which};
use crate::coord::{BranchKeys, Lanes, branches};
use crate::model::change::{PathChange, decode_value};
use crate::model::entry::Entry;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{CommitId, OpId, RunId};
use crate::model::path::ObjectPath;
use crate::tree::{ALL, ChangeSorter, InlineRun, Metarange, Record, RunRef, RunWriter, ScanStart};

use super::head::Head;
use super::lake::Lake;
use super::op::{Body, Changes, CommitRequest, Op, ProducerSequence, QueuedOp, Request};
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
        match &self.work {
            Work::Commit { changes: ChangeSet::Small(records), .. } => records
                .iter()
                .map(|r| r.path.as_str().len() + r.value.len() + RECORD_OVERHEAD)
                .sum(),
            _ => 0,
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
    /// What the large op at an index changes a path to.
    pub large: HashMap<ObjectPath, BTreeMap<u16, Option<Entry>>>,
}

/// A batch, ready to be decided.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The ops, in ticket order.
    pub ops: Vec<Prepared>,
    /// Rows of the producers among them.
    pub producers: BTreeMap<String, ProducerRow>,
    /// What the ops with conditions or a base need to know.
    pub lookups: Lookups,
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
/// op written by a newer version, and nothing behind the end of the branch.
pub fn readable(elements: &[bytes::Bytes]) -> Result<Vec<QueuedOp>> {
    let mut ops = Vec::with_capacity(elements.len());
    for element in elements {
        let op = QueuedOp::decode(element)?;
        if let Body::Newer(version) = op.body {
            tracing::warn!(op_id = %op.id, version, "leaving an op to helpers of a newer version");
            break;
        }
        let ends = matches!(&op.body, Body::Op(body) if body.request == Request::DeleteBranch);
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
    let lookups = look_up(sources.lake, head, &mut ops).await?;
    Ok(Situation { ops, producers, lookups })
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
    let Op { committer, created_ms, producer, request } = op;
    let taken = owned_areas(&request, id, areas);
    let work = match request {
        _ if cancelled => Work::Settled(Verdict::Cancelled),
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
    };
    Ok(Prepared { id, producer, areas: taken, work })
}

fn is_permanent(error: &Error) -> bool {
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
struct Collector<'a> {
    lake: &'a Lake,
    small: Vec<Record>,
    large: Option<RunWriter>,
}

impl<'a> Collector<'a> {
    fn new(lake: &'a Lake) -> Self {
        Self { lake, small: Vec::new(), large: None }
    }

    async fn push(&mut self, record: Record) -> Result<()> {
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

    async fn finish(self) -> Result<ChangeSet> {
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

/// What the ops with conditions or a base need to know. An op whose question can never be answered,
/// because an object is missing or damaged, is settled as failed; it must not stop the others.
async fn look_up(lake: &Lake, head: &Head, ops: &mut [Prepared]) -> Result<Lookups> {
    let mut lookups = Lookups::default();
    let mut paths = BTreeSet::new();
    for op in ops.iter_mut() {
        let asked = match look_up_for(lake, head, op, &mut lookups).await {
            Ok(asked) => asked,
            Err(error) if is_permanent(&error) => {
                op.work = Work::Settled(Verdict::Failed { reason: error.to_string() });
                continue;
            }
            Err(error) => return Err(error),
        };
        paths.extend(asked);
    }
    look_up_in_large_ops(lake, ops, &paths, &mut lookups).await?;
    Ok(lookups)
}

/// Looks up what one op needs to know. Returns the paths it asks for.
async fn look_up_for(
    lake: &Lake,
    head: &Head,
    op: &Prepared,
    lookups: &mut Lookups,
) -> Result<Vec<ObjectPath>> {
    let Work::Commit { request, changes: ChangeSet::Small(records), .. } = &op.work else {
        return Ok(Vec::new());
    };
    if !is_validated(request, records)? {
        return Ok(Vec::new());
    }
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    if let Some(base) = request.base {
        let metarange = lake.metarange(&base).await?;
        for (path, entry) in get_all(lake, &metarange, paths.clone()).await? {
            lookups.bases.insert((base, path), entry);
        }
    }
    lookups.head.extend(get_all(lake, &head.metarange, paths.clone()).await?);
    Ok(paths)
}

async fn get_all(
    lake: &Lake,
    metarange: &Metarange,
    paths: Vec<ObjectPath>,
) -> Result<HashMap<ObjectPath, Option<Entry>>> {
    let entries = lake.tree().get_many(metarange, &paths).await?;
    Ok(paths.into_iter().zip(entries).collect())
}

/// An op may depend on what a large op before it in the same batch does to a path.
async fn look_up_in_large_ops(
    lake: &Lake,
    ops: &[Prepared],
    paths: &BTreeSet<ObjectPath>,
    lookups: &mut Lookups,
) -> Result<()> {
    for (index, op) in ops.iter().enumerate() {
        let Work::Commit { changes: ChangeSet::Large(run), .. } = &op.work else {
            continue;
        };
        for path in paths {
            let at = ScanStart::all().at(path.as_str());
            let mut scan = lake.tree().scan_run(Arc::clone(run), ALL, at);
            let found = scan.try_next().await?.filter(|record| record.path == *path);
            if let Some(record) = found {
                let entry = decode_value(&record.value)?.0.entry().cloned();
                let index = u16::try_from(index)
                    .map_err(|_| Error::internal("a batch has more ops than its limit"))?;
                lookups.large.entry(path.clone()).or_default().insert(index, entry);
            }
        }
    }
    Ok(())
}
