//! Forgetting a branch, with all that Redis has of it.

use crate::model::error::Result;

use super::branch::RedisBranch;
use super::keys::BranchKeys;
use super::view::Wish;

/// What was decided of a branch, and what is to be.
fn decided(keys: &BranchKeys) -> Vec<&str> {
    vec![&*keys.head, &keys.queue, &keys.outcomes, &keys.ops, &keys.producers]
}

impl RedisBranch {
    /// Forgets a branch that has ended without its turn: what is staged, sealed and queued with it.
    pub async fn forget(&self) -> Result<()> {
        let keys = self.keys();
        let areas = self.view(Wish::Look, 0).await?.given().map(|view| view.areas);
        let areas: Vec<_> = areas.into_iter().flatten().map(|area| keys.area(area.id)).collect();
        let mut all = decided(keys);
        all.extend([&*keys.staged, &keys.paths, &keys.sealed, &keys.pruned, &keys.aside]);
        all.extend(areas.iter().flat_map(|(values, paths)| [values.as_str(), paths.as_str()]));
        self.lanes().unlink(&all).await
    }

    /// Forgets what was decided: of a branch that is put back from the log, and keeps what is staged.
    pub async fn forget_decided(&self) -> Result<()> {
        self.lanes().unlink(&decided(self.keys())).await
    }
}
