//! The second step of a round: bringing together what deciding a batch needs. Everything here is
//! reading, in parallel; nothing is decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::TryStreamExt;
use futures::stream::FuturesOrdered;

use crate::coord::areas::Area;
use crate::coord::rows::ROWS_MAX;
use crate::model::error::{Error, Result};
use crate::tree::DEFAULT_BUDGET_BYTES;

use super::load::{is_small, load};
use super::lookup::look_up;
use super::situation::{Prepared, RECORD_OVERHEAD, SMALL_MAX, Situation, Sources, Work};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::log::producers::read_rows;
use crate::commit::merge::ancestry::{Ancestry, ancestry};
use crate::commit::merge::graph::Contained;
use crate::commit::op::merge::PreparedMerge;
use crate::commit::op::queued::{Body, QueuedOp, VERSION};
use crate::commit::op::request::{Changes, CommitRequest, Request};
use crate::commit::op::verdict::{ProducerRow, Verdict};

/// Ops loaded at the same time, at most.
const LOADS: usize = 16;

/// Changes of a batch held in memory, in bytes, at most, unless one op alone has more. Ops that
/// bring more end the batch early, and count for the bound on rounds like as many batches.
///
/// With one op of [`VALIDATED_BYTES_MAX`](super::situation::VALIDATED_BYTES_MAX) a round takes about twice
/// that, `lookup` adds what it looks up, and caches have limits of their own: 1 GiB at most, and
/// 400 MiB where no op is larger than a batch.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What encoded changes come to, at a guess: they are compressed.
const UNPACKED: usize = 4;

/// What sorting the changes of several areas takes.
const AREAS_BYTES: usize = DEFAULT_BUDGET_BYTES + SMALL_MAX.bytes;

/// Producers of the ops of a batch, at most: each is a row that is published in one call. A batch of
/// ops that have more ends early.
pub const BATCH_PRODUCERS_MAX: usize = 2048;

