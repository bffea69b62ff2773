//! Finishing queues: a batch that is not decided yet can name what is about to be removed, so a
//! collection is a helper first.

use crate::clock::{self, Deadline};
use crate::commit::Coordinator;
use crate::commit::accept::admission::Admission;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::bring_up;
use crate::commit::op::request::{FoldRequest, Request};
use crate::commit::op::upkeep::upkeep;
use crate::model::error::{Error, Result};
use crate::repo::standing::{decided, see_through};

/// Brings Redis up to the log, and sees every op through that is in the queue now. Ops that come
/// later are not waited for.
pub(super) async fn finish(
    coordinator: &Coordinator,
    context: &BranchContext,
    deadline: Deadline,
) -> Result<()> {
    bring_up(context).await?;
    see_through(coordinator, context, deadline).await.map(drop).map_err(does_not_empty)
}

/// Adds an op to the log that changes nothing. A helper that was stopped in the middle of a round,
/// however long ago, has its place in the log taken, whatever Redis knows of its ops.
pub(super) async fn fence(
    coordinator: &Coordinator,
    context: &BranchContext,
    deadline: Deadline,
) -> Result<()> {
    let with = context.lake.tree().run_writer().finish().await?;
    // No levels: an exchange that comes to nothing.
    let request = Request::Fold(FoldRequest { levels: Vec::new(), bottom: false, with });
    let (created_ms, prepared_ms) = (clock::now_ms(), Some(context.redis.now_ms().await?));
    let submission = upkeep(clock::new_op_id(), request, created_ms, prepared_ms)?;
    let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
    match queue.submit(submission).await? {
        Admission::Queued(pending) => {
            decided(context, pending, deadline).await.map_err(does_not_empty)
        }
        // The branch has ended, and takes no rounds.
        Admission::BranchDeleted
        | Admission::Settled(_)
        | Admission::Forgotten(_)
        | Admission::Unsure
        | Admission::Unreadable
        | Admission::NothingStaged(_) => Ok(()),
    }
}

fn does_not_empty(error: Error) -> Error {
    error.context("nothing was removed, as a queue does not empty")
}
