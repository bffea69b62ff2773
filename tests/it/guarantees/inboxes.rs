//! Many processes of one writer each: what each asks and hears, and what they leave behind.

use std::collections::BTreeMap;
use std::time::Duration;

use onward::Onward;

use super::{change, commit};
use crate::support::branch::{Audit, Ghost, keys};
use crate::support::lake::Deployment;
use crate::support::until::PATIENCE;

/// Processes whose turn lasts so long that nobody looks because it has run out.
async fn patient(deployment: &Deployment) -> Onward {
    deployment.connect_as(|config| config.coordinator.turn_ms = 300_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_one_writer_asks_twice_a_commit_and_hears_of_its_own_ops_alone() {
    const PROCESSES: usize = 12;
    const EACH: usize = 40;
    let (deployment, _) = Deployment::lake().await;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(patient(&deployment).await);
    }
    // Until each knows the branch.
    for (n, process) in processes.iter().enumerate() {
        commit(process, "main", n).await;
    }
    let before: Vec<_> = processes.iter().map(figures).collect();
    let tasks: Vec<_> = (1..)
        .zip(processes.clone())
        .map(|(number, process)| {
            tokio::spawn(async move {
                for n in 0..EACH {
                    commit(&process, "main", number * 1000 + n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (mut woken, mut missed) = (0, 0);
    let mut waited_only = 0;
    for (process, before) in processes.iter().zip(before) {
        let now = figures(process);
        assert_eq!(now.overheard, before.overheard, "{now:?}");
        woken += now.woken - before.woken;
        // On a machine that is busy a wait may run out while its letter is on the way: then it looks.
        missed += now.missed - before.missed;
        if now.rounds == before.rounds && now.missed == before.missed {
            waited_only += 1;
            let asked = now.calls - before.calls;
            assert!(asked as f64 <= 2.1 * EACH as f64, "{asked} calls: {before:?} {now:?}");
        }
    }
    let commits = (PROCESSES * EACH) as f64;
    println!("{} wake-ups a commit; {waited_only} only waited", woken as f64 / commits);
    let allowed = 1.2 * commits + 2.0 * missed as f64;
    assert!(woken as f64 <= allowed, "{woken} wake-ups for {commits} commits");
    assert!(waited_only > 0, "the turn stays with some, and letters arrive");
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all((1..=PROCESSES).flat_map(|number| number * 1000..number * 1000 + EACH));
}

#[derive(Debug)]
struct Figures {
    calls: u64,
    by_call: BTreeMap<&'static str, u64>,
    rounds: u64,
    woken: u64,
    overheard: u64,
    missed: u64,
}

fn figures(onward: &Onward) -> Figures {
    let counters = onward.coordinator().counters().snapshot();
    let by_call = onward.coordinator().lanes().calls();
    Figures {
        calls: by_call.values().sum(),
        by_call,
        rounds: counters.rounds,
        woken: counters.woken,
        overheard: counters.overheard,
        missed: counters.missed,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processes_that_are_gone_are_told_expires_within_a_minute() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    for n in 2..6 {
        let process = deployment.connect().await;
        change(&process, "main", n).submit().await.unwrap();
        process.close().await;
    }
    drop(ghost);
    commit(&onward, "main", 6).await;
    let inboxes: Vec<String> = deployment.redis.command(&["KEYS", "*:inbox:*"]);
    // The ghost's as well: who finds the queue empty calls upon it.
    assert!(inboxes.len() >= 4, "{inboxes:?}");
    for inbox in inboxes {
        let life: i64 = deployment.redis.command(&["PTTL", &inbox]);
        assert!((1..=60_000).contains(&life), "{inbox} lives for {life} ms");
    }
    Audit::of(&deployment.objects, "main").await.has_all(1..=6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_an_op_of_another_hears_of_it() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let keys = keys(&deployment.objects, "main").await;
    let other = patient(&deployment).await;
    commit(&other, "main", 2).await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut own = change(&onward, "main", 3).submit().await.unwrap();
    // The same op, of another process: it is told to the first one's inbox.
    let again = change(&other, "main", 3).submit().await.unwrap();
    let op_id = again.op_id();
    let waits = tokio::spawn(async move {
        let mut again = again;
        again.wait(PATIENCE).await.unwrap()
    });
    let main = other.repo("lake").branch("main");
    let asks = tokio::spawn(async move { main.ticket_wait(op_id, PATIENCE).await.unwrap() });
    drop(ghost);
    let first = own.wait(PATIENCE).await.unwrap();
    assert!(first.commit().is_some(), "{first:?}");
    let (second, third) = (waits.await.unwrap(), asks.await.unwrap());
    assert_eq!((second.commit(), third.commit()), (first.commit(), first.commit()));
    // And the next ops of both, whatever they wait for then.
    for n in 4..10 {
        let process = if n % 2 == 0 { &onward } else { &other };
        assert!(commit(process, "main", n).await.commit().is_some());
    }
    tokio::time::timeout(Duration::from_secs(60), onward.close()).await.unwrap();
    Audit::of(&deployment.objects, "main").await.has_all(1..10);
}
