//! On librdkafka's mock cluster: what the sink does by itself, whatever the brokers are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::admin::{Action, Rule};
use onward::{Entry, Error, ErrorKind, RefExpr};
use onward_kafka::file::Content;
use onward_kafka::format::{DeadLetters, Packing};
use onward_kafka::path::PathTemplate;
use onward_kafka::{
    BranchStore, DeadLetterSettings, Event, LinkedStore, Settings, Sink, Store, state,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureRecord};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::support::lake::{Lake, Running, settings};
use crate::support::topics::{Topics, extend, member};
use crate::support::until::until_async;

/// A mock cluster with a topic.
pub struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    pub topics: Topics,
}

impl Mock {
    pub fn new(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        let topics = Topics::at(&cluster.bootstrap_servers());
        Self { cluster, topics }
    }

    fn brokers(&self) -> &str {
        &self.topics.brokers
    }

    pub fn start(&self, lake: &Lake, settings: Settings) -> Running {
        let topics: Vec<&str> = settings.topics.iter().map(|topic| &**topic).collect();
        let broker = member(self.brokers(), &settings.group, &topics, &[]);
        lake.start(settings, broker)
    }
}

fn to_the_end(group: &str, topics: &[&str]) -> Settings {
    let mut settings = settings(group, topics);
    settings.exit_at_end = true;
    settings
}

fn list_of(topic: &str, partitions: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    list
}

fn is_assigned(event: &Event) -> bool {
    matches!(event, Event::Assigned(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_on_the_branch_once_and_in_order() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 4));
    let sent = mock.topics.fill("orders", 4, 500).await;
    let mut settings = to_the_end("g", &["orders"]);
    settings.roll.records = 70;
    let report = mock.start(&lake, settings).end().await.unwrap();
    assert_eq!((report.records, report.files), (2000, 4 * 500_u64.div_ceil(70)));
    assert_eq!(lake.offsets("orders").await, sent);
    // Values are as they were sent, each where its offset says.
    for lines in lake.files().await.into_values() {
        assert!(lines.iter().all(|line| line["value"]["p"] == line["partition"]), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_goes_on_where_the_branch_is_and_not_where_the_group_is() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 2));
    // The group is said to be further, by somebody who commits offsets for it.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", mock.brokers()).set("group.id", "g");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("orders", 0, Offset::Offset(30)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    drop(consumer);
    let mut sent = mock.topics.fill("orders", 2, 50).await;
    mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    assert_eq!(lake.offsets("orders").await, sent);
    // Now it is told how far it is, for those who watch its lag.
    let consumer: BaseConsumer = config.create().unwrap();
    until_async("the group is told", || async {
        let places = list_of("orders", 2);
        let told = consumer.committed_offsets(places, Duration::from_secs(10)).unwrap();
        told.elements().iter().all(|one| one.offset() == Offset::Offset(50))
    })
    .await;
    drop(consumer);
    extend(&mut sent, mock.topics.fill("orders", 2, 30).await);
    let report = mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    assert_eq!(report.records, 60);
    assert_eq!(lake.offsets("orders").await, sent);
    // Nothing to do is done by no commit but the claim.
    let report = mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    assert_eq!((report.records, report.commits), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_had_the_partitions_before_is_shut_out() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 3));
    // Two groups of the cluster, which so gives all partitions to both, are one group of the branch: the
    // first process is what a zombie is after a rebalance that it has not heard of.
    let brokers = mock.brokers();
    let mut slow = settings("g", &["orders"]);
    slow.commit_every = Duration::from_secs(2);
    let zombie = lake.start(slow, member(brokers, "g", &["orders"], &[]));
    zombie.until_told("the first has its partitions", is_assigned).await;
    let mut sent = mock.topics.fill("orders", 3, 20).await;
    let next = lake.start(settings("g", &["orders"]), member(brokers, "other", &["orders"], &[]));
    next.until_told("the second has its partitions", is_assigned).await;
    extend(&mut sent, mock.topics.fill("orders", 3, 40).await);
    let is_shut_out = |event: &Event| matches!(event, Event::TakenOver(_));
    zombie.until_told("the first is shut out", is_shut_out).await;
    until_async("everything is there", || async { lake.offsets("orders").await == sent }).await;
    let report = next.stop().await.unwrap();
    zombie.stop().await.unwrap();
    assert!(report.records >= 120, "{report:?}");
    assert_eq!(lake.offsets("orders").await, sent);
}

/// A store that does not answer before it is let go.
pub struct Held {
    store: BranchStore,
    is_held: AtomicBool,
}

impl Held {
    pub fn new(lake: &Lake) -> Arc<Self> {
        let store = BranchStore::new(lake.repo().branch("main"));
        Arc::new(Self { store, is_held: AtomicBool::new(true) })
    }

    pub fn let_go(&self) {
        self.is_held.store(false, Ordering::Relaxed);
    }
}

