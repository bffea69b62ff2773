//! First come, first served; and a bounded number of rounds, whatever the others do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onward::internals::commit::faults::{Faults, POINTS};

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, Ghost, keys};
use crate::support::lake::Deployment;
use crate::support::until::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn history_is_the_order_of_acceptance_across_processes() {
    let (deployment, first) = Deployment::lake().await;
    let onwards = [first, deployment.connect().await, deployment.connect().await];
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    for n in 1..31 {
        let handle = change(&onwards[n % 3], "main", n).submit().await.unwrap();
        handles.push((n, handle));
    }
    let tickets: Vec<u64> = handles.iter().map(|(_, h)| h.ticket().unwrap().0).collect();
    assert!(tickets.is_sorted() && tickets.windows(2).all(|pair| pair[0] < pair[1]));
    drop(ghost);
    for (n, handle) in &mut handles {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        assert_eq!(outcome.ticket().unwrap().0, tickets[*n - 1]);
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all(1..31);
    let mut generations = Vec::new();
    for n in 1..31 {
        let decided = &audit.ops[&crate::support::branch::op_id(n)];
        assert_eq!(decided.ticket.0, tickets[n - 1]);
        generations.push(decided.commit.as_ref().unwrap().1.generation);
    }
    assert!(generations.is_sorted(), "commits follow each other in ticket order");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_op_takes_more_rounds_than_its_bound_while_others_fail_and_hang() {
    let (deployment, steady) = Deployment::lake().await;
    let faults = [Faults::default(), Faults::default()];
    let shaky = [
        deployment.connect_with(faults[0].clone()).await,
        deployment.connect_with(faults[1].clone()).await,
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let trouble = {
        let (stop, shaky) = (Arc::clone(&stop), shaky.clone());
        tokio::spawn(async move {
            let mut n = 1000;
            while !stop.load(Ordering::Acquire) {
                let points = POINTS.iter().skip(2).cycle().skip(n);
                for (faults, point) in faults.iter().zip(points) {
                    let action = if n % 2 == 0 { "error" } else { "pause:120" };
                    faults.set(&format!("{point}={action}")).unwrap();
                }
                let (left, right) =
                    tokio::join!(commit(&shaky[0], "main", n), commit(&shaky[1], "main", n + 1));
                assert!(left.commit().is_some() && right.commit().is_some());
                n += 2;
            }
            n
        })
    };
    // `commit_all` holds every op's rounds against its bound.
    for first in (1..401).step_by(40) {
        commit_all(std::slice::from_ref(&steady), "main", first..first + 40).await;
    }
    stop.store(true, Ordering::Release);
    let end = trouble.await.unwrap();
    Audit::of(&deployment.objects, "main").await.has_all((1..401).chain(1000..end));
}

/// Processes take over from each other all the time here, so that a process often begins rounds
/// while outcomes that others published are still on their way to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_by_others_is_told_before_rounds_for_others() {
    let (deployment, first) = Deployment::lake().await;
    let mut onwards = vec![first];
    for _ in 1..5 {
        onwards.push(deployment.connect().await);
    }
    let writers = (0..20).map(|writer| {
        let onward = onwards[writer % onwards.len()].clone();
        tokio::spawn(async move {
            let mut worst = (0, 0);
            for n in 0..60 {
                let outcome = commit(&onward, "main", 1 + writer * 60 + n).await;
                let bound = outcome.details().rounds_bound;
                worst = worst.max((outcome.rounds().saturating_sub(bound), outcome.rounds()));
            }
            worst
        })
    });
    for (over, rounds) in futures::future::join_all(writers).await.into_iter().map(Result::unwrap) {
        assert_eq!(over, 0, "an op took {rounds} rounds");
    }
    Audit::of(&deployment.objects, "main").await.has_all(1..1201);
}
