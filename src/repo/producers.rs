//! How far a producer is decided on a branch: where one that starts again goes on.

use crate::clock::Deadline;
use crate::commit::context::BranchContext;
use crate::commit::log::producers::read_rows;
use crate::commit::mend::present::{bring_up, present, present_in};
use crate::commit::op::queued::{Body, QueuedOp, VERSION};
use crate::commit::op::verdict::ProducerRow;
use crate::coord::queue::QUEUE_PAGE_MAX;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::OpId;
use crate::model::outcome::Outcome;
use crate::model::producer::{LastDecided, Producer};

use super::handles::Branch;

/// Pages of a queue, at most: more than the longest queue has.
const QUEUE_PAGES_MAX: usize = 1024;

impl Branch {
    /// The last op of the producer `name` that was decided on this branch: a producer that starts
    /// again goes on behind it, under a higher epoch if another run of it may still be alive. `None`
    /// where it has none.
    ///
    /// The answer is by the log, whatever Redis has lost. Ops of the producer that are in the queue
    /// when this is called are helped to their end first; where that takes longer than the
    /// connection's timeout, it fails with [`ErrorKind::Unavailable`], because nobody can say yet.
    /// Costs a look at the log, and at the queue, of which every element is read.
    pub async fn producer(&self, name: &str) -> Result<Option<LastDecided>> {
        Producer::check_name(name)?;
        let deadline = Deadline::after(self.repo.onward.inner.timeout);
        let look = |context: BranchContext| async move { context.look(0).await };
        let (context, _) = present(self, look).await?;
        bring_up(&context).await?;
        if let Some(op_id) = newest_queued(&context, name).await? {
            self.see_decided(op_id, name, deadline).await?;
        }
        let names = &[name.to_owned()];
        let ask = |context: BranchContext| async move { context.redis.rows(names).await };
        let found = present_in(&context, ask).await?;
        let rows = read_rows(&context.lake, context.uid, found.done, found.rows).await?;
        let last = rows.into_values().next();
        Ok(last.map(|ProducerRow { epoch, sequence, commit }| LastDecided {
            epoch,
            sequence,
            commit,
        }))
    }

    /// Waits until an op of the producer is decided, and helps with it.
    async fn see_decided(&self, op_id: OpId, name: &str, deadline: Deadline) -> Result<()> {
        let cause = match self.ticket_wait(op_id, deadline.left()).await {
            Ok(Outcome::StillQueued { cause, .. }) => cause,
            // Redis has lost it since: it is not in the queue any more.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            decided => return decided.map(drop),
        };
        let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        Err(Error::unavailable(format!(
            "ops of producer '{name}' are still queued, the last of them as op {op_id}{cause}: how far it is decided can be told when they are"
        )))
    }
}

/// The newest op of a producer in the queue, if there is one. Those before it are decided before.
async fn newest_queued(context: &BranchContext, name: &str) -> Result<Option<OpId>> {
    for page in 0..QUEUE_PAGES_MAX {
        let elements = context.redis.queue_from_end(page * QUEUE_PAGE_MAX).await?;
        if elements.is_empty() {
            break;
        }
        for element in elements.iter().rev() {
            let Ok(QueuedOp { id, body, .. }) = QueuedOp::decode(element) else { continue };
            match body {
                Body::Op(op) if op.producer.as_ref().is_some_and(|asked| asked.name == name) => {
                    return Ok(Some(id));
                }
                // It may be one of this producer.
                Body::Newer(version) => {
                    let what = format_args!("op {id}, which waits on the branch,");
                    return Err(Error::newer(what, version.into(), VERSION.into()));
                }
                Body::Op(_) | Body::Damaged(_) => {}
            }
        }
    }
    Ok(None)
}
