//! Writers that commit while things are done to the servers, and the account they are held to
//! afterwards. Times are told, not asserted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onward::internals::objects::Objects;
use onward::{Config, Onward, Outcome};
use tokio::task::JoinHandle;

use super::branch::{Audit, op_id};
use super::lake::entry;
use super::until::{PATIENCE, breathe, until_async};

/// Writers of one load.
const WRITERS: usize = 8;

/// A store, and the URL of some Redis in front of it.
pub struct Lake {
    pub url: String,
    pub objects: Objects,
}

impl Lake {
    /// With a repository and branches of these names.
    pub async fn with_branches(url: String, names: &[String]) -> (Self, Onward) {
        let lake = Self { url, objects: Objects::open("memory://").unwrap() };
        let onward = lake.connect().await;
        let repo = onward.repo("lake");
        repo.create(&"main".parse().unwrap()).await.unwrap();
        for name in names.iter().filter(|name| *name != "main") {
            repo.branch(name.as_str()).create(&"main".parse().unwrap()).await.unwrap();
        }
        (lake, onward)
    }

    /// One more process's part.
    pub async fn connect(&self) -> Onward {
        let config = Config::new(self.url.as_str(), self.objects.url()).committer("test");
        Onward::with_objects(config, self.objects.clone()).await.unwrap()
    }
}

/// One op and what its writer was told.
pub struct Told {
    branch: String,
    op: usize,
    outcome: onward::Result<Outcome>,
    begun: Instant,
    ended: Instant,
}

/// Writers that commit one op after the other until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Vec<Told>>>,
    /// When something was done to the servers.
    faults: Vec<Instant>,
}

impl Load {
    /// Ops are numbered from `first`.
    pub fn start(onwards: &[Onward], branches: &[String], first: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let next = Arc::new(AtomicUsize::new(first));
        let tasks = (0..WRITERS.max(branches.len())).map(|writer| {
            let onward = onwards[writer % onwards.len()].clone();
            let branch = branches[writer % branches.len()].clone();
            let (stop, acknowledged, next) = (stop.clone(), acknowledged.clone(), next.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    let op = next.fetch_add(1, Ordering::AcqRel);
                    let begun = Instant::now();
                    let change = onward.repo("lake").branch(branch.as_str()).change();
                    let change = change.op_id(op_id(op)).put(format!("t/{op:06}"), entry(op));
                    // One call: what an outage takes is the library's business.
                    let outcome = change.message("load").timeout(PATIENCE).commit().await;
                    acknowledged.fetch_add(1, Ordering::AcqRel);
                    let (branch, ended) = (branch.clone(), Instant::now());
                    breathe().await;
                    told.push(Told { branch, op, outcome, begun, ended });
                }
                told
            })
        });
        Self {
            stop: stop.clone(),
            acknowledged: acknowledged.clone(),
            tasks: tasks.collect(),
            faults: Vec::new(),
        }
    }

    /// Waits until `more` ops were answered from now on.
    pub async fn goes_on(&self, more: usize) {
        let goal = self.acknowledged.load(Ordering::Acquire) + more;
        until_async("the writers go on", || async {
            self.acknowledged.load(Ordering::Acquire) >= goal
        })
        .await;
    }

    /// Does something to the servers, which blocks.
    pub fn fault<T>(&mut self, act: impl FnOnce() -> T) -> T {
        self.faults.push(Instant::now());
        tokio::task::block_in_place(act)
    }

    pub async fn finish(self) -> (Vec<Told>, Vec<Instant>) {
        self.stop.store(true, Ordering::Release);
        let mut told = Vec::new();
        for task in self.tasks {
            told.extend(task.await.unwrap());
        }
        (told, self.faults)
    }
}

/// Holds what writers were told against the log, and the log against Redis. Prints the figures.
pub async fn check(what: &str, lake: &Lake, fresh: &Onward, told: &[Told], faults: &[Instant]) {
    let mut branches: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for each in told {
        branches.entry(&each.branch).or_default().push(each);
    }
    let mut commits = 0;
    for (branch, told) in &branches {
        // The audit itself refuses a gap, a fork, and an op that is in the log twice.
        let audit = Audit::of(&lake.objects, branch).await;
        // Folds are ops, too, and `main` begins with a commit of its own.
        let commits_of_load = audit.ops.values().filter_map(|op| op.commit.as_ref());
        let in_log = commits_of_load.filter(|(_, commit)| commit.message == "load").count();
        commits += in_log;
        for Told { op, outcome, .. } in told {
            let outcome = outcome.as_ref().unwrap_or_else(|error| panic!("op {op}: {error}"));
            let Outcome::Committed { commit, .. } = outcome else {
                panic!("op {op} on {branch}: {outcome:?}");
            };
            assert_eq!(audit.commit(*op), Some(*commit), "op {op} on {branch} is another commit");
        }
        assert_eq!(in_log, told.len(), "the log of {branch} has what was asked for, no more");
        // The last of them may be a fold that came behind the audit.
        let branch_now = fresh.repo("lake").branch(*branch);
        until_async("the queue is empty", || async {
            branch_now.queue(1).await.is_ok_and(|queue| queue.depth == 0)
        })
        .await;
        let head = branch_now.show().await.unwrap();
        let newest = Audit::of(&lake.objects, branch).await.ops.len() as u64;
        assert_eq!(head.done, newest, "Redis is up to the log of {branch}");
    }
    // From a fault to the first answer to an op that was begun after it, on the slowest branch.
    let recoveries: Vec<u128> = faults
        .iter()
        .map(|fault| {
            let first = |told: &Vec<&Told>| {
                let after = told.iter().filter(|each| each.begun > *fault);
                after.map(|each| each.ended.duration_since(*fault)).min()
            };
            branches.values().filter_map(first).max().unwrap_or(Duration::ZERO).as_millis()
        })
        .collect();
    let longest = told.iter().map(|each| each.ended.duration_since(each.begun)).max();
    println!(
        "{what}: {} faults, {} ops, {} acknowledged, {commits} commits in the log, 0 lost, 0 twice; \
         ms to recover: {recoveries:?}; longest commit: {} ms",
        faults.len(),
        told.len(),
        told.iter().filter(|each| each.outcome.is_ok()).count(),
        longest.unwrap_or_default().as_millis(),
    );
}
