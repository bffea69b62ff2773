//! The loop of the sink, turned by hand: what takes a cluster that changes at a chosen moment.

#![allow(clippy::disallowed_methods, dead_code, reason = "servers of tests look at the clock")]

use std::ops::Range;
use std::sync::Mutex;

use onward::{Config, Onward, Repository};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::clock::now_ms;
use crate::format::{DeadLetters, JsonLines, Packing};
use crate::path::PathTemplate;
use crate::replies::Reply;
use crate::settings::{DeadLetterSettings, OnGap};
use crate::state::State;
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
    /// Whether the group has read everything before.
    is_known: bool,
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

    fn known_to_group(&mut self, places: &[Place]) -> Result<Vec<Place>> {
        let is_known = self.lock().unwrap().is_known;
        Ok(places.iter().filter(|_| is_known).cloned().collect())
    }

    fn hint(&mut self, _: &[(Place, i64)]) {}

    fn close(&mut self) {}
}

/// A deployment, and a topic of which sinks write to it.
struct World {
    repo: Repository,
    cluster: Arc<Mutex<Cluster>>,
    runtime: Runtime,
    redis: RedisServer,
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
        let cluster =
            Cluster { id: "first", partitions, range: 0..100, silent: 0, is_known: false };
        let cluster = Arc::new(Mutex::new(cluster));
        Self { repo, cluster, runtime, redis, _storage: storage }
    }

    /// A sink that carries out change sets.
    fn requests(&self, replies: Option<Box<dyn Replies>>) -> Turned {
        let mut settings = Settings::change_sets("g", ["orders"]).unwrap();
        settings.last_commit_patience = Duration::from_millis(200);
        self.turned(settings, replies)
    }

    /// A sink that makes a file of each record and commits as soon as it can.
    fn sink(&self) -> Turned {
        let format = Arc::new(JsonLines::new(Packing::None));
        let path = PathTemplate::parse("{topic}/{partition}/{first_offset}.{ext}").unwrap();
        let mut settings = Settings::new("g", ["orders"], format, path);
        settings.roll.records = 1;
        (settings.commit_every, settings.on_gap) = (Duration::ZERO, OnGap::Skip);
        self.turned(settings, None)
    }

    /// Three outcomes that were told, and are not known to be heard.
    fn three_lost_replies(&self) -> Mailbox {
        let lost = Mailbox { is_lost: true, ..Mailbox::default() };
        let mut old = self.requests(Some(Box::new(lost.clone())));
        old.assign(0..1);
        (0..3).for_each(|offset| old.ask(offset, &put(&format!("{offset}"))));
        old.turn_until("all are told", |_| lost.told().len() == 3);
        lost
    }

    fn turned(&self, settings: Settings, replies: Option<Box<dyn Replies>>) -> Turned {
        let ledger = Ledger::new(&self.repo, "main", &settings.group).unwrap();
        let told = Arc::<Mutex<Vec<Event>>>::default();
        let hears = Arc::clone(&told);
        let parts = Parts {
            settings: Arc::new(settings),
            store: Arc::new(BranchStore::new(ledger.branch().clone())),
            ledger,
            broker: Box::new(Arc::clone(&self.cluster)),
            replies,
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
    /// Takes a change set of the first partition.
    fn ask(&mut self, offset: i64, value: &str) {
        self.engine.take(request(offset, value)).unwrap();
    }

    /// Decides the change set at this offset, and does not hear of it: what is left when a process is gone.
    fn decide_unheard(&self, offset: i64, value: &str) -> (onward::OpId, onward::Outcome) {
        let (ledger, partition) = (&self.engine.ledger, &self.engine.partitions[&place(0)]);
        let (record, newest) = (request(offset, value), partition.newest);
        let step = partition.step(&partition.state, 0, 0);
        let op_id = ledger.op_id(&place(0), newest, offset);
        let decided = self.engine.runtime.block_on(ledger.try_out(&step, &record, op_id));
        (op_id, decided.unwrap())
    }

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
        self.engine.take(record).unwrap();
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

    /// What the branch says of the first partition.
    fn state(&self) -> State {
        let known = self.engine.runtime.block_on(self.engine.ledger.read(&[place(0)])).unwrap();
        known[&place(0)].state.clone().unwrap()
    }

    /// The next offset of the first partition, and its life, on the branch.
    fn on_the_branch(&self) -> (i64, u32) {
        let state = self.state();
        (state.next, state.life)
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::get_mut(&mut self.engine.settings).unwrap()
    }
}

fn place(partition: i32) -> Place {
    Place::new("orders", partition)
}

fn request(offset: i64, value: &str) -> Record {
    Record {
        topic: "orders".into(),
        partition: 0,
        offset,
        timestamp_ms: Some(1000),
        key: Some(format!("key-{offset}").into()),
        value: Some(value.to_owned().into()),
        headers: Vec::new(),
    }
}

/// A change set that puts a path that must not be there.
fn put(path: &str) -> String {
    format!(
        "{{\"message\": \"{path}\", \"changes\": [{{\"put\": {{\"path\": \"{path}\", \"address\": \"s3://b/x\", \"checksum\": \"c\", \"size\": 1}}, \"if\": {{\"absent\": true}}}}]}}"
    )
}

/// Where replies are seen, and delivered or not.
#[derive(Clone, Default)]
struct Mailbox {
    replies: Arc<Mutex<Vec<Reply>>>,
    is_lost: bool,
}

impl Replies for Mailbox {
    fn send(&mut self, reply: Reply) -> Result<()> {
        self.replies.lock().unwrap().push(reply);
        Ok(())
    }

    fn delivered(&mut self) -> Result<Vec<(Place, i64)>> {
        let replies = self.replies.lock().unwrap();
        let all = replies.iter().map(|reply| (reply.place.clone(), reply.offset));
        Ok(if self.is_lost { Vec::new() } else { all.collect() })
    }
}

impl Mailbox {
    /// Offset, outcome and op of each reply.
    fn told(&self) -> Vec<(i64, String, String)> {
        let replies = self.replies.lock().unwrap();
        let told = replies.iter().map(|reply| {
            let outcome: serde_json::Value = serde_json::from_str(&reply.outcome).unwrap();
            let text = |name: &str| outcome[name].as_str().unwrap().to_owned();
            assert_eq!(reply.key, Some(format!("key-{}", reply.offset).into()));
            (reply.offset, text("outcome"), text("op_id"))
        });
        told.collect()
    }
}

#[test]
fn a_conflict_that_was_decided_and_not_told_is_one_for_whoever_has_the_partition_next() {
    let world = World::new(1);
    let mut old = world.requests(None);
    old.assign(0..1);
    old.ask(0, &put("a"));
    old.turn_until("it is there", |old| old.engine.report.commits == 1);
    // The conflict is decided, and before it is told this process is gone.
    let (op_id, decided) = old.decide_unheard(3, &put("a"));
    assert_eq!(decided.name(), "conflict");
    // By now its condition holds.
    let branch = world.repo.branch("main");
    world.runtime.block_on(branch.change().delete("a").commit()).unwrap();
    // One that is gone as well before it comes to anything; then one that does.
    world.requests(None).assign(0..1);
    let seen = Mailbox::default();
    let mut new = world.requests(Some(Box::new(seen.clone())));
    new.assign(0..1);
    new.ask(3, &put("a"));
    new.ask(4, &put("b"));
    new.turn_until("both are decided", |_| seen.told().len() == 2);
    let told = seen.told();
    assert_eq!(told[0], (3, "conflict".into(), op_id.to_string()));
    assert_eq!((told[1].0, told[1].1.as_str()), (4, "committed"));
    assert_eq!(new.on_the_branch(), (5, 0));
}

#[test]
fn outcomes_whose_replies_were_lost_are_told_again_and_are_the_same() {
    let world = World::new(1);
    let lost = Mailbox { is_lost: true, ..Mailbox::default() };
    let mut old = world.requests(Some(Box::new(lost.clone())));
    old.assign(0..1);
    let producer = put("c").replace(
        "{\"message\"",
        "{\"producer\": {\"name\": \"job\", \"epoch\": 1, \"sequence\": 7}, \"message\"",
    );
    for (offset, value) in [
        (0, put("a")),
        (1, put("a")),
        (4, "{\"message\": \"nothing\", \"changes\": []}".to_owned()),
        (5, producer.clone()),
        (6, producer),
        (7, put("d").replace("{\"message\"", "{\"base\": \"nowhere\", \"message\"")),
    ] {
        old.ask(offset, &value);
    }
    old.turn_until("all are told", |_| lost.told().len() == 6);
    let names: Vec<String> = lost.told().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["committed", "conflict", "no_changes", "committed", "behind", "failed"]);
    assert_eq!(old.on_the_branch(), (8, 0));
    assert!(old.has_told(|event| matches!(event, Event::CameToNothing { offset: 7, .. })));
    // It ends without hearing that any of them was delivered.
    assert!(!old.engine.commit_all(&[place(0)]).unwrap());

    let seen = Mailbox::default();
    let mut new = world.requests(Some(Box::new(seen.clone())));
    new.assign(0..1);
    let begun = |event: &Event| matches!(event, Event::Assigned(starts) if starts[0].1 == 0);
    assert!(new.has_told(begun), "it reads them again");
    for (offset, ..) in lost.told() {
        // Whatever is read now: what counts is on the branch.
        new.ask(offset, &put("z"));
    }
    assert_eq!(seen.told(), lost.told());
    assert!(new.engine.commit_all(&[place(0)]).unwrap());
    // What is delivered is not told again.
    let third = world.requests(Some(Box::new(Mailbox::default())));
    assert_eq!(third.state().replied, Some(8));
}

