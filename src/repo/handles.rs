//! The handles that users hold: a deployment, a repository, a branch. What can be done with each stands
//! in a file for each subject.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::commit::Coordinator;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::RepoRecord;
use crate::model::error::Result;
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};
use crate::objects::Checksum;

use super::ask::Ask;
use super::glance::Glances;
use super::known_lives::KnownLives;
use super::place::Place;
use super::protection::rules::Protection;
use super::rules::cache::RulesCache;
use super::sinks::definition::Sinks;
use super::trust::Trust;
use super::write_policy::rules::WritePolicy;

/// A deployment of Onward: one Redis, one object store, any number of repositories. Cheap to
/// clone; clones share connections, caches and helpers.
#[derive(Debug, Clone)]
pub struct Onward {
    pub(super) inner: Arc<Deployment>,
}

/// What the clones of an [`Onward`] share.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) coordinator: Coordinator,
    pub(super) committer: String,
    pub(super) timeout: Duration,
    pub(super) checksum: Checksum,
    /// Incarnations that names stood for when last asked. Wrong ones are found out by use.
    pub(super) names: Mutex<HashMap<(RepoName, BranchName), Place>>,
    /// Lives that repositories were in when last asked.
    pub(super) lives: KnownLives,
    /// The readers of each branch.
    pub(super) glances: Mutex<HashMap<BranchUid, Arc<Glances>>>,
    /// Rules of protected branches, as read a moment ago.
    pub(super) protection: RulesCache<Protection>,
    /// Who asks before commits and merges of protected branches are accepted.
    pub(super) ask: OnceLock<Arc<dyn Ask>>,
    /// How writes are made, as read a moment ago.
    pub(super) write_policy: RulesCache<WritePolicy>,
    /// Where events go; held while that is changed.
    pub(super) sinks: RulesCache<Sinks>,
    /// Whether the storage keeps branches from forking.
    pub(super) storage: Trust,
    /// Held while the key-value pairs of a repository are changed.
    pub(super) metadata: tokio::sync::Mutex<()>,
}

impl Onward {
    /// A repository, by name. Nothing is checked until it is used.
    pub fn repo(&self, name: impl Into<String>) -> Repository {
        Repository::new(self.clone(), name.into())
    }

    /// This process's part in the protocol.
    #[doc(hidden)]
    pub fn coordinator(&self) -> &Coordinator {
        &self.inner.coordinator
    }
}

/// A repository, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) onward: Onward,
    name: String,
}

impl Repository {
    pub(super) fn new(onward: Onward, name: String) -> Self {
        Self { onward, name }
    }

    #[doc(hidden)]
    pub fn name(&self) -> Result<RepoName> {
        RepoName::new(self.name.as_str())
    }

    /// The life that the repository is in now, and its record; see [`Deployment::live`].
    pub(super) async fn live(&self) -> Result<(RepoLife, RepoRecord)> {
        self.onward.inner.live(&self.name()?).await
    }

    /// The life of the repository, as it was when last asked.
    pub(super) async fn life(&self) -> Result<RepoLife> {
        self.onward.inner.life(&self.name()?).await
    }

    /// What the repository has in the object store, in the life it was in when last asked.
    #[doc(hidden)]
    pub async fn lake(&self) -> Result<Lake> {
        Ok(self.onward.coordinator().lake(&self.life().await?))
    }

    /// A branch, by name. Nothing is checked until it is used.
    pub fn branch(&self, name: impl Into<String>) -> Branch {
        Branch::new(self.clone(), name.into())
    }
}

/// A branch of a repository, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Branch {
    pub(super) repo: Repository,
    name: String,
}

impl Branch {
    pub(super) fn new(repo: Repository, name: String) -> Self {
        Self { repo, name }
    }

    pub(super) fn branch_name(&self) -> Result<BranchName> {
        BranchName::new(self.name.as_str())
    }

    /// The names of its repository and its own, as they were given.
    #[doc(hidden)]
    pub fn names(&self) -> (&str, &str) {
        (&self.repo.name, &self.name)
    }

    /// The repository that the branch is in.
    pub fn repository(&self) -> &Repository {
        &self.repo
    }
}
