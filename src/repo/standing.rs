//! Queues that stand: ops that were accepted and that nobody is deciding, because whoever submitted
//! them is gone. Whoever looks at a branch and finds one sees it through.

use std::time::Duration;

use crate::clock::{self, Deadline};
use crate::commit::Coordinator;
use crate::commit::accept::admission::Pending;
use crate::commit::accept::queue::BranchQueue;
use crate::commit::accept::waiting::Told;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::present_in;
use crate::commit::op::queued::QueuedOp;
use crate::coord::view::View;
use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

/// How long somebody who only looks at a branch waits for what stands in its queue.
pub(super) const LOOK_WAITS: Duration = Duration::from_secs(5);

/// Whether ops wait and nobody has the turn to decide them.
pub(super) fn stands(view: &View) -> bool {
    view.depth > 0 && view.turn_left_ms == 0 && !BranchContext::is_deleted(view)
}

/// Helps the front of the queue on in this process, as `view` has it: who helps goes on with the ops
/// behind it. `None` where nothing waits, or somebody in this process waits for it already.
pub(super) fn help(
    coordinator: &Coordinator,
    context: &BranchContext,
    view: &View,
) -> Option<Pending> {
    let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
    let (op_id, age) = front(view)?;
    if queue.waits_for(op_id) {
        return None;
    }
    Some(attach_front(&queue, view, op_id, age))
}

/// Waits, in this process, for the op that `view` has in front.
fn attach_front(queue: &BranchQueue, view: &View, op_id: OpId, age: Duration) -> Pending {
    let done = view.head.done;
    queue.attach(op_id, Ticket(done + 1), done, age)
}

/// Sees every op through that is in the queue now, but for those of which `deadline` is not enough.
/// Ops that come later are not waited for. Returns how many there were.
pub(super) async fn see_through(
    coordinator: &Coordinator,
    context: &BranchContext,
    deadline: Deadline,
) -> Result<u64> {
    let look = |context: BranchContext| async move { context.look(1).await };
    let first = present_in(context, look).await?;
    let (end, depth) = (first.head.done + first.depth, first.depth);
    let mut view = first;
    loop {
        // An empty queue below its former end has lost its ops with Redis.
        let Some((op_id, age)) = front(&view) else { return Ok(depth) };
        if view.head.done >= end || BranchContext::is_deleted(&view) {
            return Ok(depth);
        }
        let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
        decided(context, attach_front(&queue, &view, op_id, age), deadline).await?;
        view = present_in(context, look).await?;
    }
}

/// The op in front, and how long ago it was submitted, by the clocks of both.
fn front(view: &View) -> Option<(OpId, Duration)> {
    let element = view.elements.first()?;
    let op_id = QueuedOp::id_of(element).unwrap_or_else(|| OpId::of_bytes(element));
    let created_ms = QueuedOp::decode(element).ok().and_then(|queued| queued.created_ms());
    Some((op_id, age_of(created_ms)))
}

/// How long ago something was submitted; none where that is not known, or was later by this clock.
pub(super) fn age_of(created_ms: Option<i64>) -> Duration {
    let age_ms = created_ms.map_or(0, |ms| clock::now_ms().saturating_sub(ms));
    Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
}

/// Waits until an op is decided.
pub(super) async fn decided(
    context: &BranchContext,
    mut pending: Pending,
    deadline: Deadline,
) -> Result<()> {
    let cause = match tokio::time::timeout(deadline.left(), pending.outcome()).await {
        // Of a branch that is gone nothing waits any more.
        Ok(Some(Told::Decided(_) | Told::Gone { .. })) => return Ok(()),
        Ok(Some(Told::Stuck(cause) | Told::GivenUp(cause))) => cause,
        Ok(None) => "this process is shutting down".to_owned(),
        Err(_) => "it took too long".to_owned(),
    };
    Err(Error::unavailable(format!(
        "ops that were accepted before wait in the queue of branch '{0}', the first is {1} ({cause}): `onward queue {2}/{0}` shows them, run it again when they are decided",
        context.name,
        pending.op_id,
        context.lake.repo(),
    )))
}
