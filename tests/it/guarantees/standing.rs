//! Ops of processes that are gone, on branches that nobody commits to: whoever looks at the branch sees
//! them through, and a process that looks after all branches finds them.

use std::time::Duration;

use onward::internals::commit::op::queued::{Body, QueuedOp};
use onward::internals::coord::submit::SubmitLimits;
use onward::internals::repo::recover::RecoveredState;
use onward::{ErrorKind, Onward, Outcome, RefExpr};

use super::change;
use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

/// Has `ops` accepted on a branch by a process that goes away before any of them is decided.
async fn leave(deployment: &Deployment, branch: &str, ops: impl IntoIterator<Item = usize>) {
    let onward = deployment.connect().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, branch).await);
    for n in ops {
        assert!(change(&onward, branch, n).submit().await.unwrap().ticket().is_some());
    }
    onward.close().await;
    drop(ghost);
}

async fn depth(deployment: &Deployment, branch: &str) -> u64 {
    deployment.redis.command(&["LLEN", &keys(&deployment.objects, branch).await.queue])
}

async fn is_empty(deployment: &Deployment, branch: &str) {
    until_async("the queue is empty", || async { depth(deployment, branch).await == 0 }).await;
}

async fn with_branches(onward: &Onward, count: usize) {
    for n in 0..count {
        let branch = onward.repo("lake").branch(format!("b{n}"));
        branch.create(&RefExpr::plain("main")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_after_all_branches_finds_what_was_left_and_asks_little() {
    let (deployment, onward) = Deployment::lake().await;
    with_branches(&onward, 20).await;
    leave(&deployment, "b3", 0..5).await;
    leave(&deployment, "main", 5..8).await;
    let fresh = deployment.connect().await;
    let mut watch = fresh.watch();
    let watched = watch.step().await.unwrap();
    assert_eq!((watched.branches, watched.standing), (21, 2));
    is_empty(&deployment, "b3").await;
    is_empty(&deployment, "main").await;
    Audit::of(&deployment.objects, "b3").await.has_all(0..5);
    Audit::of(&deployment.objects, "main").await.has_all(5..8);
    // Where nothing stands: a call for each branch and two for each repository.
    let (before, reads) = (fresh.coordinator().lanes().calls(), deployment.objects.counters());
    assert_eq!(watch.step().await.unwrap().standing, 0);
    let after = fresh.coordinator().lanes().calls();
    let made = |name: &str| after.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
    assert_eq!((made("llen"), made("hget"), made("hscan")), (21, 1, 1));
    assert_eq!(after.values().sum::<u64>() - before.values().sum::<u64>(), 23);
    let asked = deployment.objects.counters();
    assert_eq!((asked.gets - reads.gets, asked.lists - reads.lists), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_redis_has_lost_hide_no_queue() {
    let (deployment, onward) = Deployment::lake().await;
    with_branches(&onward, 3).await;
    let mut watch = onward.watch();
    watch.step().await.unwrap();
    leave(&deployment, "b1", 0..2).await;
    let names: Vec<String> = deployment.redis.command(&["KEYS", "onward:*:branches:*"]);
    let _: i64 = deployment.redis.command(&["DEL", &names[0]]);
    let watched = watch.step().await.unwrap();
    assert_eq!((watched.branches, watched.standing), (4, 1));
    is_empty(&deployment, "b1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_of_what_was_left_is_seen_through_by_who_finds_no_room() {
    let (deployment, _) = Deployment::lake().await;
    let few = |queue: u64, sealed: u64| {
        let limits = SubmitLimits { queue, sealed };
        deployment.connect_as(move |config| config.coordinator.queue.limits = limits)
    };
    leave(&deployment, "main", 0..4).await;
    let fresh = few(4, 256).await;
    assert!(change(&fresh, "main", 4).commit().await.unwrap().commit().is_some());
    Audit::of(&deployment.objects, "main").await.has_all(0..5);
    // The same of what staged commits have taken.
    let gone = deployment.connect().await;
    let main = gone.repo("lake").branch("main");
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    for n in 5..7 {
        main.stage_put(format!("s/{n}").parse().unwrap(), entry(n), None).await.unwrap();
        assert!(main.commit_staged().op_id(op_id(n)).submit().await.unwrap().ticket().is_some());
    }
    gone.close().await;
    let fresh = few(131_072, 2).await.repo("lake").branch("main");
    fresh.stage_put("s/7".parse().unwrap(), entry(7), None).await.unwrap();
    let staged = || fresh.commit_staged().op_id(op_id(7)).message("staged").commit();
    // Who is at work is left alone.
    let refused = staged().await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::TooManySealed { .. }), "{refused}");
    drop(ghost);
    assert!(staged().await.unwrap().commit().is_some());
    Audit::of(&deployment.objects, "main").await.has_all(5..8);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_work_is_left_alone_until_nothing_moves() {
    let (deployment, onward) = Deployment::lake().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    change(&deployment.connect().await, "main", 1).submit().await.unwrap();
    let mut watch = onward.watch();
    assert_eq!(watch.step().await.unwrap().standing, 0);
    assert_eq!(watch.step().await.unwrap().standing, 1, "it has decided nothing since");
    drop(ghost);
    is_empty(&deployment, "main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_nothing_staged_sees_through_what_is_queued_first() {
    let (deployment, first) = Deployment::lake().await;
    let main = first.repo("lake").branch("main");
    main.stage_put("staged".parse().unwrap(), entry(1), None).await.unwrap();
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let staged = main.commit_staged().op_id(op_id(1)).message("staged");
    assert!(staged.submit().await.unwrap().ticket().is_some());
    first.close().await;
    let onward = deployment.connect().await;
    let again = || onward.repo("lake").branch("main").commit_staged().message("again");
    // While it cannot be decided nobody is told that there was nothing.
    let refused = again().timeout(Duration::from_millis(50)).commit().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(refused.message().contains(&op_id(1).to_string()), "{refused}");
    drop(ghost);
    let outcome = again().timeout(PATIENCE).commit().await.unwrap();
    assert!(matches!(outcome, Outcome::NoChanges { ticket: None, .. }), "{outcome:?}");
    Audit::of(&deployment.objects, "main").await.has_all([1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_brings_what_was_left_in_the_queue_of_its_source() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    lake.branch("side").create(&RefExpr::plain("main")).await.unwrap();
    leave(&deployment, "side", [1]).await;
    let merged = lake.branch("main").merge(RefExpr::plain("side")).commit().await.unwrap();
    assert!(merged.commit().is_some(), "{merged:?}");
    let path = "t/000001".parse().unwrap();
    lake.stat(&RefExpr::plain("main"), &path).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_and_a_look_at_the_head_see_through_what_was_left() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    leave(&deployment, "main", [1]).await;
    let before = lake.branch("main").show().await.unwrap().done;
    assert_eq!((before, depth(&deployment, "main").await), (2, 0));
    leave(&deployment, "main", [2, 3]).await;
    let recovered = lake.recover().await.unwrap();
    let told = &recovered[0];
    assert_eq!((told.state, told.done, told.queued), (RecoveredState::Intact, 4, 0));
    Audit::of(&deployment.objects, "main").await.has_all(1..4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_has_waited_since_it_was_submitted_whoever_is_told_of_it() {
    const HOUR: i64 = 3_600_000;
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let first = deployment.connect().await;
    change(&first, "main", 1).submit().await.unwrap();
    first.close().await;
    // As if it had been submitted an hour ago.
    let front: Vec<u8> = deployment.redis.command(&["LINDEX", &keys.queue, "0"]);
    let Body::Op(mut op) = QueuedOp::decode(&front).unwrap().body else { panic!("{front:?}") };
    op.created_ms -= HOUR;
    let older = op.encode(op_id(1)).unwrap();
    let mut call = redis::cmd("LSET");
    call.arg(&keys.queue).arg(0).arg(&older[..]).exec(&mut deployment.redis.connect()).unwrap();
    drop(ghost);
    let outcome = onward.repo("lake").branch("main").ticket_wait(op_id(1), PATIENCE).await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    assert!(outcome.details().waited.as_millis() >= HOUR as u128, "{outcome:?}");
}
