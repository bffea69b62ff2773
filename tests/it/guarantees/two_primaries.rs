//! Two who decide at once: two helpers of one Redis, and two Redis servers that both believe they
//! are the primary of one object store.

use onward::internals::commit::faults::Faults;

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, free_turn, keys};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::until::{PATIENCE, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_helpers_that_decide_at_once_one_wins_and_both_are_right() {
    for point in ["decide", "decided", "publish"] {
        let (deployment, fast) = Deployment::lake().await;
        let faults = Faults::default();
        faults.set(&format!("{point}=pause:600")).unwrap();
        let slow = deployment.connect_with(faults).await;
        let keys = keys(&deployment.objects, "main").await;
        let mut handle = change(&slow, "main", 1).submit().await.unwrap();
        until_async("the slow one is in its round", || async { slow.counters().rounds == 1 }).await;
        free_turn(&deployment.redis, &keys);
        commit(&fast, "main", 2).await;
        let outcome = handle.wait(PATIENCE).await.unwrap();
        let audit = Audit::of(&deployment.objects, "main").await;
        audit.has_all([1, 2]);
        assert_eq!(outcome.commit(), audit.commit(1));
        commit_all(&[slow, fast], "main", 3..13).await;
        Audit::of(&deployment.objects, "main").await.has_all(1..13);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_primaries_make_one_history() {
    let (deployment, left) = Deployment::lake().await;
    let other = Deployment { redis: RedisServer::forgetful(), objects: deployment.objects.clone() };
    let right = other.connect().await;
    let tasks: Vec<_> = (1..121)
        .map(|n| {
            let onward = if n % 2 == 0 { left.clone() } else { right.clone() };
            tokio::spawn(async move { (n, commit(&onward, "main", n).await) })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.unwrap());
    }
    let audit = Audit::of(&deployment.objects, "main").await;
    for (n, outcome) in told {
        assert!(outcome.commit().is_some(), "op {n}: {outcome:?}");
        assert_eq!(outcome.commit(), audit.commit(n));
    }
    // A client that changes sides and tries again meets its own commit.
    for n in [1, 2, 60, 61, 119, 120] {
        let other_side = if n % 2 == 0 { &right } else { &left };
        assert_eq!(commit(other_side, "main", n).await.commit(), audit.commit(n), "op {n}");
    }
    let left_head = left.repo("lake").branch("main").show().await.unwrap();
    assert_eq!(right.repo("lake").branch("main").show().await.unwrap(), left_head);
    assert_eq!(Audit::of(&deployment.objects, "main").await.ops.len(), audit.ops.len());
}
