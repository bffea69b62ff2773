//! Producers that have done nothing for long are forgotten: by an op, in its turn, so that the log, Redis
//! and checkpoints agree about who is known.

use std::collections::BTreeSet;
use std::time::Duration;

use onward::internals::clock;
use onward::internals::commit::accept::admission::Admission;
use onward::internals::commit::accept::waiting::Told;
use onward::internals::commit::op::queued::QueuedOp;
use onward::internals::commit::op::request::Request;
use onward::internals::commit::op::upkeep::upkeep;
use onward::internals::repo::ChangeBuilder;
use onward::{Config, Onward, Outcome, Producer};

use crate::support::branch::{Audit, Ghost, context, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::until_async;
use crate::support::verify::sound;

fn produced(onward: &Onward, name: &str, epoch: u64, sequence: u64) -> ChangeBuilder {
    let change = onward.repo("lake").branch("main").change().producer(name, epoch, sequence);
    change.put(format!("p/{name}/{epoch}/{sequence}"), entry(1))
}

/// Those of the names that the branch knows.
async fn known(onward: &Onward, names: &[String]) -> BTreeSet<String> {
    let found = onward.repo("lake").branch("main").producers(names.iter().cloned()).await;
    found.unwrap().into_keys().collect()
}

fn names(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("run-{n:03}")).collect()
}

/// A deployment of programs that keep 16 producers, of those that have done nothing for so long.
async fn keeps_few(deployment: &Deployment, idle: Duration) -> Onward {
    let few = |config: &mut Config| {
        config.coordinator.queue.producers.kept = 16;
        config.coordinator.queue.producers.idle = idle;
    };
    deployment.connect_as(few).await
}

