//! Getting the next batch ready while the log entry of this one is on its way to a storage that takes its
//! time: when this one is decided, the next can be at once.
//!
//! It is prepared as if this batch were decided. Should somebody else's be, it is thrown away, like
//! whatever was prepared for a place of the log that others have taken. Nothing of it is decided
//! before: the place behind this batch is given to nobody while this batch is not in its own
//! ([why that is sound](../../../docs/decisions/0047-the-next-batch-is-prepared-while-this-one-is-decided.md)).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::coord::view::View;
use crate::model::error::Result;
use crate::model::ids::OpId;

use super::ready::{Ready, kinds};
use crate::commit::context::{BATCH_MAX, BranchContext};
use crate::commit::counters::add;
use crate::commit::log::head::Head;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::request::{Changes, CommitRequest, Request};

impl BranchContext {
    /// The batch behind `ready`, which is not decided yet, by a look at the queue as it is now. `None`
    /// where there is none, or none that can be prepared before `ready` is decided.
    /// It has `looked` when that is known.
    pub(super) async fn ahead_of(
        &self,
        ready: &Ready,
        looked: &AtomicBool,
    ) -> Result<Option<Box<Ready>>> {
        self.faults.pass("ahead").await?;
        let before = &ready.encoded.entry;
        let skip = before.ops.len();
        let Some(view) = self.redis.view_behind(skip, BATCH_MAX).await?.given() else {
            return Ok(None);
        };
        let Some(ops) = behind(ready, &view)? else { return Ok(None) };
        looked.store(true, Ordering::Relaxed);
        let head = Head::after(before)?;
        let found = view.depth.saturating_sub(skip as u64).min(BATCH_MAX as u64);
        let lake = self.lake.supposing(before);
        let kinds = kinds(&ops);
        let built = self.entry(&lake, &head, ops, &view, None).await?;
        let behind = self.ready(head, built, kinds, found)?;
        add(&self.counters.ahead, 1);
        Ok(Some(Box::new(behind)))
    }
}

/// The ops of a view behind `ready`, where all of them can be decided knowing no more than what the head
/// will be.
///
/// In a Redis that stands where `ready` begins, nothing that is queued is decided. So behind `ready`
/// nothing is but what `ready` has itself, which a Redis that has lost data meanwhile can show anywhere.
fn behind(ready: &Ready, view: &View) -> Result<Option<Vec<QueuedOp>>> {
    if view.elements.is_empty() || !ready.head.is_shown_by(&view.head) {
        return Ok(None);
    }
    let before: HashSet<OpId> = ready.encoded.entry.ops.iter().map(|op| op.op_id).collect();
    let ops: Vec<QueuedOp> =
        view.elements.iter().map(|element| QueuedOp::decode(element)).collect::<Result<_>>()?;
    let fits = |op: &QueuedOp| !before.contains(&op.id) && is_plain(op);
    Ok(ops.iter().all(fits).then_some(ops))
}

/// Whether deciding an op takes nothing but what is in it and what paths have. Rows of producers, staged
/// changes and other commits may be about to change, or not be there yet, and what is missing would
/// become the op's outcome.
fn is_plain(queued: &QueuedOp) -> bool {
    let Body::Op(op) = &queued.body else { return false };
    let Request::Commit(request) = &op.request else { return false };
    let is_alone = matches!(request, CommitRequest { changes: Changes::Inline(_), base: None, .. });
    is_alone && op.producers.is_empty()
}
