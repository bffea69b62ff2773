//! What the log of a path reads: each log entry once, and a little for each commit it tells.

use onward::Onward;
use onward::model::change::{Change, PathChange};
use onward::repo::{Branch, LogRequest};

use super::{log, of_object, of_prefix};
use crate::support::lake::{Deployment, entry};

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

async fn entries(deployment: &Deployment, onward: &Onward) -> u64 {
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let uids = deployment.objects.list_dirs("lake/log").await.unwrap();
    let uid = uids[0].parse().unwrap();
    lake.log_tickets(uid, onward::model::ids::Ticket(0)).await.unwrap().len() as u64
}

/// Commits told and objects read by a process that has read nothing yet.
async fn reads(deployment: &Deployment, head: &str, request: &LogRequest) -> (usize, u64) {
    let fresh = deployment.connect().await;
    let before = deployment.objects.counters().gets;
    let told = log(&fresh, head, request).await.len();
    (told, deployment.objects.counters().gets - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_path_reads_each_log_entry_once_and_little_else() {
    let (deployment, onward) = Deployment::lake().await;
    let (touching, main) = long_history(&onward, 240).await;
    let head = main.show().await.unwrap().commit.unwrap().to_string();
    let entries = entries(&deployment, &onward).await;
    assert!(entries > 200, "{entries}");
    let (all, cost) = reads(&deployment, &head, &LogRequest::default()).await;
    assert_eq!((all, cost), (241, entries));
    for request in [of_object("cold/x"), of_prefix("hot/y"), of_prefix("cold/")] {
        assert_eq!(reads(&deployment, &head, &request).await, (0, entries));
    }
    for request in [of_object("hot/x"), of_prefix("hot/")] {
        let (told, cost) = reads(&deployment, &head, &request).await;
        assert_eq!(told, touching);
        assert!(cost <= entries + 4 * touching as u64, "{cost} for {entries} and {touching}");
    }
    let newest = LogRequest { since_ms: Some(i64::MAX), ..LogRequest::default() };
    assert_eq!(reads(&deployment, &head, &newest).await, (0, 1));
}

/// A commit of many changes, which become a run of their own.
async fn bulk(main: &Branch, folder: &str, count: usize) -> onward::repo::TicketHandle {
    let mut change = main.change().message(folder);
    for n in 0..count {
        let path = format!("{folder}/{n:06}").parse().unwrap();
        change.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    change.submit().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_commits_are_passed_over_by_their_bounds() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let mut commits = Vec::new();
    // More at once than stay levels of their own: some are merged into one run.
    for group in 0..2 {
        let mut handles = Vec::new();
        for n in 0..9 {
            handles.push(bulk(&main, &format!("bulk-{group}-{n}"), 5000).await);
            handles.push(main.change().put("small", entry(n)).submit().await.unwrap());
        }
        for mut handle in handles {
            commits.push(handle.wait(crate::support::until::PATIENCE).await.unwrap().commit());
        }
    }
    let again = bulk(&main, "bulk-0-3", 5000).await.wait(crate::support::until::PATIENCE).await;
    commits.push(again.unwrap().commit());
    let head = commits.last().unwrap().unwrap().to_string();
    let entries = entries(&deployment, &onward).await;
    let (told, cost) = reads(&deployment, &head, &of_prefix("none/")).await;
    assert_eq!((told, cost), (0, entries));
    for (request, at) in [
        (of_prefix("bulk-0-3/"), 6),
        (of_object("bulk-1-8/004999"), 34),
        (of_prefix("bulk-0-3/0042"), 6),
    ] {
        // What is put again as it was is not touched.
        assert_eq!(log(&onward, &head, &request).await, [commits[at].unwrap()]);
        let (told, cost) = reads(&deployment, &head, &request).await;
        assert_eq!(told, 1);
        println!("{cost} reads, {entries} log entries");
    }
    let small = log(&onward, &head, &of_object("small")).await;
    let expected: Vec<_> = (0..18).rev().map(|n| commits[2 * n + 1].unwrap()).collect();
    assert_eq!(small, expected);
}