/// Reads the longest prefix of a queue that this program may decide: everything before the first
/// op written by a newer version, nothing behind the end of the branch or a reset, and no more than
/// have [`BATCH_PRODUCERS_MAX`]. Fails with
/// [`crate::ErrorKind::NewerVersion`] where such an op stands in front.
pub fn readable(elements: &[bytes::Bytes]) -> Result<Vec<QueuedOp>> {
    let mut ops: Vec<QueuedOp> = Vec::with_capacity(elements.len());
    let mut producers = 0;
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
        producers += op.rows_named().len();
        if producers > BATCH_PRODUCERS_MAX && !ops.is_empty() {
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

/// The rows as they were when the head was decided: a Redis that took the place of the one that
/// was looked at may have others.
async fn producer_rows(
    sources: Sources<'_>,
    head: &Head,
    ops: &[QueuedOp],
) -> Result<BTreeMap<String, ProducerRow>> {
    let asked = ops.iter().flat_map(QueuedOp::rows_named);
    let names: BTreeSet<String> = asked.map(|asked| asked.name.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut rows = BTreeMap::new();
    for names in names.chunks(ROWS_MAX) {
        let found = sources.redis.rows(names).await?.given();
        let Some(found) = found.filter(|found| found.done == head.done) else {
            let moved = "Redis has moved on, or fell back, while a batch was read";
            return Err(Error::unavailable(moved));
        };
        rows.extend(read_rows(sources.lake, head.uid, head.done, found.rows).await?);
    }
    Ok(rows)
}

/// Loads ops in order, several at a time, until the batch is heavy enough; those behind it are for the
/// next round. The first op is always in, however heavy. What an op will take counts before it is loaded.
async fn load_batch(
    sources: Sources<'_>,
    ops: Vec<QueuedOp>,
    areas: &[Area],
) -> Result<Vec<Prepared>> {
    let mut waiting = ops.into_iter().peekable();
    let mut loading = FuturesOrdered::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    // Of those that are being loaded.
    let (mut expected, mut ahead) = (VecDeque::new(), 0);
    loop {
        while let Some(next) = waiting.peek() {
            let weight = expected_bytes(next, areas);
            let is_first = batch.is_empty() && loading.is_empty();
            let fits = bytes + ahead + weight <= BATCH_BYTES_MAX && loading.len() < LOADS;
            let Some(op) = waiting.next_if(|_| is_first || fits) else { break };
            loading.push_back(load(sources, op, areas));
            expected.push_back(weight);
            ahead += weight;
        }
        let Some(op) = loading.try_next().await? else { return Ok(batch) };
        ahead -= expected.pop_front().unwrap_or_default();
        bytes += op.bytes();
        if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
            return Ok(batch);
        }
        batch.push(op);
    }
}

/// What an op takes in memory once it is loaded, as far as it says so; more than it will where that
/// cannot be told.
fn expected_bytes(queued: &QueuedOp, areas: &[Area]) -> usize {
    let Body::Op(op) = &queued.body else { return 0 };
    match &op.request {
        Request::Commit(CommitRequest { changes: Changes::Inline(encoded), .. }) => {
            UNPACKED * encoded.len()
        }
        Request::Commit(CommitRequest { changes: Changes::Run(run), base, .. }) => {
            let overhead = run.records.saturating_mul(RECORD_OVERHEAD as u64);
            let records = usize::try_from(run.bytes.saturating_add(overhead)).unwrap_or(usize::MAX);
            match (run.conditions || base.is_some(), is_small(run)) {
                (true, _) => records.saturating_mul(2),
                (false, true) => records,
                (false, false) => 0,
            }
        }
        Request::Commit(CommitRequest { changes: Changes::Sealed, .. }) => {
            match areas.iter().filter(|area| area.owner == Some(queued.id)).count() {
                0 => 0,
                1 => SMALL_MAX.bytes,
                _ => AREAS_BYTES,
            }
        }
        Request::Merge(merge) => UNPACKED * merge.merge.plan.records().len(),
        Request::DeleteBranch | Request::Fold(_) | Request::Reset(_) | Request::Forget(_) => 0,
    }
}

/// A merge, and where it stands in its batch.
type Placed = (usize, PreparedMerge);

/// Finds the bases of merges by the history of the head, and what moves them. Merges whose history is
/// damaged fail; where that takes looking at each by itself, and the others cannot be looked at
/// together, the batch ends behind the first of them.
async fn trace(lake: &Lake, head: &Head, ops: &mut Vec<Prepared>) -> Result<Contained> {
    let merges = ops.iter().enumerate().filter_map(|(index, op)| match &op.work {
        Work::Merge { request, .. } if request.merge.kind.follows_merge_base() => {
            Some((index, request.merge.clone()))
        }
        _ => None,
    });
    let merges: Vec<Placed> = merges.collect();
    let Ancestry { contained, bases } = match traced(lake, head, &merges).await {
        Err(error) if error.is_permanent() => {
            let sound = fail_untraceable(lake, head, &merges, ops).await?;
            match traced(lake, head, &sound).await {
                Err(error) if error.is_permanent() => {
                    let first = sound.get(..1).unwrap_or_default();
                    ops.truncate(first.iter().map(|(index, _)| index + 1).sum());
                    traced(lake, head, first).await?
                }
                traced => traced?,
            }
        }
        traced => traced?,
    };
    for (index, base) in bases {
        if let Some(Prepared { work: Work::Merge { view, .. }, .. }) = ops.get_mut(index) {
            view.base = base;
        }
    }
    Ok(contained)
}

async fn traced(lake: &Lake, head: &Head, merges: &[Placed]) -> Result<Ancestry> {
    ancestry(lake, head, merges.iter().map(|(index, merge)| (*index, merge)).collect()).await
}

/// Settles merges as failed that cannot be traced by themselves either. Returns the others.
async fn fail_untraceable(
    lake: &Lake,
    head: &Head,
    merges: &[Placed],
    ops: &mut [Prepared],
) -> Result<Vec<Placed>> {
    let mut sound = Vec::with_capacity(merges.len());
    for placed in merges {
        match traced(lake, head, std::slice::from_ref(placed)).await {
            Ok(_) => sound.push(placed.clone()),
            Err(error) if error.is_permanent() => {
                if let Some(op) = ops.get_mut(placed.0) {
                    op.work = Work::Settled(Verdict::Failed { reason: error.to_string() });
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sound)
}