#[test]
fn dead_letters_that_wait_together_are_one_file_in_one_commit_and_each_is_told_again() {
    let world = World::new(2);
    let sink = |replies: &Mailbox| {
        let mut sink = world.requests(Some(Box::new(replies.clone())));
        sink.settings().dead_letters = Some(dead_letters());
        sink.assign(0..2);
        sink
    };
    let lost = Mailbox { is_lost: true, ..Mailbox::default() };
    let mut old = sink(&lost);
    let values: Vec<String> = (0..45)
        .map(|offset| if offset % 44 == 2 { put("a") } else { "{\"chang".to_owned() })
        .collect();
    let ask = |sink: &mut Turned| {
        values.iter().zip(0..).for_each(|(value, offset)| sink.ask(offset, value));
    };
    ask(&mut old);
    old.turn_until("all are told", |_| lost.told().len() == 45);
    for (offset, outcome, _) in lost.told() {
        assert_eq!(outcome, if offset == 2 { "committed" } else { "failed" });
    }
    let files = || -> Vec<u64> {
        let told = old.told.lock().unwrap();
        let said = told.iter().filter_map(|event| match event {
            Event::Committed { files: 1, records, .. } => Some(*records),
            _ => None,
        });
        said.collect()
    };
    // Of those behind the change set as many are together as outcomes have room in a commit.
    assert_eq!((files()[0], files().iter().sum::<u64>()), (2, 44), "{:?}", files());
    assert!((3..=9).contains(&files().len()), "{:?}", files());
    assert_eq!(old.on_the_branch(), (45, 0));

    let seen = Mailbox::default();
    let mut new = sink(&seen);
    ask(&mut new);
    assert_eq!(seen.told(), lost.told(), "the same, and under the same ids");
}

