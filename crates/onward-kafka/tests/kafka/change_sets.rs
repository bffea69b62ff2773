//! Topics of change sets: each record a commit of its own, its outcome told on another topic.

use std::collections::BTreeMap;
use std::time::Duration;

use onward_kafka::format::{DeadLetters, Packing};
use onward_kafka::path::PathTemplate;
use onward_kafka::{DeadLetterSettings, ReplyTopic, Settings, Sink, state};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::lake::{Lake, Running};
use crate::support::topics::{client, member};

const PATIENCE: Duration = Duration::from_secs(30);

/// A change set that puts a path which must not be there.
pub fn put(path: &str) -> String {
    format!(
        "{{\"message\":\"put {path}\",\"metadata\":{{\"job\":\"test\"}},\"changes\":[{{\"put\":{{\"path\":\"{path}\",\"address\":\"s3://raw/{path}\",\"checksum\":\"c\",\"size\":1}},\"if\":{{\"absent\":true}}}}]}}"
    )
}

/// Sends requests, each with its number as key and as correlation id.
pub fn send(brokers: &str, topic: &str, requests: &[(i32, String)]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for (number, (partition, value)) in requests.iter().enumerate() {
        let number = number.to_string();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "Correlation-Id", value: Some(&number) })
            .insert(Header { key: "other", value: Some("x") });
        let record = BaseRecord::to(topic).partition(*partition).key(&number).payload(value);
        producer.send(record.headers(headers)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// A reply as a client reads it.
#[derive(Debug)]
pub struct Read {
    pub key: String,
    pub headers: BTreeMap<String, String>,
    pub outcome: Value,
}

impl Read {
    /// The partition and offset of the record that asked.
    pub fn of(&self) -> (i32, i64) {
        let number = |name: &str| self.headers[name].parse::<i64>().unwrap();
        (number("onward-partition") as i32, number("onward-offset"))
    }
}

/// All replies that there are.
pub fn replies(brokers: &str, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "requesters")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
    let mut read = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while (read.len() as i64) < end {
        let message = consumer.poll(PATIENCE).unwrap().unwrap();
        let headers = message.headers().unwrap().iter();
        read.push(Read {
            key: text(message.key().unwrap()),
            headers: headers.map(|one| (one.key.to_owned(), text(one.value.unwrap()))).collect(),
            outcome: serde_json::from_slice(message.payload().unwrap()).unwrap(),
        });
    }
    read
}

fn to_the_end(group: &str, topic: &str) -> Settings {
    let mut settings = Settings::change_sets(group, [topic]).unwrap();
    settings.exit_at_end = true;
    settings
}

