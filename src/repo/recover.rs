//! Recovery: everything Redis knows, rebuilt from the object store alone.

use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::commit::mend::present::{BroughtUp, bring_up};
use crate::commit::mend::restore::read_back;
use crate::model::error::Result;
use crate::model::name::BranchName;

use super::handles::Onward;
use super::handles::Repository;

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
        let state = match bring_up(&context).await? {
            BroughtUp::Intact => RecoveredState::Intact,
            BroughtUp::Behind(entries) => RecoveredState::Behind(entries),
            BroughtUp::Lost => RecoveredState::Lost,
        };
        let image = read_back(&context.lake, record).await?;
        if image.closed {
            self.onward.inner.finish_deletion(&context).await?;
            return Ok(Recovered { branch, done: image.done, state: RecoveredState::Ended });
        }
        self.onward.coordinator().names(lake.life()).name(&branch, record.uid).await?;
        Ok(Recovered { branch, done: image.done, state })
    }
}