#[test]
fn dead_letters_that_come_while_a_file_of_them_is_uploaded_are_one_file_behind_it() {
    let world = World::new(1);
    let mut sink = world.requests(None);
    sink.settings().dead_letters = Some(dead_letters());
    sink.assign(0..1);
    for offset in 0..6 {
        sink.ask(offset, "{\"chang");
        // What was uploaded is not heard of meanwhile.
        sink.engine.commit().unwrap();
    }
    sink.turn_until("all are told", |sink| sink.engine.report.records == 6);
    let told = sink.told.lock().unwrap();
    let files = told.iter().filter_map(|event| match event {
        Event::Committed { files: 1, records, .. } => Some(*records),
        _ => None,
    });
    assert_eq!(files.collect::<Vec<u64>>(), [1, 5]);
}

/// Dead letters without compression.
fn dead_letters() -> DeadLetterSettings {
    DeadLetterSettings {
        path: PathTemplate::parse(PathTemplate::DEAD_LETTERS).unwrap(),
        format: DeadLetters::new(Packing::None),
    }
}

#[test]
fn that_replies_are_delivered_is_on_the_branch_also_where_nothing_more_comes() {
    let world = World::new(1);
    let mut sink = world.requests(Some(Box::new(Mailbox::default())));
    sink.assign(0..1);
    sink.settings().standstill = Duration::ZERO;
    sink.ask(0, &put("a"));
    sink.ask(1, &put("b"));
    sink.turn_until("it is said", |sink| sink.state().replied == Some(2));
}

