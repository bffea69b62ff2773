//! Setting a branch's head to another commit.

use crate::clock::{self, Deadline};
use crate::commit::op::request::Request;
use crate::model::address::RefExpr;
use crate::model::error::{Error, Result};
use crate::model::outcome::Outcome;

use super::branch::BranchInfo;
use super::handles::Branch;
use super::protection::Action;

impl Branch {
    /// Makes the commit of `reference` the head, in its turn behind what is queued. Commits that
    /// no other ref leads to are lost with the next garbage collection. Refused while changes are
    /// staged.
    pub async fn reset_to(&self, reference: &RefExpr) -> Result<BranchInfo> {
        self.check_protection(Action::Reset).await?;
        let to = self.repo.require_commit(reference).await?;
        self.repo.lake().await?.require_content(&to).await?;
        if !self.status("", None, 1).await?.is_empty() {
            return Err(Error::conflict(format!(
                "changes are staged on branch '{}': commit them or take them back first",
                self.branch_name()?
            )));
        }
        let op_id = clock::new_op_id();
        let deadline = Deadline::after(self.repo.onward.inner.timeout);
        let request = Request::Reset(to);
        let mut handle = self.submit_op(op_id, None, request, None, Some(deadline)).await?;
        match handle.wait(deadline.left()).await? {
            Outcome::Applied { .. } => self.show().await,
            Outcome::Failed { reason, .. } => Err(Error::invalid(reason)),
            Outcome::StillQueued { ticket, .. } => Err(Error::unavailable(format!(
                "the reset is still queued (ticket {ticket}): it will be done in its turn"
            ))),
            other => Err(Error::conflict(format!(
                "the branch was not reset: the op {op_id} ended as '{}'; reset it again",
                other.name()
            ))),
        }
    }
}
