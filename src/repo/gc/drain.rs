//! Finishing queues: a batch that is not decided yet can name what is about to be removed, so a
//! collection is a helper first.

use crate::clock::{self, Deadline};
use crate::commit::Coordinator;
use crate::commit::accept::admission::{Admission, Pending};
use crate::commit::accept::waiting::Told;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::{bring_up, present_in};
use crate::commit::op::queued::QueuedOp;
use crate::commit::op::request::{FoldRequest, Op, Request};
use crate::coord::submit::{Seal, Submission};
use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

/// Brings Redis up to the log, and sees every op through that is in the queue now. Ops that come
/// later are not waited for.
pub(super) async fn finish(
    coordinator: &Coordinator,
    context: &BranchContext,
    deadline: Deadline,
) -> Result<()> {
    bring_up(context).await?;
    let front = |context: BranchContext| async move { context.look(1).await };
    let first = present_in(context, front).await?;
    let end = first.head.done + first.depth;
    loop {
        let view = present_in(context, front).await?;
        // An empty queue below its former end has lost its ops with Redis.
        let Some(front) = view.elements.first() else { return Ok(()) };
        if view.head.done >= end || BranchContext::is_deleted(&view) {
            return Ok(());
        }
        let op_id = QueuedOp::id_of(front).unwrap_or_else(|| OpId::of_bytes(front));
        let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
        let done = view.head.done;
        let pending = queue.attach(op_id, Ticket(done + 1), done);
        decided(context, pending, deadline).await?;
    }
}

/// Adds an op to the log that changes nothing. A helper that was stopped in the middle of a round,
/// however long ago, has its place in the log taken, whatever Redis knows of its ops.
pub(super) async fn fence(
    coordinator: &Coordinator,
    context: &BranchContext,
    deadline: Deadline,
) -> Result<()> {
    let with = context.lake.tree().run_writer().finish().await?;
    let op = Op {
        committer: "onward".into(),
        created_ms: clock::now_ms(),
        producer: None,
        // No levels: an exchange that comes to nothing.
        request: Request::Fold(FoldRequest { levels: Vec::new(), bottom: false, with }),
    };
    let op_id = clock::new_op_id();
    let element = op.encode(op_id)?;
    let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
    match queue.submit(Submission { op_id, element, producer: None, seal: Seal::No }).await? {
        Admission::Queued(pending) => decided(context, pending, deadline).await,
        // The branch has ended, and takes no rounds.
        Admission::BranchDeleted
        | Admission::Settled(_)
        | Admission::Forgotten(_)
        | Admission::NothingStaged(_) => Ok(()),
    }
}

async fn decided(context: &BranchContext, mut pending: Pending, deadline: Deadline) -> Result<()> {
    let cause = match tokio::time::timeout(deadline.left(), pending.outcome()).await {
        // Of a branch that is gone nothing waits any more.
        Ok(Some(Told::Decided(_) | Told::Gone { .. })) => return Ok(()),
        Ok(Some(Told::Stuck(cause) | Told::GivenUp(cause))) => cause,
        Ok(None) => "this process is shutting down".to_owned(),
        Err(_) => "it took too long".to_owned(),
    };
    Err(Error::unavailable(format!(
        "the queue of branch '{}' does not empty, at op {} ({cause}): nothing was removed; `onward queue {}/{}` shows what waits, run it again when that is decided",
        context.name,
        pending.op_id,
        context.lake.repo(),
        context.name
    )))
}
