//! The way in: one connection to one deployment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::commit::Coordinator;
use crate::commit::context::BranchContext;
use crate::commit::counters::CounterSnapshot;
use crate::commit::faults::Faults;
use crate::coord::Lanes;
use crate::model::error::Result;
use crate::model::ids::BranchUid;
use crate::model::name::{BranchName, RepoName};
use crate::objects::{Checksum, Objects};

use super::config::Config;
use super::glance::Glances;
use super::pages::NamesRequest;
use super::protection::RulesCache;
use super::repository::{RepoInfo, Repository};

/// Names and branches that one process remembers, at most.
pub(super) const NAMES_KEPT: usize = 65_536;

/// A deployment of Onward: one Redis, one object store, any number of repositories. Cheap to
/// clone; clones share connections, caches and helpers.
#[derive(Debug, Clone)]
pub struct Onward {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
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

impl Inner {
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

impl Onward {
    /// Connects, and checks that Redis can serve.
    pub async fn connect(config: Config) -> Result<Self> {
        let objects = Objects::open(&config.storage)?;
        Self::with_objects(config, objects).await
    }

    /// Connects over an object store made by the caller.
    pub async fn with_objects(config: Config, objects: Objects) -> Result<Self> {
        let lanes = Lanes::open(&config.redis, config.lanes.clone()).await?;
        let faults = Faults::from_env()?;
        Ok(Self::assemble(config, lanes, objects, faults))
    }

    /// Puts a deployment together from its parts.
    pub fn assemble(config: Config, lanes: Lanes, objects: Objects, faults: Faults) -> Self {
        let coordinator = Coordinator::new(lanes, objects, config.coordinator, faults);
        let timeout = config.timeout.min(Config::TIMEOUT_MAX);
        let committer = config.committer;
        Self {
            inner: Arc::new(Inner {
                coordinator,
                committer,
                timeout,
                checksum: config.checksum,
                names: Mutex::default(),
                glances: Mutex::default(),
                rules: RulesCache::default(),
                metadata: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// A repository, by name. Nothing is checked until it is used.
    pub fn repo(&self, name: impl Into<String>) -> Repository {
        Repository::new(self.clone(), name.into())
    }

    /// All repositories, by name.
    pub async fn repos(&self) -> Result<Vec<RepoInfo>> {
        let all = NamesRequest { amount: usize::MAX, ..NamesRequest::default() };
        Ok(self.repos_page(&all, "").await?.items)
    }

    /// This process's part in the protocol.
    pub fn coordinator(&self) -> &Coordinator {
        &self.inner.coordinator
    }

    /// What this process has done, counted.
    pub fn counters(&self) -> CounterSnapshot {
        self.inner.coordinator.counters().snapshot()
    }

    /// Ends this process's rounds in good order. What is queued stays queued, for others.
    pub async fn close(&self) {
        self.inner.coordinator.close().await;
    }
}