/// Commits until a checkpoint is written: the log has one behind each 256 entries.
async fn up_to_a_checkpoint(onward: &Onward, n: usize) {
    for sequence in 1..=256_u64 {
        produced(onward, "steady", n as u64, sequence).commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_limit_those_are_forgotten_that_have_done_nothing_for_longest() {
    let (deployment, first) = Deployment::lake().await;
    first.close().await;
    let onward = keeps_few(&deployment, Duration::ZERO).await;
    let all = names(0, 30);
    for name in &all {
        assert!(produced(&onward, name, 1, 7).commit().await.unwrap().commit().is_some());
    }
    // Used again, it is one of the newest.
    produced(&onward, &all[0], 1, 8).commit().await.unwrap();
    up_to_a_checkpoint(&onward, 1).await;
    until_async("the oldest are forgotten", || async { known(&onward, &all).await.len() <= 13 })
        .await;
    let mut newest: BTreeSet<String> = names(18, 30).into_iter().collect();
    newest.insert(all[0].clone());
    assert_eq!(known(&onward, &all).await, newest, "14 with the one that goes on");
    // Whatever Redis loses, and from whichever checkpoint the branch is put back.
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    assert_eq!(known(&onward, &all).await, newest);
    up_to_a_checkpoint(&onward, 2).await;
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    assert_eq!(known(&onward, &all).await, newest);
    // One that comes back is a new one: its first sequence is accepted, and goes on from there.
    let again = produced(&onward, &all[1], 1, 1).op_id(op_id(1)).commit().await.unwrap();
    assert!(again.commit().is_some(), "{again:?}");
    let twice = produced(&onward, &all[1], 1, 1).op_id(op_id(2)).commit().await.unwrap();
    assert_eq!(twice.name(), "behind");
    Audit::of(&deployment.objects, "main").await;
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn young_producers_stay_however_many_they_are() {
    let (deployment, first) = Deployment::lake().await;
    first.close().await;
    let onward = keeps_few(&deployment, Duration::from_secs(3600)).await;
    let all = names(0, 30);
    for name in &all {
        produced(&onward, name, 1, 7).commit().await.unwrap();
    }
    up_to_a_checkpoint(&onward, 1).await;
    // The end of a process waits for what it does in the background.
    onward.close().await;
    let there = deployment.connect().await;
    assert_eq!(known(&there, &all).await.len(), all.len());
}

/// Asks that rows are forgotten, as upkeep does; what becomes of it.
async fn forget(onward: &Onward, deployment: &Deployment, rows: &[(&str, u64, u64)]) -> Pending {
    let rows = rows.iter().map(|(name, epoch, sequence)| Producer::new(*name, *epoch, *sequence));
    let (op_id, request) = (clock::new_op_id(), Request::Forget(rows.collect()));
    let submission = upkeep(op_id, request, clock::now_ms(), None).unwrap();
    let element = &submission.element;
    assert_eq!(element[37], 3, "programs that do not know of it leave it to others");
    assert_eq!(QueuedOp::decode(element).unwrap().kind(), "forget");
    let context = context(onward, &deployment.objects, "main").await;
    let queue = onward.coordinator().queue(context.lake.life(), &context.name, context.uid);
    let Admission::Queued(pending) = queue.submit(submission).await.unwrap() else { panic!() };
    Pending(pending)
}

struct Pending(onward::internals::commit::accept::admission::Pending);

impl Pending {
    async fn outcome(mut self) -> &'static str {
        match self.0.outcome().await {
            Some(Told::Decided(outcome)) => Outcome::name(&outcome),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_came_back_between_naming_and_deciding_stays() {
    let (deployment, onward) = Deployment::lake().await;
    for name in ["p", "q", "r"] {
        produced(&onward, name, 1, 1).commit().await.unwrap();
    }
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut before = produced(&onward, "p", 1, 2).submit().await.unwrap();
    let named = forget(&onward, &deployment, &[("p", 1, 1), ("q", 1, 1), ("r", 1, 1)]).await;
    drop(ghost);
    assert_eq!(named.outcome().await, "applied");
    let patience = crate::support::until::PATIENCE;
    assert!(before.wait(patience).await.unwrap().commit().is_some());
    let all: Vec<String> = ["p", "q", "r"].map(str::to_owned).to_vec();
    let only_p = BTreeSet::from(["p".to_owned()]);
    assert_eq!(known(&onward, &all).await, only_p);
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    assert_eq!(known(&onward, &all).await, only_p);
    let last = onward.repo("lake").branch("main").producer("p").await.unwrap().unwrap();
    assert_eq!((last.epoch, last.sequence), (1, 2));
    // Nothing is left to be done for a row that has come further; one that is gone is told so again, as
    // a checkpoint of a program that does not know of this may have kept it.
    let stale = forget(&onward, &deployment, &[("p", 1, 1)]).await;
    assert_eq!(stale.outcome().await, "no_changes");
    let gone = forget(&onward, &deployment, &[("q", 1, 1)]).await;
    assert_eq!(gone.outcome().await, "applied");
    assert!(
        produced(&onward, "q", 1, 1).op_id(op_id(10)).commit().await.unwrap().commit().is_some()
    );
    assert_eq!(known(&onward, &all).await.len(), 2);
    Audit::of(&deployment.objects, "main").await;
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_forgotten_and_comes_back_in_one_batch_is_known() {
    let (deployment, onward) = Deployment::lake().await;
    produced(&onward, "p", 2, 5).commit().await.unwrap();
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let named = forget(&onward, &deployment, &[("p", 2, 5)]).await;
    let mut back = produced(&onward, "p", 2, 6).submit().await.unwrap();
    drop(ghost);
    assert_eq!(named.outcome().await, "applied");
    let patience = crate::support::until::PATIENCE;
    assert!(back.wait(patience).await.unwrap().commit().is_some());
    for _ in 0..2 {
        let last = onward.repo("lake").branch("main").producer("p").await.unwrap().unwrap();
        assert_eq!((last.epoch, last.sequence), (2, 6));
        let _: String = deployment.redis.command(&["FLUSHALL"]);
    }
}
