//! What all handles of one deployment share in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::commit::Coordinator;
use crate::commit::context::BranchContext;
use crate::model::ids::BranchUid;
use crate::model::name::{BranchName, RepoName};
use crate::objects::Checksum;

use super::glance::Glances;
use super::rules::RulesCache;

/// Names and branches that one process remembers, at most.
pub(super) const NAMES_KEPT: usize = 65_536;

/// One process's part in a deployment.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) coordinator: Coordinator,
    pub(super) committer: String,
    pub(super) timeout: Duration,
    pub(super) checksum: Checksum,
    /// Incarnations that names stood for when last asked. Wrong ones are found out by use.
    pub(super) names: Mutex<HashMap<(RepoName, BranchName), BranchUid>>,
    /// The readers of each branch.
    glances: Mutex<HashMap<BranchUid, Arc<Glances>>>,
    /// Rules of protected branches, as read a moment ago.
    pub(super) rules: RulesCache,
    /// Held while the key-value pairs of a repository are changed.
    pub(super) metadata: tokio::sync::Mutex<()>,
}

impl Deployment {
    pub(super) fn new(
        coordinator: Coordinator,
        committer: String,
        timeout: Duration,
        checksum: Checksum,
    ) -> Self {
        Self {
            coordinator,
            committer,
            timeout,
            checksum,
            names: Mutex::default(),
            glances: Mutex::default(),
            rules: RulesCache::default(),
            metadata: tokio::sync::Mutex::default(),
        }
    }

    /// The readers of a branch, who share their calls.
    pub(super) fn glances(&self, context: &BranchContext) -> Arc<Glances> {
        let mut glances = self.glances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = glances.get(&context.uid) {
            return Arc::clone(found);
        }
        if glances.len() >= NAMES_KEPT {
            glances.clear();
        }
        let new = Arc::new(Glances::new(context.clone()));
        glances.insert(context.uid, Arc::clone(&new));
        new
    }
}
