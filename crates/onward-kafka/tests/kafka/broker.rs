//! On a real broker: what the mock cannot show. Each test has a topic, a group and a deployment of its own.

mod faults;
mod holes;
mod rights;
#[cfg(feature = "tls")]
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use onward::ErrorKind;
use onward_kafka::{Event, OnGap, Settings, Sink, state};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::change_sets::{put, send, until_all_told};
use crate::mock::Held;
use crate::support::lake::{Lake, Running, settings};
use crate::support::redis::RedisServer;
use crate::support::server::{Server, shared};
use crate::support::topics::{Topics, extend, member};
use crate::support::until::{hold, until, until_async};
use crate::support::worker::Worker;

const EAGER: &[(&str, &str)] = &[("partition.assignment.strategy", "range")];
const COOPERATIVE: &[(&str, &str)] = &[];
const NEW_PROTOCOL: &[(&str, &str)] = &[("group.protocol", "consumer")];

fn start(lake: &Lake, topics: &Topics, settings: Settings, more: &[(&str, &str)]) -> Running {
    let names: Vec<&str> = settings.topics.iter().map(|topic| &**topic).collect();
    let broker = member(&topics.brokers, &settings.group, &names, more);
    lake.start(settings, broker)
}

/// A sink in a process of its own.
fn spawn(lake: &Lake, topics: &Topics, group: &str, topic: &str, more: &[(&str, &str)]) -> Worker {
    let mut job = format!("sink {} {group} {topic}", topics.brokers);
    for (key, value) in more {
        job.push_str(&format!(" {key}={value}"));
    }
    let variables = [("ONWARD_REDIS", lake.redis.url()), ("ONWARD_STORAGE", lake.storage_url())];
    Worker::start(&job, &variables.each_ref().map(|(key, value)| (*key, value.as_str())))
}

/// One that carries out change sets and tells their outcomes.
fn spawn_changes(lake: &Lake, topics: &Topics, group: &str, topic: &str, replies: &str) -> Worker {
    let job = format!("changes {} {group} {topic} {replies}", topics.brokers);
    let variables = [("ONWARD_REDIS", lake.redis.url()), ("ONWARD_STORAGE", lake.storage_url())];
    Worker::start(&job, &variables.each_ref().map(|(key, value)| (*key, value.as_str())))
}

/// Waits until the worker reports something that begins so; returns it.
fn until_reported(worker: &mut Worker, what: &str) -> String {
    loop {
        let report = worker.report().unwrap_or_else(|| panic!("it ended before '{what}'"));
        assert!(!report.starts_with("ended"), "{report}");
        if report.starts_with(what) {
            return report;
        }
    }
}

async fn until_all_there(lake: &Lake, topic: &str, sent: &BTreeMap<i64, Vec<i64>>) {
    let count = |offsets: &BTreeMap<i64, Vec<i64>>| offsets.values().map(Vec::len).sum::<usize>();
    until_async("everything is on the branch", || async {
        count(&lake.offsets(topic).await) >= count(sent)
    })
    .await;
    assert_eq!(&lake.offsets(topic).await, sent, "each once, and in order");
}

