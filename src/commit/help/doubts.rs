//! Whether what the helper was told still holds: connections that were lost, a Redis that went back to
//! an earlier state, ops that are nowhere.

use std::sync::Arc;

use crate::coord::Answer;
use crate::coord::view::View;
use crate::model::error::{Error, Result};
use crate::model::ids::Ticket;

use super::reconcile::reconcile;
use crate::commit::accept::shared::Shared;
use crate::commit::context::{BranchContext, BranchParts};
use crate::commit::mend::present::{bring_up_if_there, is_over};

/// The doubts of one branch's helper.
pub(super) struct Doubts {
    shared: Arc<Shared>,
    /// Lost connections, as of the last reconciliation.
    losses: u64,
    /// Lost connections, lost races and adopted batches of this process, as of the last round.
    noted: u64,
    /// Whether the last look missed an op, and Redis was brought up to the log because of it.
    missed: bool,
}

impl Doubts {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let losses = shared.context.redis.losses();
        Self { shared, losses, noted: 0, missed: false }
    }

    /// Lost connections so far, where some were lost since the last reconciliation.
    pub(super) fn new_losses(&self) -> Option<u64> {
        Some(self.shared.context.redis.losses()).filter(|losses| *losses != self.losses)
    }

    /// Those lost connections are made up for.
    pub(super) fn made_up_for(&mut self, losses: u64) {
        self.losses = losses;
    }

    /// Redis may have lost data: brings it up to the log, then asks after every op. Where the branch
    /// is gone, everybody who waits is told so.
    pub(super) async fn after_loss(&mut self) -> Result<()> {
        self.shared.state().waiters.doubt();
        if bring_up_if_there(&self.shared.context).await?.is_none() {
            self.gone().await;
            return Ok(());
        }
        let all = self.shared.state().waiters.all();
        reconcile(&self.shared, all).await
    }

    /// Rounds fail, and not for want of Redis or the storage: the branch may be gone, which nobody
    /// mends. Returns whether it is.
    pub(super) async fn is_gone(&self) -> bool {
        match is_over(&self.shared.context).await {
            Ok(true) => {
                self.gone().await;
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::debug!(%error, "whether the branch is still there cannot be said");
                false
            }
        }
    }

    async fn gone(&self) {
        let shown = self.shared.context.look(0).await.ok().and_then(Answer::given);
        let went_back = shown.is_some_and(|view| !BranchContext::is_deleted(&view));
        let BranchParts { lake, name, .. } = &*self.shared.context;
        let how = format!(
            "branch '{name}' of repository '{}' was deleted, and what became of the op is not known here",
            lake.repo()
        );
        let mut state = self.shared.state();
        tracing::info!(branch = %name, repo = %lake.repo(), "the branch is gone");
        state.waiters.gone(&how, went_back);
        state.latest = None;
        state.last_error = None;
    }

    /// Asks after ops that the view says should have an outcome by now.
    pub(super) async fn settle(&mut self, view: &View) -> Result<()> {
        let ask = {
            let mut state = self.shared.state();
            if view.head.done < state.waiters.seen() {
                state.waiters.doubt();
                state.waiters.fell_back(view.head.done);
                state.waiters.all()
            } else if BranchContext::is_deleted(view) {
                state.waiters.all()
            } else {
                state.waiters.overdue(view.head.done)
            }
        };
        reconcile(&self.shared, ask).await?;
        self.shared.state().waiters.saw(view.head.done);
        Ok(())
    }

    /// Notes what the bound on rounds does not know of.
    pub(super) fn note(&mut self) {
        let context = &self.shared.context;
        let counters = context.counters.snapshot();
        let doubts = context.redis.losses() + counters.lost_races + counters.adopted;
        if std::mem::replace(&mut self.noted, doubts) != doubts {
            self.shared.state().waiters.doubt();
        }
    }

    /// Whether an op that was waited for at the time of `view` (tickets up to `latest`) is neither
    /// decided nor queued by it, and it is not known why: Redis went back to an earlier state while the
    /// connection stayed, or a batch of the log is being adopted, which gives those behind it their later
    /// tickets before it moves `done`. Where Redis was brought up to the log because of it already, rounds go
    /// on for as long as there is something to decide, and end an adoption that its process has not.
    pub(super) fn misses_ops(&mut self, view: &View, latest: Option<Ticket>) -> Result<bool> {
        let end = view.head.done + view.depth;
        let misses = self.shared.state().waiters.any_lost(end, latest);
        let again = std::mem::replace(&mut self.missed, misses) && misses;
        if again && view.depth == 0 {
            return Err(Error::unavailable(
                "Redis counts an op as queued that is not in its queue",
            ));
        }
        Ok(misses && !again)
    }
}
