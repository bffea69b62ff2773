//! The way in: one connection to one deployment.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::commit::Coordinator;
use crate::commit::context::BranchContext;
use crate::commit::counters::CounterSnapshot;
use crate::commit::faults::Faults;
use crate::coord::Lanes;
use crate::model::error::Result;
use crate::objects::Objects;

use super::config::{Config, NAMES_KEPT};
use super::glance::Glances;
use super::handles::{Deployment, Onward};
use super::known_lives::KnownLives;
use super::pages::NamesRequest;
use super::repository::RepoInfo;
use super::rules::cache::RulesCache;
use super::trust::Trust;

impl Deployment {
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
    #[doc(hidden)]
    pub async fn with_objects(config: Config, objects: Objects) -> Result<Self> {
        let lanes = Lanes::open(&config.redis, config.lanes.clone()).await?;
        let faults = Faults::from_env()?;
        Ok(Self::assemble(config, lanes, objects, faults))
    }

    /// Puts a deployment together from its parts.
    #[doc(hidden)]
    pub fn assemble(config: Config, lanes: Lanes, objects: Objects, faults: Faults) -> Self {
        let coordinator = Coordinator::new(lanes, objects, config.coordinator, faults);
        let timeout = config.timeout.min(Config::TIMEOUT_MAX);
        let committer = config.committer;
        Self {
            inner: Arc::new(Deployment {
                coordinator,
                committer,
                timeout,
                checksum: config.checksum,
                names: Mutex::default(),
                lives: KnownLives::new(config.lives_believed),
                glances: Mutex::default(),
                protection: RulesCache::default(),
                ask: OnceLock::new(),
                write_policy: RulesCache::default(),
                sinks: RulesCache::default(),
                storage: Trust::new(config.accept_unsafe_storage),
                metadata: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// All repositories, by name.
    pub async fn repos(&self) -> Result<Vec<RepoInfo>> {
        let all = NamesRequest { amount: usize::MAX, ..NamesRequest::default() };
        Ok(self.repos_page(&all, "").await?.items)
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