fn start(lake: &Lake, brokers: &str, settings: Settings, reply_topic: &str) -> Running {
    let topics: Vec<&str> = settings.topics.iter().map(|topic| &**topic).collect();
    let broker = member(brokers, &settings.group, &topics, &[]);
    let replies = ReplyTopic::connect(&client(brokers, &[]), reply_topic).unwrap();
    let sink = Sink::new(&lake.repo(), "main", settings).unwrap();
    Running::of(sink.replies(replies), broker)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_set_is_a_commit_of_its_own_and_its_outcome_is_told() {
    let (lake, cluster) = (Lake::new().await, MockCluster::new(1).unwrap());
    cluster.create_topic("requests", 2, 1).unwrap();
    cluster.create_topic("replies", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let requests = [
        (0, put("a")),
        (0, put("a")),
        (0, "{\"chang".to_owned()),
        (0, "{\"changes\":[{\"delete\":{\"path\":\"a\"}}]}".to_owned()),
        (0, put("a")),
        (1, put("b")),
    ];
    send(&brokers, "requests", &requests);
    let mut settings = to_the_end("g", "requests");
    settings.dead_letters = Some(DeadLetterSettings {
        path: PathTemplate::parse("dead/{topic}/{partition}/{first_offset}.{ext}").unwrap(),
        format: DeadLetters::new(Packing::None),
    });
    let running = start(&lake, &brokers, settings.clone(), "replies");
    let report = running.end().await.unwrap();
    assert_eq!((report.records, report.files), (6, 1));

    let told = replies(&brokers, "replies");
    let outcomes: BTreeMap<(i32, i64), &str> =
        told.iter().map(|one| (one.of(), one.outcome["outcome"].as_str().unwrap())).collect();
    let expected = [
        ((0, 0), "committed"),
        ((0, 1), "conflict"),
        ((0, 2), "failed"),
        ((0, 3), "committed"),
        ((0, 4), "committed"),
        ((1, 0), "committed"),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(told.len(), 6, "each once, where nothing goes wrong");
    for one in &told {
        assert_eq!(one.headers["Correlation-Id"], one.key);
        assert_eq!((&*one.headers["onward-topic"], one.headers.len()), ("requests", 4));
    }
    let conflict = told.iter().find(|one| one.of() == (0, 1)).unwrap();
    assert_eq!(conflict.outcome["conflicts"][0]["path"], "a");
    // The commit is what the record says, and says which record it is of.
    let committed = told.iter().find(|one| one.of() == (0, 0)).unwrap();
    let commit = committed.outcome["commit"].as_str().unwrap().parse().unwrap();
    let info = lake.repo().commit_info(commit).await.unwrap();
    assert_eq!(info.commit.message, "put a");
    assert_eq!(info.commit.metadata["job"], "test");
    assert_eq!(info.commit.metadata[state::RECORD_KEY], "requests/0:0");
    assert_eq!(committed.outcome["op_id"], info.commit.op_id.to_string());
    // The dead letter is in the commit that tells its outcome.
    let head = "main@".parse().unwrap();
    let dead = format!("dead/requests/0/{:020}.jsonl", 2);
    lake.repo().stat(&head, &dead.parse().unwrap()).await.unwrap();

    // Nothing is left to do or to tell.
    let report = start(&lake, &brokers, settings, "replies").end().await.unwrap();
    assert_eq!(report.records, 0);
    assert_eq!(replies(&brokers, "replies").len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_topic_that_is_not_there_is_told_before_anything_is_done() {
    let cluster = MockCluster::new(1).unwrap();
    let refused = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.create_topic("replies", 1, 1).unwrap();
    cluster.topic_error("replies", refused).unwrap();
    let brokers = cluster.bootstrap_servers();
    let error = ReplyTopic::connect(&client(&brokers, &[]), "replies").err().unwrap();
    assert_eq!(error.kind(), onward::ErrorKind::Forbidden, "{error}");
    assert!(error.message().contains("'replies'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_change_set_ends_the_sink_without_dead_letters_behind_what_came_before() {
    let (lake, cluster) = (Lake::new().await, MockCluster::new(1).unwrap());
    cluster.create_topic("requests", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    send(&brokers, "requests", &[(0, put("a")), (0, "7".to_owned())]);
    let settings = to_the_end("g", "requests");
    let broker = member(&brokers, "g", &["requests"], &[]);
    let error = lake.start(settings, broker).end().await.unwrap_err();
    assert_eq!(error.kind(), onward::ErrorKind::InvalidInput);
    assert!(error.message().contains("offset 1 of requests/0"), "{error}");
    assert!(lake.entries().await.contains_key("a"), "what came before it does not wait for it");
}

/// Waits for what is told of each record, on the branch and on the topic; returns how many came twice.
#[cfg(feature = "broker-tests")]
pub async fn until_all_told(
    lake: &Lake,
    topics: &crate::support::topics::Topics,
    reply_topic: &str,
    expected: &BTreeMap<(i32, i64), &str>,
) -> usize {
    use crate::support::until::until_async;

    until_async("everything is decided", || async {
        lake.pairs(state::RECORD_KEY).await.len() >= expected.len()
    })
    .await;
    let told = || replies(&topics.brokers, reply_topic);
    until_async("everything is told", || async {
        let told: std::collections::BTreeSet<_> = told().iter().map(Read::of).collect();
        told.len() >= expected.len()
    })
    .await;
    // Each record moved the branch once.
    let records = lake.pairs(state::RECORD_KEY).await;
    let once: std::collections::BTreeSet<&String> = records.iter().collect();
    assert_eq!((once.len(), records.len()), (expected.len(), expected.len()));
    let told = told();
    let mut ops = BTreeMap::new();
    for one in &told {
        let (op, outcome) = (&one.outcome["op_id"], one.outcome["outcome"].as_str().unwrap());
        assert_eq!(expected.get(&one.of()), Some(&outcome), "{one:?}");
        let first = *ops.entry(one.of()).or_insert(op);
        assert_eq!(first, op, "a double is known by its op");
    }
    told.len() - ops.len()
}