/// Three consumers, of which one is killed again and again while records come, and replaced.
async fn killed(topic: &str, protocol: &[(&str, &str)]) {
    let (lake, topics) = (Lake::new().await, shared());
    topics.create(topic, 6).await;
    let mut sent = BTreeMap::new();
    let start = || spawn(&lake, &topics, topic, topic, protocol);
    let mut workers: Vec<Worker> = (0..3).map(|_| start()).collect();
    until_reported(&mut workers[0], "assigned");
    for round in 0..4 {
        extend(&mut sent, topics.fill(topic, 6, 100).await);
        // In the middle of whatever it does; the next joins, and partitions move twice.
        let victim = round % workers.len();
        workers[victim].kill9();
        workers[victim] = start();
        extend(&mut sent, topics.fill(topic, 6, 50).await);
    }
    until_all_there(&lake, topic, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_lose_and_double_nothing_in_the_eager_protocol() {
    killed("killed-eager", EAGER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_lose_and_double_nothing_in_the_cooperative_protocol() {
    killed("killed-cooperative", COOPERATIVE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_lose_and_double_nothing_in_the_new_protocol() {
    killed("killed-new", NEW_PROTOCOL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_slept_past_its_session_commits_nothing_of_what_it_had() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "asleep");
    topics.create(topic, 4).await;
    let mut sleeper = spawn(&lake, &topics, topic, topic, COOPERATIVE);
    until_reported(&mut sleeper, "assigned 4");
    let mut sent = topics.fill(topic, 4, 100).await;
    // With records in its hands that it has not committed.
    sleeper.stop();
    let mut other = spawn(&lake, &topics, topic, topic, COOPERATIVE);
    until_reported(&mut other, "assigned 4");
    extend(&mut sent, topics.fill(topic, 4, 100).await);
    until_all_there(&lake, topic, &sent).await;
    sleeper.resume();
    // It comes back into the group and takes its part.
    until_reported(&mut sleeper, "assigned");
    extend(&mut sent, topics.fill(topic, 4, 100).await);
    until_all_there(&lake, topic, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_read_from_their_first_record() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "added");
    topics.create(topic, 2).await;
    let mut sent = topics.fill(topic, 2, 20).await;
    let running = start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE);
    until_all_there(&lake, topic, &sent).await;
    topics.add_partitions(topic, 5).await;
    // A producer that has not heard of them yet refuses to send there.
    let topics = shared();
    extend(&mut sent, topics.fill(topic, 5, 20).await);
    until_all_there(&lake, topic, &sent).await;
    running.stop().await.unwrap();
}

/// Paused partitions move to another member, and come back.
async fn paused(topic: &str, protocol: &[(&str, &str)]) {
    let (lake, topics) = (Lake::new().await, shared());
    topics.create(topic, 4).await;
    let store = Held::new(&lake);
    let member_of = || member(&topics.brokers, topic, &[topic], protocol);
    let mut held = settings(topic, &[topic]);
    (held.partition_max, held.last_commit_patience) = (2_000, Duration::from_millis(200));
    let sink = Sink::new(&lake.repo(), "main", held).unwrap();
    let first = Running::of(sink.store(store.clone()), member_of());
    first.until_told("it has all", |event| is_assigned(event, 4)).await;
    let mut sent = topics.fill(topic, 4, 100).await;
    let paused = || {
        let told = first.events();
        let places = told.iter().filter_map(|event| match event {
            Event::Paused(places) => Some(places.clone()),
            _ => None,
        });
        places.flatten().collect::<BTreeSet<_>>().len()
    };
    until_async("all are paused", || async { paused() == 4 }).await;
    let second = start(&lake, &topics, settings(topic, &[topic]), protocol);
    second.until_told("it has some of them", |event| is_assigned(event, 2)).await;
    until_async("those are on the branch", || async { lake.offsets(topic).await.len() == 2 }).await;
    second.stop().await.unwrap();
    store.let_go();
    extend(&mut sent, topics.fill(topic, 4, 100).await);
    until_all_there(&lake, topic, &sent).await;
    first.stop().await.unwrap();
}

fn is_assigned(event: &Event, partitions: usize) -> bool {
    matches!(event, Event::Assigned(starts) if starts.len() == partitions)
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_while_they_are_paused_are_read_again_in_the_eager_protocol() {
    paused("paused-eager", EAGER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_while_they_are_paused_are_read_again_in_the_cooperative_protocol() {
    paused("paused-cooperative", COOPERATIVE).await;
}

/// Begins a transaction with records in it, and does not end it.
fn transaction(topics: &Topics, id: &str, topic: &str, values: usize) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &topics.brokers)
        .set("transactional.id", id)
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
    producer.begin_transaction().unwrap();
    for n in 0..values {
        let value = format!("{{\"id\":\"{id}\",\"n\":{n}}}");
        producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(&value)).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    producer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_aborted_is_not_there_and_what_is_open_is_waited_for() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "transactions");
    topics.create(topic, 1).await;
    let patience = Duration::from_secs(30);
    transaction(&topics, "first", topic, 5).commit_transaction(patience).unwrap();
    transaction(&topics, "second", topic, 5).abort_transaction(patience).unwrap();
    // Offsets 0 to 4, a marker, five that are aborted, a marker: a restart in the hole is one at its place.
    let mut settings = settings(topic, &[topic]);
    settings.exit_at_end = true;
    let report = start(&lake, &topics, settings.clone(), COOPERATIVE).end().await.unwrap();
    assert_eq!(report.records, 5);
    let report = start(&lake, &topics, settings.clone(), COOPERATIVE).end().await.unwrap();
    assert_eq!(report.records, 0);
    let open = transaction(&topics, "third", topic, 5);
    let behind = topics.send(topic, 0, "{}").await;
    settings.exit_at_end = false;
    let running = start(&lake, &topics, settings, COOPERATIVE);
    running
        .until_told("it is said what holds records back", |event| {
            matches!(event, Event::HeldBack(_))
        })
        .await;
    assert_eq!(lake.offsets(topic).await[&0], [0, 1, 2, 3, 4]);
    open.commit_transaction(patience).unwrap();
    let sent = BTreeMap::from([(0, vec![0, 1, 2, 3, 4, 12, 13, 14, 15, 16, behind])]);
    until_all_there(&lake, topic, &sent).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_noticed_while_running_and_at_the_start() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "again");
    topics.create(topic, 2).await;
    let first = topics.fill(topic, 2, 10).await;
    let running = start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE);
    until_all_there(&lake, topic, &first).await;
    topics.delete(topic).await;
    // With more records than the old one had: the offset on the branch is one of the new topic as well.
    topics.create(topic, 2).await;
    let second = topics.fill(topic, 2, 30).await;
    let error = running.end().await.unwrap_err();
    assert!([ErrorKind::Conflict, ErrorKind::NotFound].contains(&error.kind()), "{error:?}");
    assert_eq!(
        lake.offsets(topic).await,
        first,
        "nothing of the new one under offsets of the old one"
    );

    let error =
        start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.message().contains("made again") && error.message().contains("--on-gap skip"),
        "{error}"
    );

    let mut skip = settings(topic, &[topic]);
    (skip.on_gap, skip.exit_at_end) = (OnGap::Skip, true);
    start(&lake, &topics, skip, COOPERATIVE).end().await.unwrap();
    let mut both: BTreeMap<i64, Vec<i64>> = first;
    extend(&mut both, second);
    let mut there = lake.offsets(topic).await;
    // Files of two lives are in no order to each other.
    there.values_mut().chain(both.values_mut()).for_each(|offsets| offsets.sort_unstable());
    assert_eq!(there, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_the_broker_has_deleted_are_told_and_never_passed_over_in_silence() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "deleted");
    topics.create(topic, 2).await;
    let first = topics.fill(topic, 2, 10).await;
    let mut to_the_end = settings(topic, &[topic]);
    to_the_end.exit_at_end = true;
    start(&lake, &topics, to_the_end.clone(), COOPERATIVE).end().await.unwrap();
    let mut sent = first;
    let second = topics.fill(topic, 2, 10).await;
    topics.delete_before(topic, 1, 15).await;
    let error =
        start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert!(error.message().contains("offsets 10 to 14 are gone"), "{error}");

    let mut skip = to_the_end;
    skip.on_gap = OnGap::Skip;
    let running = start(&lake, &topics, skip, COOPERATIVE);
    running
        .until_told(
            "the gap is told",
            |event| matches!(event, Event::Skipped { place, next: 15, .. } if place.partition == 1),
        )
        .await;
    running.end().await.unwrap();
    extend(&mut sent, second);
    sent.get_mut(&1).unwrap().retain(|offset| !(10..15).contains(offset));
    assert_eq!(lake.offsets(topic).await, sent);
    let skipped = lake.newest_pair(state::SKIPPED_KEY).await.unwrap();
    assert_eq!(skipped, format!("{topic}/1:10-15"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    let (lake, topic) = (Lake::new().await, "restarted");
    let mut server = Server::new().await;
    let topics = Topics::at(&server.brokers());
    topics.create(topic, 3).await;
    let mut sent = topics.fill(topic, 3, 100).await;
    let running = start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE);
    running.until_told("it commits", |event| matches!(event, Event::Committed { .. })).await;
    for _ in 0..2 {
        server.kill9();
        server.start().await;
        extend(&mut sent, topics.fill(topic, 3, 50).await);
        until_all_there(&lake, topic, &sent).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_emptied_loses_and_doubles_nothing() {
    let topics = shared();
    let (mut lake, topic) = (Lake::on(RedisServer::forgetful()).await, "emptied");
    topics.create(topic, 3).await;
    let mut sent = BTreeMap::new();
    let running = start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE);
    for _ in 0..3 {
        extend(&mut sent, topics.fill(topic, 3, 100).await);
        lake.redis.kill9();
        extend(&mut sent, topics.fill(topic, 3, 50).await);
        lake.redis.start();
        until_all_there(&lake, topic, &sent).await;
    }
    let mut other = spawn(&lake, &topics, topic, topic, COOPERATIVE);
    until_reported(&mut other, "assigned");
    let _: () = lake.redis.command(&["FLUSHALL"]);
    extend(&mut sent, topics.fill(topic, 3, 100).await);
    until_all_there(&lake, topic, &sent).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_away_for_a_while_loses_and_doubles_nothing() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "away");
    topics.create(topic, 3).await;
    let mut sent = topics.fill(topic, 3, 50).await;
    let running = start(&lake, &topics, settings(topic, &[topic]), COOPERATIVE);
    until_all_there(&lake, topic, &sent).await;
    // What cannot be written to: a file is where the folder of uploads was, and then one in the log's.
    for folder in ["data", "log"] {
        let path = find(lake.storage.path(), folder).unwrap();
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).unwrap();
        std::fs::write(&path, "").unwrap();
        extend(&mut sent, topics.fill(topic, 3, 50).await);
        hold(Duration::from_secs(3)).await;
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        until_all_there(&lake, topic, &sent).await;
    }
    running.stop().await.unwrap();
}

fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    folders.into_iter().find_map(|path| {
        let is_it = path.file_name().is_some_and(|found| found == name);
        if is_it { Some(path) } else { find(&path, name) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_carry_each_change_set_out_once_and_tell_every_outcome() {
    let (lake, topics) = (Lake::new().await, shared());
    let (topic, reply_topic) = ("change-sets", "change-sets-replies");
    topics.create(topic, 3).await;
    topics.create(reply_topic, 1).await;
    let start = || spawn_changes(&lake, &topics, topic, topic, reply_topic);
    let mut workers: Vec<Worker> = (0..2).map(|_| start()).collect();
    until_reported(&mut workers[0], "assigned");
    let mut expected = BTreeMap::new();
    for round in 0..5_usize {
        let mut requests = Vec::new();
        for partition in 0..3 {
            for n in 0..40 {
                let offset = (round * 40 + n) as i64;
                // Of two that put the same path, the second is a conflict.
                let outcome = if n % 2 == 0 { "committed" } else { "conflict" };
                expected.insert((partition, offset), outcome);
                requests.push((partition, put(&format!("{partition}/{round}/{}", n / 2))));
            }
        }
        send(&topics.brokers, topic, &requests);
        let victim = round % workers.len();
        // In the middle of it: some are decided, and of those some are told.
        until_reported(&mut workers[victim], "committed");
        workers[victim].kill9();
        workers[victim] = start();
    }
    until_all_told(&lake, &topics, reply_topic, &expected).await;
}

/// Two members under one name, the second of which comes while the first is there.
async fn static_members(lake: &Lake, topic: &str, protocol: &[(&str, &str)]) -> [Running; 2] {
    let topics = shared();
    topics.create(topic, 2).await;
    let named: Vec<_> = [protocol, &[("group.instance.id", "one")]].concat();
    let first = start(lake, &topics, settings(topic, &[topic]), &named);
    let is_assigned = |event: &Event| matches!(event, Event::Assigned(_));
    first.until_told("the first has its partitions", is_assigned).await;
    let second = start(lake, &topics, settings(topic, &[topic]), &named);
    [first, second]
}

/// One of them ends and says why, the other brings what comes.
async fn ends_for_the_other(lake: &Lake, topic: &str, loser: Running, winner: Running) {
    let error = loser.end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    assert!(error.message().contains("group.instance.id"), "{error}");
    let sent = shared().fill(topic, 2, 20).await;
    until_all_there(lake, topic, &sent).await;
    winner.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_static_members_of_one_name_the_newer_stays_in_the_classic_protocol() {
    let (lake, topic) = (Lake::new().await, "static-classic");
    let [first, second] = static_members(&lake, topic, EAGER).await;
    ends_for_the_other(&lake, topic, first, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_static_members_of_one_name_the_older_stays_in_the_new_protocol() {
    let (lake, topic) = (Lake::new().await, "static-new");
    let [first, second] = static_members(&lake, topic, NEW_PROTOCOL).await;
    ends_for_the_other(&lake, topic, second, first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_larger_than_a_file_is_one_by_itself() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "large");
    topics.create(topic, 1).await;
    let large = format!("{{\"padding\":\"{}\"}}", "x".repeat(700_000));
    let mut offsets = Vec::new();
    for value in ["1", &large, "2", &large] {
        offsets.push(topics.send(topic, 0, value).await);
    }
    let mut settings = settings(topic, &[topic]);
    (settings.roll.bytes, settings.exit_at_end) = (1_000, true);
    let report = start(&lake, &topics, settings, COOPERATIVE).end().await.unwrap();
    assert_eq!((report.records, report.files), (4, 2));
    assert_eq!(lake.offsets(topic).await, BTreeMap::from([(0, offsets)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_valid_through_of_a_group_is_that_of_the_process_that_is_furthest_behind() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "together");
    topics.create(topic, 4).await;
    let mut sent = topics.fill(topic, 4, 5).await;
    // The one that stands still keeps its partitions meanwhile.
    let patient = [("session.timeout.ms", "45000")];
    let mut first = spawn(&lake, &topics, topic, topic, &patient);
    until_reported(&mut first, "assigned 4");
    let mut second = spawn(&lake, &topics, topic, topic, &patient);
    until_reported(&mut second, "assigned 2");
    until_all_there(&lake, topic, &sent).await;
    let lake = &lake;
    let said = || async { lake.newest_pair(state::VALID_THROUGH_KEY).await };
    let time = |said: Option<String>| {
        said.map(|said| said.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    };
    let now_ms = || jiff::Timestamp::now().as_millisecond();
    second.stop();
    // Records have milliseconds: those that come from now on have later ones than this.
    let stopped = now_ms();
    until("the next millisecond", || now_ms() > stopped);
    let count = || async { lake.offsets(topic).await.values().map(Vec::len).sum::<usize>() };
    let before = count().await;
    extend(&mut sent, topics.fill(topic, 4, 5).await);
    until_async("one of them goes on", || async { count().await > before }).await;
    // The other one's partitions are as far as they were.
    assert!(time(said().await).is_some_and(|said| said <= stopped));
    second.resume();
    until_all_there(lake, topic, &sent).await;
    extend(&mut sent, topics.fill(topic, 4, 5).await);
    until_all_there(lake, topic, &sent).await;
    until_async("both are further", || async {
        time(said().await).is_some_and(|said| said > stopped)
    })
    .await;
}
