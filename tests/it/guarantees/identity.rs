//! One op, one outcome: op ids that come again, and producers that number their ops.

use onward::internals::repo::ChangeBuilder;
use onward::{Onward, Outcome};

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, Snapshot, op_id};
use crate::support::lake::{Deployment, entry};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_op_id_is_the_same_op_wherever_and_whenever_it_comes_again() {
    let (deployment, here) = Deployment::lake().await;
    let there = deployment.connect().await;
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let onward = if n % 2 == 0 { here.clone() } else { there.clone() };
            tokio::spawn(async move { commit(&onward, "main", 1).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        let outcome = task.await.unwrap();
        outcomes.push((outcome.commit().unwrap(), outcome.ticket()));
    }
    let later = commit(&there, "main", 1).await;
    outcomes.push((later.commit().unwrap(), later.ticket()));
    outcomes.dedup();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!(audit.commit(1), Some(outcomes[0].0));
    assert_eq!(audit.ops.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn op_ids_that_come_twice_under_load_make_one_commit_each() {
    let (deployment, here) = Deployment::lake().await;
    let there = deployment.connect().await;
    let both = [here, there];
    let flipped = [both[1].clone(), both[0].clone()];
    let ops = 1..101;
    tokio::join!(commit_all(&both, "main", ops.clone()), commit_all(&flipped, "main", ops.clone()));
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all(ops);
    assert_eq!(audit.ops.len(), 101);
}

/// What producer `p` writes as its `sequence` under `epoch`.
fn produced(onward: &Onward, epoch: u64, sequence: u64) -> ChangeBuilder {
    let path = format!("p/{epoch}/{sequence}");
    let builder = onward.repo("lake").branch("main").change();
    builder.put(path, entry(sequence as usize)).producer("p", epoch, sequence)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_sequence_of_a_producer_gets_its_first_outcome() {
    let (deployment, onward) = Deployment::lake().await;
    let first = produced(&onward, 1, 1).commit().await.unwrap();
    let again = produced(&onward, 1, 1).commit().await.unwrap();
    assert!(first.commit().is_some());
    assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
    // Without the window of op ids the producer's row still knows, and the log puts it back.
    let keys = crate::support::branch::keys(&deployment.objects, "main").await;
    let _: i64 = deployment.redis.command(&["DEL", &keys.ops]);
    let again = produced(&onward, 1, 1).commit().await.unwrap();
    assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
    produced(&onward, 1, 2).commit().await.unwrap();
    let late = produced(&onward, 1, 1).op_id(op_id(9)).commit().await.unwrap();
    let Outcome::Behind { earlier, .. } = &late else { panic!("{late:?}") };
    assert_eq!(*earlier, first.commit(), "of that sequence, not the one that the row names");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_of_an_older_epoch_is_fenced() {
    let (deployment, onward) = Deployment::lake().await;
    let there = deployment.connect().await;
    produced(&onward, 1, 1).commit().await.unwrap();
    produced(&there, 2, 1).commit().await.unwrap();
    let zombie = produced(&onward, 1, 2).commit().await.unwrap();
    assert!(matches!(zombie, Outcome::Fenced { .. }), "{zombie:?}");
    // The new one is not held up.
    assert!(produced(&there, 2, 2).commit().await.unwrap().commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_accepted_by_a_redis_that_lost_its_newest_writes_is_fenced_when_applied() {
    let (deployment, onward) = Deployment::lake().await;
    produced(&onward, 1, 1).commit().await.unwrap();
    let snapshot = Snapshot::take(&deployment.redis);
    let newer = produced(&onward, 2, 1).commit().await.unwrap().commit();
    change(&onward, "main", 1).commit().await.unwrap();
    onward.close().await;
    snapshot.put_back(&deployment.redis);
    let there = deployment.connect().await;
    let zombie = produced(&there, 1, 2).commit().await.unwrap();
    assert!(matches!(zombie, Outcome::Fenced { .. }), "{zombie:?}");
    assert!(there.counters().accepted == 1, "Redis had accepted it");
    assert_eq!(produced(&there, 2, 1).commit().await.unwrap().commit(), newer);
    Audit::of(&deployment.objects, "main").await.has_all([1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_changes_is_decided_like_any_other() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = crate::support::branch::keys(&deployment.objects, "main").await;
    let ghost = crate::support::branch::Ghost::haunt(&deployment.redis, &keys);
    let mut tickets = Vec::new();
    // Each is small enough to be merged into the batch's run; together they are not inline.
    for op in 0..20 {
        let mut change = onward.repo("lake").branch("main").change().message(format!("{op}"));
        for n in 0..4000 {
            change = change.put(format!("t/{n:04}/{op:02}"), crate::support::lake::entry(n));
        }
        tickets.push(change.submit().await.unwrap());
    }
    drop(ghost);
    for ticket in &mut tickets {
        let outcome = ticket.wait(crate::support::until::PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    let lake = onward.repo("lake");
    let reference = onward::internals::model::address::RefExpr::plain("main");
    for (path, size) in [("t/0000/00", 0), ("t/3999/19", 3999), ("t/1234/07", 1234)] {
        let entry = lake.stat(&reference, &path.parse().unwrap()).await.unwrap();
        assert_eq!(entry.size, size);
    }
    let before = "main~13".parse().unwrap();
    assert!(lake.stat(&before, &"t/1234/07".parse().unwrap()).await.is_err());
    assert!(lake.stat(&before, &"t/1234/06".parse().unwrap()).await.is_ok());
}
