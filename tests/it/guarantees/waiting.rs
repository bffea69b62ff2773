//! Deadlines, full queues, and stores that fail: nothing accepted is lost, nobody is told a lie.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::commit::faults::Faults;
use onward::internals::coord::Lanes;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::{ErrorKind, Onward, Outcome};

use super::{change, commit, try_commit};
use crate::support::branch::{Audit, Ghost, keys};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::until::PATIENCE;

async fn on_faulty_store() -> (Deployment, FaultyStore, Onward) {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    (deployment, store, onward)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_in_still_queued_and_a_healed_store_finishes_the_op() {
    let (deployment, store, onward) = on_faulty_store().await;
    store.fail_writes(Fault::Outage);
    let mut handle = change(&onward, "main", 1).submit().await.unwrap();
    let ticket = handle.ticket().unwrap();
    for _ in 0..2 {
        let outcome = handle.wait(Duration::from_millis(50)).await.unwrap();
        let Outcome::StillQueued { ticket: told, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(told, ticket);
    }
    store.heal();
    let outcome = handle.wait(PATIENCE).await.unwrap();
    assert_eq!((outcome.commit().is_some(), outcome.ticket()), (true, Some(ticket)));
    Audit::of(&deployment.objects, "main").await.has_all([1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_hangs_is_sent_again_and_holds_nobody_up() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://").hedged();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    for n in 0..20 {
        commit(&onward, "main", n).await;
    }
    let creates = || {
        store.log().iter().filter(|(op, key)| *op == Op::Create && key.contains("/log/")).count()
    };
    let before = creates();
    store.fail_next_at(Op::Create, "/log/", 1, Fault::Hang);
    let outcome = commit(&onward, "main", 20).await;
    assert!(outcome.commit().is_some(), "{outcome:?}");
    assert!(creates() >= before + 2);
    assert_eq!(onward.counters().failed_rounds, 0, "it would wait for the deadline");
    Audit::of(&deployment.objects, "main").await.has_all(0..=20);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_deleted_is_not_sent_twice() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://").hedged();
    for n in 0..20 {
        objects.create_hedged(&format!("log/{n}"), "entry".into()).await.unwrap();
    }
    for (key, sent) in [("log/20", 2), ("tags/v1", 1)] {
        store.fail_next_at(Op::Create, key, 1, Fault::Hang);
        let created = match sent {
            2 => objects.create_hedged(key, "new".into()).await,
            _ => objects.create(key, "new".into()).await,
        };
        // Whoever hears nothing up to the deadline asks again, and is the only one under way then.
        assert_eq!(created.is_ok(), sent == 2, "{created:?}");
        let creates = store.log().iter().filter(|(op, at)| *op == Op::Create && at == key).count();
        assert_eq!(creates, sent, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_told_at_once_and_again_and_loses_nothing() {
    for fault in [Fault::Full, Fault::ReadOnly] {
        let (deployment, store, onward) = on_faulty_store().await;
        store.fail_writes(fault);
        let mut handle = change(&onward, "main", 1).submit().await.unwrap();
        // Long before the deadline, with the cause, as often as one asks.
        for _ in 0..3 {
            let outcome = handle.wait(PATIENCE * 10).await.unwrap();
            let Outcome::StillQueued { cause, .. } = outcome else { panic!("{outcome:?}") };
            assert!(!cause.unwrap().is_empty());
        }
        store.heal();
        let outcome = loop {
            // What was told before the store was healed may still be on its way.
            match handle.wait(PATIENCE).await.unwrap() {
                Outcome::StillQueued { .. } => {}
                outcome => break outcome,
            }
        };
        assert!(outcome.commit().is_some(), "{outcome:?}");
        commit(&onward, "main", 2).await;
        Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_of_the_store_decide_nothing_twice() {
    let (deployment, store, onward) = on_faulty_store().await;
    let faults = [Fault::LostReply, Fault::RetriedCreate, Fault::FalseConflict, Fault::Outage];
    for (n, fault) in faults.into_iter().enumerate() {
        store.fail_next_at(Op::Create, "/log/", 2, fault);
        let outcome = commit(&onward, "main", n).await;
        assert!(outcome.commit().is_some(), "{fault:?}: {outcome:?}");
    }
    Audit::of(&deployment.objects, "main").await.has_all(0..4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_with_a_time_to_come_back_and_accepts_then() {
    let (deployment, _) = Deployment::lake().await;
    let mut config = deployment.config();
    config.coordinator.queue.limits.queue = 3;
    let lanes = Lanes::open(&deployment.redis.url(), config.lanes.clone()).await.unwrap();
    let onward = Onward::assemble(config, lanes, deployment.objects.clone(), Faults::default());
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    for n in 1..4 {
        handles.push(change(&onward, "main", n).submit().await.unwrap());
    }
    let refused = try_commit(&onward, "main", 4).await.unwrap_err();
    let ErrorKind::Overloaded { retry_after } = refused.kind() else { panic!("{refused:?}") };
    assert!(retry_after > Duration::ZERO && refused.is_retryable());
    assert!(refused.message().contains("3 ops"), "{refused}");
    // What is queued already is no new op.
    assert_eq!(change(&onward, "main", 2).submit().await.unwrap().ticket(), handles[1].ticket());
    drop(ghost);
    for handle in &mut handles {
        assert!(handle.wait(PATIENCE).await.unwrap().commit().is_some());
    }
    commit(&onward, "main", 4).await;
    Audit::of(&deployment.objects, "main").await.has_all(1..5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_lasts_for_hours_because_redis_clock_was_set_back_holds_nobody_up() {
    let (deployment, first) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let mut config = deployment.config();
    config.coordinator.queue.patience = Duration::from_millis(300);
    let objects = deployment.objects.clone();
    let onward = Onward::with_objects(config, objects).await.unwrap();
    commit(&first, "main", 1).await;
    first.close().await;
    let now: Vec<u64> = deployment.redis.command(&["TIME"]);
    let until = (now[0] * 1000 + 3 * 3_600_000).to_string();
    let turn = ["HSET", &keys.head, "turn", "killed", "turn_until", &until];
    let _: i64 = deployment.redis.command(&turn);
    let outcome = change(&onward, "main", 2).timeout(PATIENCE).commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}
