//! One process's part in Onward: its connections, its repositories, and one queue for each branch
//! it works on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::coord::keys::branches_key;
use crate::coord::{BranchKeys, Lanes, RedisBranch, RedisNames, Retention, Turn};
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::model::name::BranchName;
use crate::objects::Objects;

use super::contact::Contact;
use super::counters::Counters;
use super::faults::Faults;
use crate::commit::accept::queue::BranchQueue;
use crate::commit::accept::shared::QueueOptions;
use crate::commit::context::{BranchContext, BranchParts};
use crate::commit::log::lake::{Lake, LakeOptions};
use crate::commit::tasks::start;

/// Branches with tasks of their own in one process, at most, beyond those in use.
const QUEUES_KEPT: usize = 4096;

/// Branches whose keys and names one process remembers, at most.
const CONTEXTS_KEPT: usize = 65_536;

/// Repositories whose caches one process keeps, at most.
const LAKES_KEPT: usize = 256;

/// How this process works.
#[derive(Debug, Clone)]
pub struct CoordinatorOptions {
    /// On its branches.
    pub queue: QueueOptions,
    /// Sizes of caches.
    pub lake: LakeOptions,
    /// How much of the past Redis keeps.
    pub retention: Retention,
    /// How long a turn lasts unless extended, in milliseconds.
    pub turn_ms: u64,
}

impl Default for CoordinatorOptions {
    fn default() -> Self {
        Self {
            queue: QueueOptions::default(),
            lake: LakeOptions::default(),
            retention: Retention::default(),
            turn_ms: 250,
        }
    }
}

/// One process's part. Shared by everything in it.
#[derive(Debug)]
pub struct Coordinator {
    lanes: Lanes,
    objects: Objects,
    options: CoordinatorOptions,
    helper: String,
    counters: Arc<Counters>,
    faults: Faults,
    lakes: Mutex<HashMap<RepoLife, Lake>>,
    contexts: Mutex<HashMap<BranchUid, BranchContext>>,
    queues: Mutex<HashMap<BranchUid, Arc<BranchQueue>>>,
}

impl Coordinator {
    /// A part that works over the given Redis and object store.
    pub fn new(
        lanes: Lanes,
        objects: Objects,
        options: CoordinatorOptions,
        faults: Faults,
    ) -> Self {
        Self {
            lanes,
            objects,
            options,
            helper: format!("{:016x}", clock::random_u64()),
            counters: Arc::default(),
            faults,
            lakes: Mutex::default(),
            contexts: Mutex::default(),
            queues: Mutex::default(),
        }
    }

    /// The connections to Redis.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The object store.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What this process has done.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Points at which a test can make this process fail.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The options it was made with.
    pub fn options(&self) -> &CoordinatorOptions {
        &self.options
    }

    /// A repository's immutable part.
    pub fn lake(&self, repo: &RepoLife) -> Lake {
        let mut lakes = self.lakes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lake) = lakes.get(repo) {
            return lake.clone();
        }
        if lakes.len() >= LAKES_KEPT {
            lakes.clear();
            // They would keep the caches of the repositories they are in.
            self.contexts().clear();
        }
        let lake = self.fresh_lake(repo);
        lakes.insert(repo.clone(), lake.clone());
        lake
    }

    /// A repository's immutable part with caches of its own, which remember nothing yet.
    pub fn fresh_lake(&self, repo: &RepoLife) -> Lake {
        Lake::new(repo.clone(), self.objects.clone(), self.options.lake.clone())
    }

    /// What Redis has of the names of a repository's branches.
    pub fn names(&self, repo: &RepoLife) -> RedisNames {
        RedisNames::new(self.lanes.clone(), branches_key(repo, self.objects.url()))
    }

    /// All that working on a branch takes.
    pub fn context(&self, repo: &RepoLife, name: &BranchName, uid: BranchUid) -> BranchContext {
        if let Some(context) = self.contexts().get(&uid) {
            return context.clone();
        }
        let turn = Turn { helper: self.helper.clone(), length_ms: self.options.turn_ms };
        let (lanes, keys) = (self.lanes.clone(), BranchKeys::new(repo.name(), uid));
        let context = BranchContext::from(BranchParts {
            redis: RedisBranch::new(lanes, keys, turn, self.options.retention),
            contact: Contact::default(),
            looks: Default::default(),
            lake: self.lake(repo),
            name: name.clone(),
            uid,
            counters: Arc::clone(&self.counters),
            faults: self.faults.clone(),
        });
        let mut contexts = self.contexts();
        if contexts.len() >= CONTEXTS_KEPT {
            contexts.clear();
        }
        contexts.insert(uid, context.clone());
        context
    }

    fn contexts(&self) -> MutexGuard<'_, HashMap<BranchUid, BranchContext>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue of a branch in this process.
    pub fn queue(&self, repo: &RepoLife, name: &BranchName, uid: BranchUid) -> Arc<BranchQueue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&uid) {
            return Arc::clone(queue);
        }
        if queues.len() >= QUEUES_KEPT {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1 || !queue.is_idle());
        }
        let context = self.context(repo, name, uid);
        let queue = Arc::new(start(context, self.options.queue));
        queues.insert(uid, Arc::clone(&queue));
        queue
    }

    /// The branches that this process works on, `limit` at most: first those for which somebody waits.
    pub fn at_work(&self, limit: usize) -> Vec<BranchContext> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let (idle, waiting): (Vec<_>, Vec<_>) = queues.values().partition(|queue| queue.is_idle());
        let first = waiting.into_iter().chain(idle).take(limit);
        first.map(|queue| queue.context().clone()).collect()
    }

    /// Ends the work on all branches after their present rounds. What is queued stays queued.
    pub async fn close(&self) {
        let queues: Vec<Arc<BranchQueue>> = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.drain().map(|(_, queue)| queue).collect()
        };
        futures::future::join_all(queues.iter().map(|queue| queue.close())).await;
    }
}