#[test]
fn outcomes_that_are_too_far_back_to_be_told_are_not_given_up_in_silence() {
    let world = World::new(1);
    let lost = world.three_lost_replies();
    let is_trouble = |event: &Event| matches!(event, Event::Trouble(_));
    // The claim, and what came before it.
    for (looked_through, is_told) in [(2, true), (9, false)] {
        let mut new = world.requests(Some(Box::new(lost.clone())));
        new.engine.ledger.looked_through_for_row = looked_through;
        new.assign(0..1);
        assert_eq!(new.has_told(is_trouble), is_told, "{:?}", new.told);
    }
}

#[test]
fn what_a_partition_was_told_before_it_was_cut_off_says_nothing_of_what_comes_then() {
    let world = World::new(1);
    let lost = world.three_lost_replies();
    let mut new = world.requests(Some(Box::new(lost)));
    new.settings().on_gap = OnGap::Skip;
    new.assign(0..1);
    world.cluster.lock().unwrap().range = 0..1;
    // It is looked at with each turn, until it is seen.
    new.settings().standstill = Duration::ZERO;
    let is_skipped = |event: &Event| matches!(event, Event::Skipped { next: 1, .. });
    new.turn_until("it is seen", |new| new.has_told(is_skipped));
    let is_lost =
        |event: &Event| matches!(event, Event::Trouble(what) if what.starts_with("3 outcomes"));
    assert!(new.has_told(is_lost));
    assert_eq!(new.engine.partitions[&place(0)].state.life, 0, "it is under way");
    // With what is said now it may end.
    until("it is committed", || new.on_the_branch() == (1, 1));
    assert_eq!(new.state().replied, Some(0));
}

#[test]
fn what_came_to_nothing_in_front_of_a_gap_is_told_by_its_own_offset() {
    let world = World::new(1);
    let mut sink = world.requests(None);
    sink.settings().on_gap = OnGap::Skip;
    sink.assign(0..1);
    sink.ask(0, &put("a"));
    sink.ask(1, &put("a"));
    world.cluster.lock().unwrap().range = 5..100;
    sink.settings().standstill = Duration::ZERO;
    sink.turn_until("both are decided", |sink| sink.on_the_branch() == (5, 0));
    sink.turn_until("it is told", |sink| {
        sink.has_told(|event| matches!(event, Event::CameToNothing { .. }))
    });
    assert!(sink.has_told(|event| matches!(event, Event::CameToNothing { offset: 1, .. })));
}

#[test]
fn a_record_that_is_no_change_set_takes_memory_until_its_outcome_is_told() {
    let world = World::new(1);
    let mut sink = world.requests(None);
    sink.settings().dead_letters = Some(dead_letters());
    sink.assign(0..1);
    sink.ask(0, &"x".repeat(10_000));
    sink.engine.bury().unwrap();
    sink.until_uploaded();
    assert!(sink.engine.partitions[&place(0)].memory() > 10_000);
    sink.turn_until("it is told", |sink| sink.on_the_branch() == (1, 0));
    sink.turn_until("it is gone", |sink| sink.engine.partitions[&place(0)].memory() == 0);
}

#[test]
fn what_became_of_an_op_is_asked_until_onward_answers() {
    let mut world = World::new(1);
    let mut old = world.requests(None);
    old.assign(0..1);
    old.ask(0, &put("a"));
    old.turn_until("it is there", |old| old.engine.report.commits == 1);
    let (op_id, _) = old.decide_unheard(1, &put("a"));
    let seen = Mailbox::default();
    let mut new = world.requests(Some(Box::new(seen.clone())));
    new.assign(0..1);
    new.ask(1, &put("a"));
    world.redis.stop();
    // It is under way, and meets no Redis.
    new.engine.commit().unwrap();
    assert!(new.engine.is_under_way);
    // By now that call has come back more than once.
    for _ in 0..2 {
        let shown = world.runtime.block_on(world.repo.branch("main").show());
        assert!(shown.unwrap_err().is_retryable());
    }
    world.redis.start();
    new.turn_until("it is told", |_| seen.told().len() == 1);
    assert_eq!(seen.told(), [(1, "conflict".into(), op_id.to_string())]);
}

#[test]
fn a_change_set_is_carried_out_by_one_of_two_owners() {
    let world = World::new(1);
    let (mut old, mut new) = (world.requests(None), world.requests(None));
    old.assign(0..1);
    new.assign(0..1);
    old.ask(0, &put("a"));
    old.turn_until("it hears that it is not its own", Turned::is_taken_over);
    assert_eq!(old.engine.report.commits, 0);
    new.ask(0, &put("a"));
    new.turn_until("it is there", |new| new.engine.report.commits == 1);
    assert!(!new.has_told(|event| matches!(event, Event::CameToNothing { .. })));
}

