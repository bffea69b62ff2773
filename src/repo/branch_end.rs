//! The end of a branch: the last op of its log, in its turn. A branch whose log nobody can read any
//! more takes no ops, and ends by the mark alone that says so in the object store.

use crate::clock::{self, Deadline};
use crate::commit::accept::persist::persist;
use crate::commit::accept::submitting::Submitting;
use crate::commit::context::BranchContext;
use crate::commit::log::record::BranchRecord;
use crate::commit::mend::present::{Name, accepted_in};
use crate::commit::mend::restore::read_back;
use crate::commit::op::request::Request;
use crate::commit::op::verdict::BRANCH_DELETED;
use crate::coord::Answer;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::model::outcome::Outcome;

use super::handles::Branch;
use super::protection::Action;
use super::ticket::TicketHandle;

impl Branch {
    /// Deletes the branch: the last op of its log, in its turn behind what is queued. Fails with
    /// [`ErrorKind::Forbidden`] on a branch that is protected from it, and with
    /// [`ErrorKind::NotFound`] where another deletion was faster. Returns the last head.
    ///
    /// Where the log is damaged, so that nothing can be decided any more, the branch ends at once,
    /// with what is queued on it.
    pub async fn delete(&self) -> Result<Option<CommitId>> {
        self.check_protection(Action::Delete).await?;
        let deadline = Deadline::after(self.repo.onward.inner.timeout);
        let (op_id, request) = (clock::new_op_id(), Request::DeleteBranch);
        match self.submit_op(op_id, None, request, None, Some(deadline)).await {
            Ok(handle) => self.see_ended(handle, deadline).await,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.end_if_damaged(&self.context().await?, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// Ends an incarnation of the branch, whatever rules there are: with its repository a protected
    /// branch goes, too. Fails with [`ErrorKind::NotFound`] where it has ended.
    pub(super) async fn end_in(&self, context: &BranchContext) -> Result<Option<CommitId>> {
        let deadline = Deadline::after(self.repo.onward.inner.timeout);
        let submission = self.submission(clock::new_op_id(), None, Request::DeleteBranch, None)?;
        let (submitting, queue) = (&Submitting::new(submission), &self.queue_of(context));
        let ask = |_| submitting.attempt(queue);
        match persist(Some(deadline), || accepted_in(context, ask)).await {
            Ok(Answer::Given(admission)) => {
                let handle = self.admitted(context, admission, None).await?;
                self.see_ended(handle, deadline).await
            }
            Ok(Answer::Absent | Answer::Ended) => Err(self.nowhere()),
            Err(error) => self.end_if_damaged(context, error).await,
        }
    }

    /// Waits for the end of the branch, and finishes it.
    async fn see_ended(
        &self,
        mut handle: TicketHandle,
        deadline: Deadline,
    ) -> Result<Option<CommitId>> {
        let outcome = handle.wait(deadline.left()).await?;
        let context = handle.queue.context();
        match outcome {
            Outcome::Applied { .. } => self.bury(context).await,
            Outcome::StillQueued { ticket, cause, .. } => {
                if cause.is_some()
                    && let Err(error) = log_of(context).await
                {
                    return self.end_if_damaged(context, error).await;
                }
                Err(Error::unavailable(format!(
                    "deleting the branch is still queued (ticket {ticket}): it will be done in its turn{}",
                    cause.map(|cause| format!("; it waits for this: {cause}")).unwrap_or_default()
                )))
            }
            // It came behind the end. Where the repository goes as well, its log may be gone by now.
            Outcome::Failed { reason, .. } if reason == BRANCH_DELETED => Err(self.nowhere()),
            Outcome::Failed { .. } if log_of(context).await?.is_none_or(|ended| ended) => {
                Err(self.nowhere())
            }
            Outcome::Failed { reason, .. } => {
                Err(Error::conflict(format!("the branch was not deleted: {reason}")))
            }
            other => Err(Error::conflict(format!(
                "the branch was not deleted: its op ended as '{}'; delete it again",
                other.name()
            ))),
        }
    }

    /// Finishes the removal of a branch that has ended. Returns its last head.
    async fn bury(&self, ended: &BranchContext) -> Result<Option<CommitId>> {
        self.repo.onward.coordinator().faults().pass("branch-ended").await?;
        let head = match ended.look(0).await? {
            Answer::Given(view) => view.head.commit,
            Answer::Absent | Answer::Ended => {
                match BranchRecord::find_uid(&ended.lake, &ended.name, ended.uid).await? {
                    Some((record, _)) => read_back(&ended.lake, &record).await?.commit,
                    None => None,
                }
            }
        };
        self.repo.onward.inner.finish_deletion(ended).await?;
        Ok(head)
    }

    /// Ends a branch by the mark in the object store, where `error` says that its log is damaged.
    async fn end_if_damaged(
        &self,
        context: &BranchContext,
        error: Error,
    ) -> Result<Option<CommitId>> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        tracing::warn!(%error, branch = %context.name, "the branch ends without its turn");
        let head = context.look(0).await?.given().and_then(|view| view.head.commit);
        self.repo.onward.inner.finish_deletion(context).await?;
        context.redis.forget().await?;
        Ok(head)
    }
}

/// Whether the branch has ended by its log; `None` where it is not in the object store.
async fn log_of(context: &BranchContext) -> Result<Option<bool>> {
    match BranchRecord::find_uid(&context.lake, &context.name, context.uid).await? {
        Some((record, over)) => Ok(Some(over || read_back(&context.lake, &record).await?.closed)),
        None => Ok(None),
    }
}
