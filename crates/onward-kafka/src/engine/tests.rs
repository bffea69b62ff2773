//! The loop of the sink, turned by hand: what takes a cluster that changes at a chosen moment.

#![allow(clippy::disallowed_methods, dead_code, reason = "servers of tests look at the clock")]

use std::ops::Range;
use std::sync::Mutex;

use onward::{Config, Onward, Repository};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::clock::now_ms;
use crate::format::{JsonLines, Packing};
use crate::path::PathTemplate;
use crate::settings::OnGap;
use crate::store::BranchStore;

#[path = "../../../../tests/it/support/redis.rs"]
mod redis;
#[path = "../../../../tests/it/support/until.rs"]
mod until;

use redis::RedisServer;
use until::until;

/// What the brokers say.
struct Cluster {
    id: &'static str,
    partitions: i32,
    range: Range<i64>,
    /// So often they do not tell it.
    silent: usize,
}

impl Broker for Arc<Mutex<Cluster>> {
    fn topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicFacts>> {
        let cluster = self.lock().unwrap();
        let facts = |topic: &Arc<str>| TopicFacts {
            topic: Arc::clone(topic),
            id: Some(cluster.id.to_owned()),
            partitions: cluster.partitions,
        };
        Ok(topics.iter().map(facts).collect())
    }

    fn poll(&mut self, _: Duration) -> Result<Polled> {
        Ok(Polled::Nothing)
    }

    fn assign(&mut self, _: &[(Place, i64)]) -> Result<()> {
        Ok(())
    }

    fn unassign(&mut self, _: &[Place]) -> Result<()> {
        Ok(())
    }

    fn begin_again(&mut self, _: &[(Place, i64)], _: &[(Place, i64)]) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, _: &[Place]) -> Result<()> {
        Ok(())
    }

    fn resume(&mut self, _: &[Place]) -> Result<()> {
        Ok(())
    }

    fn range(&mut self, _: &Place) -> Result<Range<i64>> {
        let mut cluster = self.lock().unwrap();
        match cluster.silent.checked_sub(1) {
            Some(left) => {
                cluster.silent = left;
                Err(Error::unavailable("the broker does not answer"))
            }
            None => Ok(cluster.range.clone()),
        }
    }

    fn hint(&mut self, _: &[(Place, i64)]) {}

    fn close(&mut self) {}
}

/// A deployment, and a topic of which sinks write to it.
struct World {
    repo: Repository,
    cluster: Arc<Mutex<Cluster>>,
    runtime: Runtime,
    _redis: RedisServer,
    _storage: TempDir,
}

impl World {
    fn new(partitions: i32) -> Self {
        let (redis, storage) = (RedisServer::forgetful(), tempfile::tempdir().unwrap());
        let runtime = Runtime::new().unwrap();
        let url = format!("file://{}", storage.path().display());
        let config = Config::new(redis.url(), url).committer("kafka");
        let repo = runtime.block_on(Onward::connect(config)).unwrap().repo("lake");
        runtime.block_on(repo.create(&"main".parse().unwrap())).unwrap();
        let cluster = Cluster { id: "first", partitions, range: 0..100, silent: 0 };
        let cluster = Arc::new(Mutex::new(cluster));
        Self { repo, cluster, runtime, _redis: redis, _storage: storage }
    }

    /// A sink that makes a file of each record and commits as soon as it can.
    fn sink(&self) -> Turned {
        let format = Arc::new(JsonLines::new(Packing::None));
        let path = PathTemplate::parse("{topic}/{partition}/{first_offset}.{ext}").unwrap();
        let mut settings = Settings::new("g", ["orders"], format, path);
        settings.roll.records = 1;
        (settings.commit_every, settings.on_gap) = (Duration::ZERO, OnGap::Skip);
        let ledger = Ledger::new(&self.repo, "main", &settings.group).unwrap();
        let told = Arc::<Mutex<Vec<Event>>>::default();
        let hears = Arc::clone(&told);
        let parts = Parts {
            settings: Arc::new(settings),
            store: Arc::new(BranchStore::new(ledger.branch().clone())),
            ledger,
            broker: Box::new(Arc::clone(&self.cluster)),
            stop: Stop::new(),
            watch: Box::new(move |event| hears.lock().unwrap().push(event)),
        };
        let mut engine = Engine::new(parts, self.runtime.handle().clone());
        engine.learn_topics(&["orders".into()]).unwrap();
        Turned { engine, told }
    }
}

/// A sink of which the test is the loop.
struct Turned {
    engine: Engine,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Turned {
    fn assign(&mut self, partitions: Range<i32>) {
        self.engine.react(Polled::Assigned(partitions.map(place).collect())).unwrap();
    }

    fn take(&mut self, partition: i32, offset: i64, timestamp_ms: i64) {
        let record = Record {
            topic: "orders".into(),
            partition,
            offset,
            timestamp_ms: Some(timestamp_ms),
            key: None,
            value: Some("{}".into()),
            headers: Vec::new(),
        };
        self.engine.take(&record).unwrap();
    }

    /// Goes on until the test has seen what it waits for.
    fn turn_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        until(what, || {
            self.engine.tend().unwrap();
            is_so(self)
        });
    }

    /// Waits for uploads, and commits nothing.
    fn until_uploaded(&mut self) {
        until("all is uploaded", || {
            while let Ok(done) = self.engine.results.try_recv() {
                self.engine.hear(done).unwrap();
            }
            let mut waiting = self.engine.partitions.values().flat_map(|each| &each.waiting);
            waiting.all(|finished| finished.is_uploaded())
        });
    }

