//! What the log of a path reads: each log entry once, and a little for each commit it tells.

use std::collections::HashSet;
use std::sync::Arc;

use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::{Branch, LogRequest, TicketHandle};
use onward::{Change, CommitId, Onward, PathChange};

use super::{log, of_object, of_prefix};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

/// Commits, each in a log entry of its own; some touch `hot/x`.
async fn long_history(onward: &Onward, commits: usize) -> (usize, Branch) {
    let main = onward.repo("lake").branch("main");
    let mut touching = 0;
    for n in 0..commits {
        let mut change = main.change().put(format!("t/{:03}", n % 200), entry(n));
        if n % 40 == 7 {
            change = change.put("hot/x", entry(n));
            touching += 1;
        }
        change.commit().await.unwrap().commit().unwrap();
    }
    (touching, main)
}

/// A deployment whose readers have counters of their own: what writers do in the background does
/// not show there.
struct Counted {
    deployment: Deployment,
    store: Arc<InMemory>,
    onward: Onward,
}

impl Counted {
    async fn new() -> Self {
        let (store, deployment, onward) = Deployment::lake_in_store().await;
        Self { deployment, store, onward }
    }

    /// Commits told and objects read by a process that has read nothing yet.
    async fn reads(&self, head: CommitId, request: &LogRequest) -> (usize, u64) {
        let objects = Objects::from_store(self.store.clone(), "memory://");
        let config = self.deployment.config();
        let fresh = Onward::with_objects(config, objects.clone()).await.unwrap();
        let told = log(&fresh, &head.to_string(), request).await.len();
        // Each process reads the record of the repository once.
        (told, objects.counters().gets - 1)
    }

