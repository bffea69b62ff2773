//! Redis restarted, emptied, and taken back to an earlier state: acknowledged commits stay, the
//! others are finished, and none happens twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use onward::internals::clock;
use onward::internals::commit::faults::Faults;
use onward::internals::coord::restore::{BranchImage, PART_MAX};
use onward::internals::coord::script::RESTORE;
use onward::internals::coord::{
    BranchKeys, BranchState, HeadView, LaneOptions, Lanes, RedisBranch, Retention, Turn,
};
use onward::internals::model::address::RefExpr;
use onward::internals::model::ids::Ticket;
use onward::internals::repo::recover::RecoveredState;
use onward::internals::repo::{Branch, TicketHandle};
use onward::{Onward, Outcome};
use tokio::task::JoinHandle;

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, Ghost, Snapshot, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::relay::{Hit, Relay};
use crate::support::until::until_async;

/// How long a branch keeps its outcomes while nothing is queued.
const IDLE: Duration = Duration::from_secs(3600);

/// Several writers that commit one op after the other, and how many they were told of.
struct Load {
    told: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
    ops: Vec<usize>,
}

impl Load {
    fn start(onwards: &[Onward], first: usize, writers: usize, each: usize) -> Self {
        let told = Arc::new(AtomicUsize::new(0));
        let write = |writer: usize| {
            let (onward, told) = (onwards[writer % onwards.len()].clone(), Arc::clone(&told));
            tokio::spawn(async move {
                for n in 0..each {
                    let n = first + writer * each + n;
                    // An answer may be missing for a while; the op id makes asking again safe.
                    while change(&onward, "main", n).commit().await.is_err() {
                        tokio::task::yield_now().await;
                    }
                    told.fetch_add(1, Ordering::AcqRel);
                }
            })
        };
        let tasks = (0..writers).map(write).collect();
        Self { told, tasks, ops: (first..first + writers * each).collect() }
    }

    /// Waits until so many were told.
    async fn reaches(&self, told: usize) {
        until_async("the load has come so far", || async {
            self.told.load(Ordering::Acquire) >= told
        })
        .await;
    }

    async fn finish(self) -> Vec<usize> {
        for task in self.tasks {
            task.await.unwrap();
        }
        self.ops
    }
}

