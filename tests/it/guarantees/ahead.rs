//! The next batch is prepared while a slow storage decides this one; whatever becomes of this one, every
//! op has the outcome that it would have had.

use std::sync::Arc;

use onward::internals::commit::context::BATCH_MAX;
use onward::internals::commit::faults::Faults;
use onward::internals::commit::round::run::{Begin, OneByOne};
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::TicketHandle;
use onward::{Condition, Onward, Outcome};

use super::{change, commit};
use crate::support::branch::{Audit, context, op_id};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::until::{PATIENCE, until};

/// A process whose storage can be held while it decides, and the storage as others have it.
struct Site {
    deployment: Deployment,
    store: FaultyStore,
    onward: Onward,
}

impl Site {
    async fn with(faults: Faults) -> Self {
        let objects = Objects::from_store(Arc::new(InMemory::new()), "memory://");
        let mut store = None;
        let slow = objects.clone().behind(|inner| {
            let faulty = FaultyStore::new(inner);
            store = Some(faulty.clone());
            Arc::new(faulty)
        });
        let deployment = Deployment { redis: RedisServer::new(), objects };
        let slow = Deployment { redis: RedisServer::new(), objects: slow };
        let onward = slow.connect_over(&deployment.redis.url(), faults).await;
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        commit(&onward, "main", 1).await;
        Self { deployment, store: store.unwrap(), onward }
    }

    /// Op 2 is being decided when this returns, and `behind` were accepted since.
    async fn decides(
        &self,
        behind: impl IntoIterator<Item = onward::internals::repo::ChangeBuilder>,
    ) -> Vec<TicketHandle> {
        let creates = || self.store.log().iter().filter(|(op, _)| *op == Op::Create).count();
        let before = creates();
        self.store.fail_next_at(Op::Create, "/log/", 1, Fault::Held);
        let mut handles = vec![change(&self.onward, "main", 2).submit().await.unwrap()];
        until("the storage has the batch", || creates() > before);
        for change in behind {
            handles.push(change.submit().await.unwrap());
        }
        handles
    }

    fn ahead(&self) -> u64 {
        self.onward.counters().ahead
    }

    /// How often this process has looked at the branch.
    fn looks(&self) -> u64 {
        self.onward.coordinator().lanes().calls().get("view").copied().unwrap_or(0)
    }
}

async fn outcomes(handles: Vec<TicketHandle>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for mut handle in handles {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        let details = outcome.details();
        assert!(details.rounds <= details.rounds_bound, "{outcome:?}");
        outcomes.push(outcome);
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_prepared_while_the_storage_decides_the_one_before_it() {
    let site = Site::with(Faults::default()).await;
    let handles = site.decides((3..8).map(|n| change(&site.onward, "main", n))).await;
    until("the next batch is ready", || site.ahead() > 0);
    // The one that every repository begins with, and op 1.
    assert_eq!(Audit::of(&site.deployment.objects, "main").await.ops.len(), 2, "none is decided");
    site.store.release();
    let outcomes = outcomes(handles).await;
    let tickets: Vec<_> = outcomes.iter().map(|outcome| outcome.ticket().unwrap().0).collect();
    assert_eq!(tickets, (3..9).collect::<Vec<u64>>(), "in the order of acceptance");
    Audit::of(&site.deployment.objects, "main").await.has_all(1..8);
    assert_eq!(site.onward.counters().invariant_violations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_sees_what_the_batch_before_it_makes_of_the_branch() {
    let site = Site::with(Faults::default()).await;
    let absent = |n: usize, path: &str| {
        let change = site.onward.repo("lake").branch("main").change().op_id(op_id(n));
        change.put_if(path, entry(n), Condition::Absent)
    };
    let handles = site.decides([absent(3, "t/000002"), absent(4, "new"), absent(5, "new")]).await;
    until("the next batch is ready", || site.ahead() > 0);
    site.store.release();
    let names: Vec<_> = outcomes(handles).await.iter().map(Outcome::name).collect();
    assert_eq!(names, ["committed", "conflict", "committed", "conflict"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_behind_a_batch_that_another_process_decided_is_thrown_away() {
    let site = Site::with(Faults::default()).await;
    let handles = site.decides((3..6).map(|n| change(&site.onward, "main", n))).await;
    until("the next batch is ready", || site.ahead() > 0);
    let other = site.deployment.connect().await;
    let context = context(&other, &site.deployment.objects, "main").await;
    let view = context.look(BATCH_MAX).await.unwrap().given().unwrap();
    assert_eq!(view.elements.len(), 4, "nobody has decided anything");
    let _ = context.round(Begin::View(view, None), 0, &OneByOne).await.unwrap();
    site.store.release();
    for outcome in outcomes(handles).await {
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    let audit = Audit::of(&site.deployment.objects, "main").await;
    audit.has_all(1..6);
    assert_eq!((audit.ops.len(), audit.batches), (6, 3));
    // Who was overtaken notices when its storage answers, which may be after it has told.
    until("it has noticed", || site.onward.counters().lost_races == 1);
    commit(&site.onward, "main", 7).await;
    assert_eq!(Audit::of(&site.deployment.objects, "main").await.ops.len(), 7);
    assert_eq!(site.onward.counters().invariant_violations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_that_need_more_than_themselves_wait_until_the_batch_before_them_is_decided() {
    let site = Site::with(Faults::default()).await;
    let looks = site.looks();
    let producer = change(&site.onward, "main", 3).producer("p", 1, 1);
    let handles = site.decides([producer, change(&site.onward, "main", 4)]).await;
    until("it was looked at", || site.looks() > looks);
    site.store.release();
    for outcome in outcomes(handles).await {
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    assert_eq!(site.ahead(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_what_is_being_prepared() {
    let faults = Faults::default();
    let gate = faults.hold("ahead");
    let site = Site::with(faults).await;
    let handles = site.decides([change(&site.onward, "main", 3)]).await;
    gate.reached().await;
    site.store.release();
    for outcome in outcomes(handles).await {
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    assert_eq!(site.ahead(), 0, "it was given up");
}
