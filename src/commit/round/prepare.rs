//! The second step of a round: bringing together what deciding a batch needs. Everything here is
//! reading, in parallel; nothing is decided.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};

use crate::coord::areas::Area;
use crate::model::error::{Error, Result};

use super::load::load;
use super::lookup::look_up;
use super::situation::{Prepared, Situation, Sources, Work};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::ancestry::{Ancestry, ancestry};
use crate::commit::merge::graph::Contained;
use crate::commit::op::queued::{Body, QueuedOp, VERSION};
use crate::commit::op::request::Request;
use crate::commit::op::verdict::{ProducerRow, Verdict};

/// Ops loaded at the same time, at most.
const LOADS: usize = 16;

/// Changes of a batch held in memory, in bytes, at most, unless one op alone has more. Ops that
/// bring more end the batch early, and count for the bound on rounds like as many batches.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

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
