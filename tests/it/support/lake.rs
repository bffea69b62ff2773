//! A deployment for one test: a private Redis, a store, and processes' parts over both.

use std::sync::Arc;

use onward::internals::commit::faults::Faults;
use onward::internals::coord::Lanes;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::{Config, Onward};

use super::redis::RedisServer;

/// A private Redis and an object store.
pub struct Deployment {
    pub redis: RedisServer,
    pub objects: Objects,
}

impl Deployment {
    /// Over objects in memory.
    pub fn new() -> Self {
        Self::with(RedisServer::new())
    }

    /// Over a given Redis.
    pub fn with(redis: RedisServer) -> Self {
        Self { redis, objects: Objects::open("memory://").unwrap() }
    }

    pub fn config(&self) -> Config {
        Config::new(self.redis.url(), self.objects.url()).committer("test")
    }

    /// One more process's part, as far as one test process can have several.
    pub async fn connect(&self) -> Onward {
        self.connect_as(|_| ()).await
    }

    /// The same, of a program that is set up otherwise.
    pub async fn connect_as(&self, change: impl FnOnce(&mut Config)) -> Onward {
        let mut config = self.config();
        change(&mut config);
        Onward::with_objects(config, self.objects.clone()).await.unwrap()
    }

    /// One with failpoints of its own.
    pub async fn connect_with(&self, faults: Faults) -> Onward {
        self.connect_over(&self.redis.url(), faults).await
    }

    /// The same, over a relay in front of Redis.
    pub async fn connect_over(&self, redis: &str, faults: Faults) -> Onward {
        let config = self.config();
        let lanes = Lanes::open(redis, config.lanes.clone()).await.unwrap();
        Onward::assemble(config, lanes, self.objects.clone(), faults)
    }

    /// A deployment with a repository `lake` and its branch `main`.
    pub async fn lake() -> (Self, Onward) {
        Self::new().with_lake().await
    }

    /// The same, in a store that others can open, as processes do that have read nothing yet.
    pub async fn lake_in_store() -> (Arc<InMemory>, Self, Onward) {
        let store = Arc::new(InMemory::new());
        let objects = Objects::from_store(store.clone(), "memory://");
        let (deployment, onward) = Self { redis: RedisServer::new(), objects }.with_lake().await;
        (store, deployment, onward)
    }

    async fn with_lake(self) -> (Self, Onward) {
        let onward = self.connect().await;
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        (self, onward)
    }
}

/// An entry that only `n` has.
pub fn entry(n: usize) -> onward::Entry {
    onward::Entry::new(format!("mem://data/{n}"), n as u64, format!("checksum-{n}"))
}