    fn has_told(&self, kind: impl Fn(&Event) -> bool) -> bool {
        self.told.lock().unwrap().iter().any(kind)
    }

    fn is_taken_over(&self) -> bool {
        self.has_told(|event| matches!(event, Event::TakenOver(_)))
    }

    /// Up to when everything was there, as each commit has said.
    fn valid_through(&self) -> Vec<Option<i64>> {
        let told = self.told.lock().unwrap();
        let said = told.iter().filter_map(|event| match event {
            Event::Committed { valid_through_ms, .. } => Some(*valid_through_ms),
            _ => None,
        });
        said.collect()
    }

    /// The next offset of the first partition, and its life, on the branch.
    fn on_the_branch(&self) -> (i64, u32) {
        let known = self.engine.runtime.block_on(self.engine.ledger.read(&[place(0)])).unwrap();
        let state = known[&place(0)].state.clone().unwrap();
        (state.next, state.life)
    }
}

fn place(partition: i32) -> Place {
    Place::new("orders", partition)
}

#[test]
fn a_commit_says_of_a_partition_that_was_taken_over_what_its_new_owner_does() {
    let world = World::new(2);
    let (mut old, mut new) = (world.sink(), world.sink());
    old.assign(0..2);
    (0..2).for_each(|partition| old.take(partition, 0, 1000));
    old.turn_until("both are there", |old| old.engine.report.records == 2);
    assert_eq!(old.valid_through().last(), Some(&Some(1000)));
    new.assign(0..1);
    old.take(0, 1, 2000);
    old.turn_until("it hears that one is not its own", Turned::is_taken_over);
    // By its client's numbers it has read that partition to the end, and a record behind it is not there.
    let (is_at_end, is_held_back, lag) = (true, false, 0);
    let at_ms = now_ms() + 60_000;
    let seen = Seen { place: place(0), is_at_end, is_held_back, lag, at_ms };
    old.engine.react(Polled::Seen(vec![seen])).unwrap();
    old.take(1, 1, 3000);
    old.turn_until("the other goes on", |old| old.engine.report.records == 3);
    assert_eq!(old.valid_through().last(), Some(&Some(1000)));
}

#[test]
fn the_last_of_several_ops_says_nothing_for_one_that_was_none() {
    let world = World::new(300);
    let (mut old, mut new) = (world.sink(), world.sink());
    old.assign(0..300);
    (0..300).for_each(|partition| old.take(partition, 0, 1000));
    old.turn_until("all are there", |old| old.engine.report.records == 300);
    // The first of the partitions, and so one of the first op.
    new.assign(0..1);
    (0..300).for_each(|partition| old.take(partition, 1, 2000));
    old.until_uploaded();
    old.turn_until("it hears that one is not its own", Turned::is_taken_over);
    assert!((301..599).contains(&old.engine.report.records), "one op is none, another a commit");
    old.turn_until("the others go on", |old| old.engine.report.records == 599);
    let said = old.valid_through();
    assert!(said.iter().all(|ms| *ms <= Some(1000)), "{said:?}");
    assert_eq!(said.last(), Some(&Some(1000)));
}

#[test]
fn a_new_client_waits_for_partitions_before_that_is_the_end() {
    let world = World::new(1);
    let mut sink = world.sink();
    sink.assign(0..1);
    sink.engine.assigned = Stopwatch::started_before(ASSIGNMENT_PATIENCE);
    sink.engine.react(Polled::Renewed).unwrap();
    assert!(!sink.engine.is_at_end().unwrap());
    sink.engine.assigned = Stopwatch::started_before(ASSIGNMENT_PATIENCE);
    assert!(sink.engine.is_at_end().unwrap());
}

#[test]
fn that_a_partition_was_cut_off_is_on_the_branch_before_another_record_comes() {
    let world = World::new(1);
    let mut sink = world.sink();
    sink.assign(0..1);
    (0..3).for_each(|offset| sink.take(0, offset, 1000));
    sink.turn_until("all are there", |sink| sink.engine.report.records == 3);
    assert_eq!(sink.on_the_branch(), (3, 0));
    world.cluster.lock().unwrap().range = 0..1;
    // It is looked at with each turn.
    Arc::get_mut(&mut sink.engine.settings).unwrap().standstill = Duration::ZERO;
    let is_skipped = |event: &Event| matches!(event, Event::Skipped { next: 1, .. });
    sink.turn_until("it is told", |sink| sink.has_told(is_skipped));
    sink.turn_until("it is committed", |sink| {
        sink.engine.partitions.values().all(Partition::is_committed)
    });
    assert_eq!(sink.on_the_branch(), (1, 1));
}

#[test]
fn a_topic_that_was_made_again_is_begun_however_often_that_takes() {
    let world = World::new(1);
    let mut sink = world.sink();
    sink.assign(0..1);
    sink.take(0, 0, 1000);
    sink.turn_until("it is there", |sink| sink.engine.report.records == 1);
    sink.take(0, 1, 1000);
    {
        let mut cluster = world.cluster.lock().unwrap();
        (cluster.id, cluster.silent) = ("second", 2);
    }
    let is_skipped = |event: &Event| matches!(event, Event::Skipped { .. });
    sink.turn_until("it begins anew", |sink| sink.has_told(is_skipped));
    assert!(sink.has_told(|event| matches!(event, Event::Trouble(_))));
    assert_eq!(sink.on_the_branch(), (0, 1));
}