impl Store for Held {
    fn put<'a>(
        &'a self,
        path: &'a str,
        content: &'a Content,
    ) -> BoxFuture<'a, onward::Result<Entry>> {
        async move {
            match self.is_held.load(Ordering::Relaxed) {
                true => Err(Error::unavailable("the store is away")),
                false => self.store.put(path, content).await,
            }
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_pauses_partitions_and_holds_memory() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 4));
    let padding = "x".repeat(1000);
    let send = |partition: i32| {
        let (topics, padding) = (&mock.topics, &padding);
        async move {
            let value = format!("{{\"p\":{partition},\"padding\":\"{padding}\"}}");
            let sends = (0..4000).map(|_| topics.send("orders", partition, &value));
            let mut offsets = futures::future::join_all(sends).await;
            offsets.sort_unstable();
            (i64::from(partition), offsets)
        }
    };
    let sent: BTreeMap<i64, Vec<i64>> =
        futures::future::join_all((0..4).map(send)).await.into_iter().collect();
    let store = Held::new(&lake);
    let mut settings = to_the_end("g", &["orders"]);
    settings.roll.bytes = 100_000;
    settings.memory_max = 1 << 20;
    settings.partition_max = 600_000;
    // A fetch that finds the queue full is tried again soon, and not a second later.
    let small = [("queued.max.messages.kbytes", "200"), ("fetch.queue.backoff.ms", "10")];
    let broker = member(mock.brokers(), "g", &["orders"], &small);
    let sink = Sink::new(&lake.repo(), "main", settings).unwrap();
    let running = Running::of(sink.store(Arc::clone(&store) as Arc<dyn Store>), broker);
    // Of 16,000 records of a KB, what waits and what is fetched ahead is less than 4 MB.
    let is_held = |event: &Event| matches!(event, Event::Lag(lag) if *lag >= 12_000);
    let is_paused = |event: &Event| matches!(event, Event::Paused(_));
    running.until_told("partitions are paused", is_paused).await;
    let told = running.events().len();
    until_async("it is polled on, and nothing more is read", || async {
        let events = running.events();
        let mut lags = events[told..].iter().filter(|event| matches!(event, Event::Lag(_)));
        lags.clone().count() >= 3 && lags.all(is_held)
    })
    .await;
    assert!(lake.files().await.is_empty());
    store.let_go();
    let report = running.end().await.unwrap();
    assert_eq!(report.records, 16_000);
    assert_eq!(lake.offsets("orders").await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_once_and_clearly() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    let error = mock.start(&lake, settings("g", &["oders"])).end().await.unwrap_err();
    // The mock makes topics by itself unless it is told not to: what it says of a name is told here.
    assert!(error.message().contains("'oders'"), "{error}");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.cluster.topic_error("orders", refused).unwrap();
    let error = mock.start(&lake, settings("g", &["orders"])).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.message().contains("no right to the topic"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_parse_is_a_dead_letter_or_the_end() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    for value in ["1", "{", "3"] {
        mock.topics.send("orders", 0, value).await;
    }
    let error = mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("offset 1 of orders/0"), "{error}");
    assert!(lake.files().await.is_empty());
    let mut settings = to_the_end("g", &["orders"]);
    settings.dead_letters = Some(DeadLetterSettings {
        path: PathTemplate::parse("dead/{topic}/{partition}/{first_offset}.{ext}").unwrap(),
        format: DeadLetters::new(Packing::None),
    });
    let report = mock.start(&lake, settings).end().await.unwrap();
    assert_eq!((report.records, report.files, report.commits), (3, 2, 1));
    assert_eq!(lake.offsets("orders").await, BTreeMap::from([(0, vec![0, 2])]));
    let files = lake.files().await;
    let dead = files.iter().find(|(path, _)| path.starts_with("dead/")).unwrap().1;
    assert_eq!((dead.len(), &dead[0]["offset"]), (1, &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_says_up_to_when_everything_is_there() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 2));
    let before = now_ms();
    mock.topics.fill("orders", 1, 5).await;
    let mut settings = settings("g", &["orders"]);
    settings.idle_commit_every = Some(Duration::from_millis(500));
    let running = mock.start(&lake, settings);
    // One of the partitions has no records: that it is read to its end counts.
    let key = state::VALID_THROUGH_KEY;
    until_async("it is told", || async { lake.newest_pair(key).await.is_some() }).await;
    let first = lake.newest_pair(key).await.unwrap();
    until_async("it goes on without records", || async {
        lake.newest_pair(key).await.is_some_and(|newest| newest > first)
    })
    .await;
    running.stop().await.unwrap();
    let told: Vec<jiff::Timestamp> =
        lake.pairs(key).await.iter().map(|text| text.parse().unwrap()).collect();
    assert!(told.is_sorted_by(|newer, older| newer >= older), "{told:?}");
    // Statistics count seconds.
    assert!(told.iter().all(|time| time.as_millisecond() > before - 2000), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_day_to_come_makes_nothing_complete_up_to_that_day() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    let to_come = FutureRecord::<(), str>::to("orders").partition(0).payload("{}");
    mock.topics.send_record(to_come.timestamp(4_102_444_800_000)).await;
    let mut settings = settings("g", &["orders"]);
    settings.exit_at_end = true;
    let report = mock.start(&lake, settings).end().await.unwrap();
    assert_eq!(report.records, 1);
    let told = lake.newest_pair(state::VALID_THROUGH_KEY).await.unwrap();
    let told: jiff::Timestamp = told.parse().unwrap();
    assert!(told.as_millisecond() <= now_ms(), "{told}");
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn more_partitions_than_an_op_can_carry_are_several_ops() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 300));
    let sent = mock.topics.fill("orders", 300, 2).await;
    let report = mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    assert_eq!(report.records, 600);
    assert!(report.commits > 1, "{report:?}");
    assert_eq!(lake.offsets("orders").await, sent);
    let report = mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    assert_eq!(report.records, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_protected_or_gone_ends_the_sink_with_the_rule() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    mock.topics.fill("orders", 1, 3).await;
    let repo = lake.repo();
    repo.branch("work").create(&RefExpr::plain("main")).await.unwrap();
    let start = |branch: &str| {
        let sink = Sink::new(&repo, branch, settings("g", &["orders"])).unwrap();
        Running::of(sink, member(mock.brokers(), "g", &["orders"], &[]))
    };
    let running = start("work");
    running.until_told("it commits", |event| matches!(event, Event::Committed { .. })).await;
    repo.branch("work").delete().await.unwrap();
    mock.topics.fill("orders", 1, 3).await;
    let error = running.end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains("work"), "{error}");

    // It is protected under way, and once more before it begins.
    let running = start("main");
    running.until_told("it commits", |event| matches!(event, Event::Committed { .. })).await;
    repo.protect(Rule::new("main").only([Action::Commit])).await.unwrap();
    let there = lake.offsets("orders").await;
    mock.topics.fill("orders", 1, 3).await;
    for running in [running, start("main")] {
        let error = running.end().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.message().contains("main"), "{error}");
    }
    assert_eq!(lake.offsets("orders").await, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_made_from_another_goes_on_where_that_is() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 2));
    mock.topics.fill("orders", 2, 10).await;
    mock.start(&lake, to_the_end("g", &["orders"])).end().await.unwrap();
    let repo = lake.repo();
    repo.branch("copy").create(&RefExpr::plain("main")).await.unwrap();
    mock.topics.fill("orders", 2, 4).await;
    let sink = Sink::new(&repo, "copy", to_the_end("g", &["orders"])).unwrap();
    let broker = member(mock.brokers(), "g", &["orders"], &[]);
    let report = Running::of(sink, broker).end().await.unwrap();
    assert_eq!(report.records, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense_are_refused() {
    let lake = Lake::new().await;
    let refused = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings("g", &["orders"]);
        change(&mut settings);
        let error = Sink::new(&lake.repo(), "main", settings).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.message().to_owned()
    };
    assert!(refused(&|settings| settings.group.clear()).contains("group"));
    assert!(refused(&|settings| settings.topics.clear()).contains("topic"));
    assert!(refused(&|settings| settings.roll.records = 0).contains("roll"));
    assert!(refused(&|settings| settings.memory_max = 1).contains("memory"));
    let same = |settings: &mut Settings| {
        settings.topics = vec!["a".into(), "b".into()];
        settings.path = PathTemplate::parse("{partition}-{first_offset}").unwrap();
    };
    assert!(refused(&same).contains("{topic}"));
    let dead = |settings: &mut Settings| {
        settings.dead_letters = Some(DeadLetterSettings {
            path: settings.path.clone(),
            format: DeadLetters::new(Packing::None),
        });
    };
    assert!(refused(&dead).contains("dead letters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_another_store_are_linked_from_where_they_lie() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 2));
    let sent = mock.topics.fill("orders", 2, 30).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = lake.onward.elsewhere(&format!("file://{}", dir.path().display()), &[]).unwrap();
    let mut settings = to_the_end("g", &["orders"]);
    settings.roll.records = 7;
    let sink = Sink::new(&lake.repo(), "main", settings).unwrap();
    let broker = member(mock.brokers(), "g", &["orders"], &[]);
    let linked = sink.store(Arc::new(LinkedStore::new(folder)));
    let report = Running::of(linked, broker).end().await.unwrap();
    assert_eq!(report.records, 60);
    let mut offsets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (path, entry) in lake.entries().await {
        let file = entry.address.strip_prefix("file://").unwrap();
        assert!(file.starts_with(dir.path().to_str().unwrap()), "{path}: {file}");
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(text.len() as u64, entry.size);
        for line in
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        {
            let of = line["partition"].as_i64().unwrap();
            offsets.entry(of).or_default().push(line["offset"].as_i64().unwrap());
        }
    }
    assert_eq!(offsets, sent);
}