async fn lake_on(redis: RedisServer) -> (Deployment, [Onward; 2]) {
    let deployment = Deployment::with(redis);
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let other = deployment.connect().await;
    (deployment, [onward, other])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_and_restarted_under_load_loses_no_commit() {
    let (mut deployment, onwards) = lake_on(RedisServer::new()).await;
    let load = Load::start(&onwards, 1, 8, 40);
    for restart in 1..=3 {
        load.reaches(restart * 60).await;
        tokio::task::block_in_place(|| {
            deployment.redis.kill9();
            deployment.redis.start();
        });
    }
    let ops = load.finish().await;
    Audit::of(&deployment.objects, "main").await.has_all(ops);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loses_everything_under_load_loses_no_commit() {
    let (mut deployment, onwards) = lake_on(RedisServer::forgetful()).await;
    let load = Load::start(&onwards, 1, 8, 40);
    for loss in 1..=3 {
        load.reaches(loss * 60).await;
        tokio::task::block_in_place(|| {
            deployment.redis.kill9();
            deployment.redis.start();
        });
        if loss == 2 {
            deployment.connect().await.recover().await.unwrap();
        }
    }
    let ops = load.finish().await;
    Audit::of(&deployment.objects, "main").await.has_all(ops);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_emptied_in_a_living_connection_loses_no_commit() {
    let (deployment, onwards) = lake_on(RedisServer::forgetful()).await;
    let load = Load::start(&onwards, 1, 8, 40);
    for loss in 1..=4 {
        load.reaches(loss * 50).await;
        let _: String = deployment.redis.command(&["FLUSHALL"]);
    }
    let ops = load.finish().await;
    Audit::of(&deployment.objects, "main").await.has_all(ops);
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_rebuilds_redis_from_the_object_store_alone() {
    let (mut deployment, onwards) = lake_on(RedisServer::forgetful()).await;
    commit_all(&onwards, "main", 1..51).await;
    let before = onwards[0].repo("lake").branch("main").show().await.unwrap();
    deployment.redis.restart();
    let fresh = deployment.connect().await;
    let recovered = fresh.recover().await.unwrap();
    assert_eq!(recovered[0].1[0].state, RecoveredState::Lost);
    assert_eq!(recovered[0].1[0].done, before.done);
    let recovered = fresh.recover().await.unwrap();
    assert_eq!(recovered[0].1[0].state, RecoveredState::Intact);
    assert_eq!(fresh.repo("lake").branch("main").show().await.unwrap(), before);
    // Outcomes came back too: an op submitted again is recognised.
    let audit = Audit::of(&deployment.objects, "main").await;
    for n in [1, 25, 50] {
        assert_eq!(commit(&fresh, "main", n).await.commit(), audit.commit(n));
    }
    assert_eq!(Audit::of(&deployment.objects, "main").await.ops.len(), audit.ops.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_taken_back_in_time_under_load_follows_the_log() {
    let (deployment, onwards) = lake_on(RedisServer::forgetful()).await;
    let load = Load::start(&onwards, 1, 8, 40);
    for back in 1..=3 {
        load.reaches(back * 50).await;
        let snapshot = Snapshot::take(&deployment.redis);
        load.reaches(back * 50 + 30).await;
        snapshot.put_back(&deployment.redis);
    }
    let ops = load.finish().await;
    Audit::of(&deployment.objects, "main").await.has_all(ops);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_behind_the_log_adopts_it_beside_old_new_and_repeated_ops() {
    let (deployment, [onward, _]) = lake_on(RedisServer::forgetful()).await;
    let keys = keys(&deployment.objects, "main").await;
    commit_all(std::slice::from_ref(&onward), "main", 1..6).await;
    // An earlier state with ops in the queue that are decided afterwards.
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut pending = Vec::new();
    for n in 6..11 {
        pending.push(change(&onward, "main", n).submit().await.unwrap());
    }
    let snapshot = Snapshot::take(&deployment.redis);
    drop(ghost);
    for mut handle in pending {
        let outcome = handle.wait(crate::support::until::PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    for n in 11..21 {
        commit(&onward, "main", n).await;
    }
    let audit = Audit::of(&deployment.objects, "main").await;
    onward.close().await;
    snapshot.put_back(&deployment.redis);
    // Newcomers, and users who try again what was decided before: some still queued by the old
    // state, some unknown to it.
    let fresh = deployment.connect().await;
    commit_all(std::slice::from_ref(&fresh), "main", [101, 7, 15, 102, 20, 10, 103, 11]).await;
    let after = Audit::of(&deployment.objects, "main").await;
    after.has_all((1..21).chain(101..104));
    assert_eq!(after.ops.len(), audit.ops.len() + 3);
    for n in 1..21 {
        assert_eq!(after.commit(n), audit.commit(n), "history does not change");
        assert_eq!(commit(&fresh, "main", n).await.commit(), audit.commit(n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_redis_forgets_while_it_waits_is_submitted_again() {
    let (deployment, [onward, _]) = lake_on(RedisServer::forgetful()).await;
    let keys = keys(&deployment.objects, "main").await;
    commit(&onward, "main", 1).await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let snapshot = Snapshot::take(&deployment.redis);
    let mut handle = change(&onward, "main", 2).submit().await.unwrap();
    // Only the turn's holder could have told: nothing was decided, no connection broke.
    snapshot.put_back(&deployment.redis);
    drop(ghost);
    let outcome = handle.wait(crate::support::until::PATIENCE).await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    let calls = onward.coordinator().lanes().calls();
    assert!(calls.values().sum::<u64>() < 500, "it waits, it does not spin: {calls:?}");
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_commit_or_a_merge_asked_for_again_after_a_loss_gets_its_first_outcome() {
    let (deployment, [onward, _]) = lake_on(RedisServer::forgetful()).await;
    let repo = onward.repo("lake");
    repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    commit(&onward, "dev", 1).await;
    commit(&onward, "main", 2).await;
    let snapshot = Snapshot::take(&deployment.redis);
    let main = repo.branch("main");
    main.stage_put("s".parse().unwrap(), entry(3), None).await.unwrap();
    let staged = main.commit_staged().op_id(op_id(3)).commit().await.unwrap();
    let merge = main.merge(RefExpr::plain("dev")).op_id(op_id(4)).commit().await.unwrap();
    main.stage_put("t".parse().unwrap(), entry(5), None).await.unwrap();
    let produced = main.commit_staged().producer("p", 1, 7).commit().await.unwrap();
    assert!(staged.commit().is_some() && merge.commit().is_some() && produced.commit().is_some());
    onward.close().await;
    snapshot.put_back(&deployment.redis);
    // Nothing is staged any more, and by the head there is nothing to merge.
    let main = deployment.connect().await.repo("lake").branch("main");
    let again = main.commit_staged().op_id(op_id(3)).commit().await.unwrap();
    assert_eq!((again.commit(), again.ticket()), (staged.commit(), staged.ticket()));
    snapshot.put_back(&deployment.redis);
    let main = deployment.connect().await.repo("lake").branch("main");
    let again = main.merge(RefExpr::plain("dev")).op_id(op_id(4)).commit().await.unwrap();
    assert_eq!((again.commit(), again.ticket()), (merge.commit(), merge.ticket()));
    snapshot.put_back(&deployment.redis);
    let main = deployment.connect().await.repo("lake").branch("main");
    let again = main.commit_staged().producer("p", 1, 7).commit().await.unwrap();
    assert_eq!((again.commit(), again.ticket()), (produced.commit(), produced.ticket()));
}

/// A branch `dev` that puts `x`, a process with failpoints that can merge it into `main`, and another
/// process.
async fn about_to_merge() -> (Deployment, Faults, Onward, Onward) {
    let (deployment, [other, _]) = lake_on(RedisServer::forgetful()).await;
    let dev = other.repo("lake").branch("dev");
    dev.create(&RefExpr::plain("main")).await.unwrap();
    dev.change().put("x", entry(1)).message("dev").commit().await.unwrap();
    let faults = Faults::default();
    let merges = deployment.connect_with(faults.clone()).await;
    (deployment, faults, merges, other)
}

async fn merge_of_dev(main: &Branch) -> onward::Result<TicketHandle> {
    main.merge(RefExpr::plain("dev")).op_id(op_id(4)).submit().await
}

/// Somebody else puts what the merge brings, and so a merge from now on conflicts with it.
async fn conflicting(other: &Onward) {
    let main = other.repo("lake").branch("main");
    let outcome = main.change().put("x", entry(2)).message("other").commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
}

/// Both were told the one outcome that the log has.
async fn told_alike(deployment: &Deployment, first: TicketHandle, again: TicketHandle) {
    let in_log = |audit: &Audit| audit.ops.get(&op_id(4)).map(|op| (op.outcome, op.ticket));
    for mut handle in [first, again] {
        let outcome = handle.wait(crate::support::until::PATIENCE).await.unwrap();
        let audit = Audit::of(&deployment.objects, "main").await;
        assert_eq!(in_log(&audit), outcome.ticket().map(|ticket| (outcome.name(), ticket)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_redis_lost_has_one_outcome_whoever_repeats_it_while_it_is_queued_again() {
    let (deployment, faults, merger, other) = about_to_merge().await;
    let main = merger.repo("lake").branch("main");
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let snapshot = Snapshot::take(&deployment.redis);
    let first = merge_of_dev(&main).await.unwrap();
    let lost = faults.hold("resubmit");
    snapshot.put_back(&deployment.redis);
    drop(ghost);
    lost.reached().await;
    conflicting(&other).await;
    // By the head as it is now the repetition ends at once, and nothing of it is to be queued.
    let early = faults.hold("ends-early");
    let mut again = Box::pin(merge_of_dev(&main));
    let again = tokio::select! {
        again = &mut again => {
            lost.open();
            again.unwrap()
        }
        () = early.reached() => {
            lost.open();
            until_async("the first try is decided", || async {
                Audit::of(&deployment.objects, "main").await.ops.contains_key(&op_id(4))
            })
            .await;
            early.open();
            again.await.unwrap()
        }
    };
    told_alike(&deployment, first, again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_repeats_a_merge_whose_first_try_is_on_its_way_waits_for_that() {
    let (deployment, faults, merger, other) = about_to_merge().await;
    let main = merger.repo("lake").branch("main");
    let on_its_way = faults.hold("submit");
    let first = tokio::spawn({
        let main = main.clone();
        async move { merge_of_dev(&main).await.unwrap() }
    });
    on_its_way.reached().await;
    conflicting(&other).await;
    let asked = || merger.coordinator().lanes().calls().get("status").copied().unwrap_or(0);
    let before = asked();
    let again = tokio::spawn({
        let main = main.clone();
        async move { merge_of_dev(&main).await.unwrap() }
    });
    until_async("the repetition has asked after it", || async { asked() > before }).await;
    on_its_way.open();
    told_alike(&deployment, first.await.unwrap(), again.await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_op_of_a_process_that_is_gone_is_told_that_redis_lost_it() {
    let (deployment, [onward, other]) = lake_on(RedisServer::forgetful()).await;
    let keys = keys(&deployment.objects, "main").await;
    commit(&onward, "main", 1).await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let snapshot = Snapshot::take(&deployment.redis);
    let handle = change(&onward, "main", 2).submit().await.unwrap();
    onward.close().await;
    let main = other.repo("lake").branch("main");
    let calls = |name| other.coordinator().lanes().calls().get(name).copied().unwrap_or(0);
    let before = calls("status");
    let patience = crate::support::until::PATIENCE;
    let waiting = tokio::spawn(async move { main.ticket_wait(op_id(2), patience).await });
    until_async("it is asked for", || async { calls("status") > before }).await;
    // What looks from here on is who waits: where it was asked for too late, nobody would.
    let before = calls("view");
    until_async("it is waited for", || async { calls("view") > before }).await;
    snapshot.put_back(&deployment.redis);
    drop((ghost, handle));
    let lost = waiting.await.unwrap().unwrap_err();
    assert!(lost.message().contains("submit it again under the same op id"), "{lost}");
    commit(&other, "main", 2).await;
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_what_was_staged_is_lost_is_decided_in_the_log_like_any_outcome() {
    let (deployment, [onward, _]) = lake_on(RedisServer::forgetful()).await;
    let keys = keys(&deployment.objects, "main").await;
    commit(&onward, "main", 1).await;
    let main = onward.repo("lake").branch("main");
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let snapshot = Snapshot::take(&deployment.redis);
    main.stage_put("s".parse().unwrap(), entry(2), None).await.unwrap();
    let mut handle = main.commit_staged().op_id(op_id(2)).submit().await.unwrap();
    snapshot.put_back(&deployment.redis);
    drop(ghost);
    let outcome = handle.wait(crate::support::until::PATIENCE).await.unwrap();
    let Outcome::Failed { ticket, reason, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("lost what was staged"), "{reason}");
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!(*ticket, Some(audit.ops[&op_id(2)].ticket));
    // Whoever asks again, also with something staged, is told the same.
    main.stage_put("s".parse().unwrap(), entry(3), None).await.unwrap();
    let again = main.commit_staged().op_id(op_id(2)).commit().await.unwrap();
    assert_eq!((again.name(), again.ticket()), ("failed", *ticket));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_lost_while_it_is_put_back_is_put_back_whole() {
    let redis = RedisServer::forgetful();
    let relay = Relay::start(&redis.url()).await;
    let lanes = Lanes::open(&relay.url(), LaneOptions::default()).await.unwrap();
    let keys = BranchKeys::new(&"lake".parse().unwrap(), clock::new_branch_uid());
    let turn = Turn { helper: "test".into(), length_ms: 100 };
    let retention = Retention { idle: IDLE, ..Retention::default() };
    let branch = RedisBranch::new(lanes, keys.clone(), turn, retention);
    let outcomes = 3 * PART_MAX + 1;
    let outcome = |n: usize| (Ticket(n as u64), op_id(n), Bytes::from(format!("outcome {n}")));
    let row = |n: usize| (format!("producer-{n}"), Bytes::from(format!("row {n}")));
    let image = BranchImage {
        head: HeadView {
            state: BranchState::Open,
            done: outcomes as u64,
            commit: None,
            position: outcomes as u64,
        },
        outcomes: (1..=outcomes).map(outcome).collect(),
        producers: (0..PART_MAX).map(row).collect(),
    };
    relay.hit(RESTORE.sha(), 3, Hit::BreakAndStall);
    let put_back = tokio::spawn({
        let (branch, image) = (branch.clone(), image.clone());
        async move { branch.restore(&image).await }
    });
    until_async("a part of it is there", || async { relay.pending() == 0 }).await;
    let drafts: Vec<String> = redis.command(&["KEYS", "*:draft:*"]);
    assert_eq!(drafts.len(), 2, "outcomes and ops of a draft: {drafts:?}");
    let _: String = redis.command(&["FLUSHALL"]);
    relay.flow();
    assert!(put_back.await.unwrap().unwrap(), "it is put back by this call");
    let count = |command: &str, key: &str| redis.command::<usize>(&[command, key]);
    assert_eq!(count("XLEN", &keys.outcomes), outcomes);
    assert_eq!(count("HLEN", &keys.ops), outcomes);
    assert_eq!(count("HLEN", &keys.producers), PART_MAX);
    assert_eq!(redis.command::<Vec<String>>(&["KEYS", "*:draft:*"]), [""; 0]);
    assert!(!branch.restore(&image).await.unwrap(), "it is there");
}
