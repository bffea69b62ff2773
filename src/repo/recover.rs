//! Recovery: everything Redis knows, rebuilt from the object store alone.

use std::time::Duration;

use crate::clock::Deadline;
use crate::commit::context::BranchContext;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::commit::mend::present::{BroughtUp, bring_up};
use crate::commit::mend::restore::read_back;
use crate::model::error::Result;
use crate::model::name::BranchName;

use super::handles::Onward;
use super::handles::Repository;
use super::parted::{GivenUp, has_parted, rebuild, requeue};
use super::standing;

/// How long what waits in the queue of a branch is seen through.
const SEE_THROUGH: Duration = Duration::from_secs(30);

/// What recovery did for one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Name of the branch.
    pub branch: BranchName,
    /// Tickets decided, by the log.
    pub done: u64,
    /// What was found and done.
    pub state: RecoveredState,
    /// Ops that were accepted before and could not be decided now: they stay queued.
    pub queued: u64,
    /// Ops that Redis had as decided and that the log does not have, where the two had parted.
    pub given_up: Vec<GivenUp>,
}

/// What recovery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveredState {
    /// Redis knew it all.
    Intact,
    /// Redis was so many log entries behind.
    Behind(u64),
    /// Redis did not have the branch.
    Lost,
    /// Redis was of another history than the log, and was rebuilt.
    Parted,
    /// The branch has ended, but its name was left behind.
    Ended,
}

impl Onward {
    /// Recovers every repository. Safe at any time, also under load.
    pub async fn recover(&self) -> Result<Vec<(String, Vec<Recovered>)>> {
        let mut all = Vec::new();
        for repo in self.repos().await? {
            let recovered = self.repo(repo.name.as_str()).recover().await?;
            all.push((repo.name.to_string(), recovered));
        }
        Ok(all)
    }
}

impl Repository {
    /// Recovers every branch of this repository.
    pub async fn recover(&self) -> Result<Vec<Recovered>> {
        let lake = self.onward.coordinator().lake(&self.live().await?.0);
        let mut all = Vec::new();
        for record in BranchRecord::all_live(&lake).await? {
            all.push(self.recover_branch(&lake, &record).await?);
        }
        Ok(all)
    }

    async fn recover_branch(&self, lake: &Lake, record: &BranchRecord) -> Result<Recovered> {
        let branch = record.name.clone();
        let context = self.onward.coordinator().context(lake.life(), &branch, record.uid);
        let coordinator = self.onward.coordinator();
        // A lake of its own: what this process remembers may be of the other history.
        let fresh = coordinator.fresh_lake(lake.life());
        let limits = coordinator.options().queue.limits;
        let mut given_up = Vec::new();
        let has_parted = has_parted(&context, &fresh).await?;
        if has_parted {
            given_up = rebuild(&context, &fresh, record, limits).await?;
        } else {
            // What an earlier recovery that was broken off had put aside.
            requeue(&context, limits, &mut given_up).await?;
        }
        let state = match bring_up(&context).await? {
            _ if has_parted => RecoveredState::Parted,
            BroughtUp::Intact => RecoveredState::Intact,
            BroughtUp::Behind(entries) => RecoveredState::Behind(entries),
            BroughtUp::Lost => RecoveredState::Lost,
        };
        let image = read_back(&fresh, record).await?;
        if image.closed {
            self.onward.inner.finish_deletion(&context).await?;
            let state = RecoveredState::Ended;
            return Ok(Recovered { branch, done: image.done, state, queued: 0, given_up });
        }
        self.onward.coordinator().names(lake.life()).name(&branch, record.uid).await?;
        let (queued, decided) = self.see_through(&context).await?;
        Ok(Recovered { branch, done: image.done.max(decided), state, queued, given_up })
    }

    /// Sees through what waits in a branch's queue. Returns what is left, and the tickets decided.
    async fn see_through(&self, context: &BranchContext) -> Result<(u64, u64)> {
        let deadline = Deadline::after(SEE_THROUGH);
        let helped = standing::see_through(self.onward.coordinator(), context, deadline).await;
        let failed = helped.inspect_err(|error| tracing::warn!(%error, "a queue stands")).is_err();
        let view = context.look(0).await?.given();
        let queued = view.as_ref().filter(|_| failed).map_or(0, |view| view.depth);
        Ok((queued, view.map_or(0, |view| view.head.done)))
    }
}