    /// How many log entries the commits of a log stand in.
    async fn entries(&self, head: CommitId) -> u64 {
        let all = log(&self.onward, &head.to_string(), &LogRequest::default()).await;
        let entries: HashSet<_> = all.iter().map(|id| (id.uid(), id.first_ticket())).collect();
        entries.len() as u64
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_path_reads_each_log_entry_once_and_little_else() {
    let lake = Counted::new().await;
    let (touching, main) = long_history(&lake.onward, 240).await;
    let head = main.show().await.unwrap().commit.unwrap();
    let entries = lake.entries(head).await;
    assert!(entries > 200, "{entries}");
    let (all, cost) = lake.reads(head, &LogRequest::default()).await;
    assert_eq!((all, cost), (241, entries));
    for request in [of_object("cold/x"), of_prefix("hot/y"), of_prefix("cold/")] {
        assert_eq!(lake.reads(head, &request).await, (0, entries));
    }
    for request in [of_object("hot/x"), of_prefix("hot/")] {
        let (told, cost) = lake.reads(head, &request).await;
        assert_eq!(told, touching);
        assert!(cost <= entries + 4 * touching as u64, "{cost} for {entries} and {touching}");
    }
    let newest = LogRequest { since_ms: Some(i64::MAX), ..LogRequest::default() };
    assert_eq!(lake.reads(head, &newest).await, (0, 1));
}

/// A commit of many changes, which become a run of their own.
async fn bulk(main: &Branch, folder: &str, count: usize) -> TicketHandle {
    let mut change = main.change().message(folder);
    for n in 0..count {
        let path = format!("{folder}/{n:06}").parse().unwrap();
        change.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    change.submit().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_commits_are_passed_over_by_their_bounds() {
    let lake = Counted::new().await;
    let main = lake.onward.repo("lake").branch("main");
    let keys = keys(&lake.deployment.objects, "main").await;
    let mut commits = Vec::new();
    // Decided together: few large ones stay levels of their own, many are merged into one run.
    for (group, count) in [3, 9].into_iter().enumerate() {
        let ghost = Ghost::haunt(&lake.deployment.redis, &keys);
        let mut handles = Vec::new();
        for n in 0..count {
            handles.push(bulk(&main, &format!("bulk-{group}-{n}"), 5000).await);
            let small = main.change().put("small", entry(n)).put("bulk-1-0/000007", entry(n));
            handles.push(small.submit().await.unwrap());
        }
        drop(ghost);
        for mut handle in handles {
            commits.push(handle.wait(PATIENCE).await.unwrap().commit().unwrap());
        }
    }
    let again = bulk(&main, "bulk-0-2", 5000).await.wait(PATIENCE).await;
    commits.push(again.unwrap().commit().unwrap());
    let head = commits[24];
    let batches: HashSet<_> = commits.iter().map(|id| id.first_ticket()).collect();
    assert_eq!(batches.len(), 3, "{batches:?}");
    let entries = lake.entries(head).await;
    assert_eq!(lake.reads(head, &of_prefix("aaa/")).await, (0, entries));
    // Within the bounds of the merged run: the index and one block say that there is nothing.
    let (told, cost) = lake.reads(head, &of_prefix("none/")).await;
    assert_eq!(told, 0);
    assert!(cost <= entries + 2, "{cost} for {entries}");
    for (request, at) in [
        (of_prefix("bulk-0-1/"), vec![2]),
        (of_object("bulk-1-8/004999"), vec![22]),
        // What is put again as it was is not touched.
        (of_prefix("bulk-0-2/0042"), vec![4]),
        (of_prefix("bulk-1-0/00001"), vec![6]),
        (of_object("bulk-1-0/000007"), vec![23, 21, 19, 17, 15, 13, 11, 9, 7, 6, 5, 3, 1]),
    ] {
        let expected: Vec<CommitId> = at.iter().map(|at| commits[*at]).collect();
        assert_eq!(log(&lake.onward, &head.to_string(), &request).await, expected, "{request:?}");
        let (told, cost) = lake.reads(head, &request).await;
        assert_eq!(told, expected.len());
        println!("{told} commits told, {cost} reads, {entries} log entries");
        assert!(cost <= entries + 24, "{cost} for {entries}");
    }
    let small = log(&lake.onward, &head.to_string(), &of_object("small")).await;
    let expected: Vec<CommitId> = (0..12).rev().map(|n| commits[2 * n + 1]).collect();
    assert_eq!(small, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_id_is_looked_for_once_in_what_branches_share() {
    const COMMITS: usize = 60;
    const BRANCHES: u64 = 30;
    let counted = Counted::new().await;
    long_history(&counted.onward, COMMITS).await;
    let reads = async || {
        let objects = Objects::from_store(counted.store.clone(), "memory://");
        let mut config = counted.deployment.config();
        // None of what was read is at hand when it is asked for again.
        config.coordinator.lake.log_bytes = 1;
        let fresh = Onward::with_objects(config, objects.clone()).await.unwrap();
        fresh.repo("lake").commit_of(&"abcdef0".parse().unwrap()).await.unwrap_err();
        objects.counters().gets
    };
    let one = reads().await;
    for n in 0..BRANCHES {
        let branch = counted.onward.repo("lake").branch(format!("b{n}"));
        branch.create(&"main".parse().unwrap()).await.unwrap();
    }
    let many = reads().await;
    assert!(many - one <= 5 * BRANCHES, "{one} reads with one branch, {many} with {BRANCHES} more");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_how_far_branches_have_gone_apart_reads_no_more_than_it_is_let() {
    let counted = Counted::new().await;
    let lake = counted.onward.repo("lake");
    lake.branch("old").create(&"main".parse().unwrap()).await.unwrap();
    let (_, main) = long_history(&counted.onward, 100).await;
    lake.branch("new").create(&"main~1".parse().unwrap()).await.unwrap();
    let head = async |name: &str| lake.branch(name).show().await.unwrap().commit.unwrap();
    let heads = [head("old").await, head("new").await];
    let base = main.show().await.unwrap().commit.unwrap();
    for (visits_max, old, old_has_more) in [(20, 18, true), (usize::MAX, 100, false)] {
        let objects = Objects::from_store(counted.store.clone(), "memory://");
        let config = counted.deployment.config();
        let fresh = Onward::with_objects(config, objects.clone()).await.unwrap();
        let apart = fresh.repo("lake").apart(base, &heads, visits_max).await.unwrap();
        let told: Vec<_> = apart.iter().map(|it| (it.ahead, it.behind, it.has_more)).collect();
        assert_eq!(told, [(0, old, old_has_more), (0, 1, false)]);
        let reads = objects.counters().gets;
        assert!(reads <= (visits_max as u64).min(102) + 2, "{reads} reads of {visits_max}");
    }
}
