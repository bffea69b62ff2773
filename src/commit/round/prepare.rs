//! The second step of a round: bringing together what deciding a batch needs. Everything here is
//! reading, in parallel; nothing is decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::coord::RedisBranch;
use crate::coord::areas::Area;
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, OpId, RunId};
use crate::model::path::ObjectPath;
use crate::model::producer::Producer;
use crate::tree::{ChangeSet, Level, Record, RunRef, SmallMax};

use super::load::load;
use super::lookup::look_up;
use crate::commit::log::entry::ResetTo;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::ancestry::{Ancestry, ancestry};
use crate::commit::merge::graph::Contained;
use crate::commit::merge::prepared::Crossing;
use crate::commit::op::queued::{Body, CommitRequest, MergeRequest, QueuedOp, Request, VERSION};
use crate::commit::op::verdict::{ProducerRow, Verdict};

/// Changes of one op that are merged into the batch's own run, at most. The run of a larger op
/// becomes a level of its own, as it is.
pub const SMALL_MAX: SmallMax = SmallMax::records(4096);

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
    pub producer: Option<Producer>,
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
            Work::Commit { validated, .. } => *validated,
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
        /// Whether each of them is judged by what its path has.
        validated: bool,
    },
    /// The difference between two commits, brought into the branch.
    Merge {
        /// Who asked.
        committer: String,
        /// When.
        created_ms: i64,
        /// What.
        request: Box<MergeRequest>,
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
    pub redis: &'a RedisBranch,
    /// The repository.
    pub lake: &'a Lake,
}

/// Reads the longest prefix of a queue that this program may decide: everything before the first
/// op written by a newer version, and nothing behind the end of the branch or a reset. Fails with
/// [`crate::ErrorKind::NewerVersion`] where such an op stands in front.
pub fn readable(elements: &[bytes::Bytes]) -> Result<Vec<QueuedOp>> {
    let mut ops = Vec::with_capacity(elements.len());
    for element in elements {
        let op = QueuedOp::decode(element)?;
        if let Body::Newer(version) = op.body {
            if ops.is_empty() {
                let what = format_args!("op {}, which is next in the queue,", op.id);
                return Err(Error::newer(what, version.into(), VERSION.into()));
            }
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
    let producers = producer_rows(sources, head, &ops).await?;
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
        Err(error) if error.is_permanent() => {
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

/// The rows as they were when the head was decided: a Redis that took the place of the one that
/// was looked at may have others.
async fn producer_rows(
    sources: Sources<'_>,
    head: &Head,
    ops: &[QueuedOp],
) -> Result<BTreeMap<String, ProducerRow>> {
    let names: BTreeSet<String> = ops
        .iter()
        .filter_map(|op| match &op.body {
            Body::Op(body) => body.producer.as_ref().map(|p| p.name.clone()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = names.into_iter().collect();
    let found = sources.redis.rows(&names).await?.given();
    let Some(found) = found.filter(|found| found.done == head.done) else {
        return Err(Error::unavailable("Redis has moved on, or fell back, while a batch was read"));
    };
    let rows = found.rows.into_iter();
    rows.map(|(name, row)| Ok((name, ProducerRow::decode(&row)?))).collect()
}
