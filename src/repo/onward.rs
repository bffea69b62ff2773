//! The way in: one connection to one deployment.

use std::sync::Arc;

use crate::commit::Coordinator;
use crate::commit::counters::CounterSnapshot;
use crate::commit::faults::Faults;
use crate::coord::Lanes;
use crate::model::error::Result;
use crate::objects::Objects;

use super::config::Config;
use super::deployment::Deployment;
use super::handles::Onward;
use super::pages::NamesRequest;
use super::repository::RepoInfo;

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
        let deployment = Deployment::new(coordinator, config.committer, timeout, config.checksum);
        Self { deployment: Arc::new(deployment) }
    }

    /// All repositories, by name.
    pub async fn repos(&self) -> Result<Vec<RepoInfo>> {
        let all = NamesRequest { amount: usize::MAX, ..NamesRequest::default() };
        Ok(self.repos_page(&all, "").await?.items)
    }

    /// What this process has done, counted.
    pub fn counters(&self) -> CounterSnapshot {
        self.deployment.coordinator.counters().snapshot()
    }

    /// Ends this process's rounds in good order. What is queued stays queued, for others.
    pub async fn close(&self) {
        self.deployment.coordinator.close().await;
    }
}
