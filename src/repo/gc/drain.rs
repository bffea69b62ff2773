//! Finishing queues: a batch that is not decided yet can name what is about to be removed, so a
//! collection is a helper first.

use crate::clock::{self, Deadline};
use crate::commit::Coordinator;
use crate::commit::accept::admission::Admission;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::bring_up;
use crate::commit::op::request::{FoldRequest, Op, Request};
use crate::coord::submit::{Seal, Submission};
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
    let op = Op {
        committer: "onward".into(),
        created_ms: clock::now_ms(),
        prepared_ms: Some(context.redis.now_ms().await?),
        producers: Vec::new(),
        fingerprint: None,
        // No levels: an exchange that comes to nothing.
        request: Request::Fold(FoldRequest { levels: Vec::new(), bottom: false, with }),
    };
    let op_id = clock::new_op_id();
    let element = op.encode(op_id)?;
    let queue = coordinator.queue(context.lake.life(), &context.name, context.uid);
    let submission =
        Submission { op_id, element, producers: Vec::new(), seal: Seal::No, may_repeat: false };
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