#[test]
fn what_is_no_change_set_ends_the_sink_with_where_it_is() {
    let world = World::new(1);
    let mut sink = world.requests(None);
    sink.assign(0..1);
    let own = |pair: &str| put("a").replace("{\"message\"", &format!("{{{pair}, \"message\""));
    let id = onward::OpId::of_producer("x", 1, 1);
    for (value, why) in [
        ("{".to_owned(), "EOF"),
        ("[]".to_owned(), "not a change set"),
        ("{\"changes\": [{\"put\": {}}]}".to_owned(), "missing field"),
        (own(&format!("\"op_id\": \"{id}\"")), "op_id"),
        (own("\"metadata\": {\"onward.kafka.group\": \"x\"}"), "onward.kafka."),
        (
            own("\"producer\": {\"name\": \"kafka/g/orders/0\", \"epoch\": 1, \"sequence\": 9}"),
            "kafka/g/orders/0",
        ),
        (
            own(
                "\"producer\": {\"name\": \"a\", \"epoch\": 1, \"sequence\": 1}, \"producers\": [{\"name\": \"b\", \"epoch\": 1, \"sequence\": 1}]",
            ),
            "send one of them",
        ),
    ] {
        let error = sink.engine.take(request(7, &value)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("offset 7 of orders/0"), "{error}");
        assert!(error.message().contains(why), "{error}");
    }
    assert_eq!(sink.on_the_branch(), (0, 0));
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
    old.turn_until("it hears that one op is none and another a commit", |old| {
        old.is_taken_over() && (301..599).contains(&old.engine.report.records)
    });
    old.turn_until("the others go on", |old| old.engine.report.records == 599);
    let said = old.valid_through();
    assert!(said.iter().all(|ms| *ms <= Some(1000)), "{said:?}");
    assert_eq!(said.last(), Some(&Some(1000)));
}

#[test]
fn a_partition_whose_offsets_are_far_back_is_not_begun_anew_in_silence() {
    let world = World::new(1);
    let mut first = world.sink();
    first.assign(0..1);
    first.take(0, 6, 1000);
    first.turn_until("it is there", |first| first.engine.report.records == 1);
    let branch = |name: &str| world.repo.branch(name);
    let others = |count: usize| {
        for _ in 0..count {
            let other = branch("main").change().message("another's").allow_empty(true);
            world.runtime.block_on(other.commit()).unwrap();
        }
    };
    // A branch that was made from the first has no rows.
    let begin = |name: &str, looked_through: [usize; 2], is_known: bool, on_gap: OnGap| {
        let create = async { branch(name).create(&onward::RefExpr::plain("main")).await };
        world.runtime.block_on(create).unwrap();
        let mut sink = world.sink();
        sink.engine.ledger = Ledger::new(&world.repo, name, "g").unwrap();
        let [looked_through, for_group] = looked_through;
        sink.engine.ledger.looked_through = looked_through;
        sink.engine.ledger.looked_through_for_group = for_group;
        Arc::get_mut(&mut sink.engine.settings).unwrap().on_gap = on_gap;
        world.cluster.lock().unwrap().is_known = is_known;
        let begun = sink.engine.react(Polled::Assigned(vec![place(0)]));
        begun.map(|()| {
            (sink.on_the_branch().0, sink.has_told(|event| matches!(event, Event::Skipped { .. })))
        })
    };
    others(4);
    assert_eq!(begin("near", [9, 9], false, OnGap::Fail).unwrap(), (7, false));
    // All commits say nothing of it behind the first few: the group knows that there is more.
    assert_eq!(begin("far", [3, 9], true, OnGap::Fail).unwrap(), (7, false));
    assert_eq!(begin("new", [3, 9], false, OnGap::Fail).unwrap(), (0, false));
    let error = begin("further", [2, 3], true, OnGap::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("read it before"), "{error}");
    assert_eq!(begin("skipped", [2, 3], true, OnGap::Skip).unwrap(), (0, true));
}

#[test]
fn a_new_client_waits_for_partitions_before_that_is_the_end() {
    let world = World::new(1);
    let mut sink = world.sink();
    sink.assign(0..1);
    sink.engine.assigned = Stopwatch::started_before(ASSIGNMENT_PATIENCE);
    sink.engine.react(Polled::Renewed(Error::unavailable("it fails"))).unwrap();
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
