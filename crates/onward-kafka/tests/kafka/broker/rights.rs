//! On a real broker that asks who one is, and where nobody may do anything that was not allowed.

use std::time::Duration;

use onward::{ErrorKind, Result};
use onward_kafka::{Kafka, ReplyTopic, Settings, Sink};

use super::{COOPERATIVE, NEW_PROTOCOL};
use crate::change_sets::{Read, put, replies, send};
use crate::support::lake::{Lake, Running, settings};
use crate::support::server::{allow, shared, variable};
use crate::support::topics::client;

fn login<'a>(password: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let brokers = variable("ONWARD_TEST_KAFKA_SASL");
    let own = [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "reader"),
        ("sasl.password", password),
    ];
    client(&brokers, &[&own, more].concat())
}

fn start(lake: &Lake, settings: Settings, login: &[(String, String)]) -> Running {
    let broker = Kafka::connect(login, &settings.group, &settings.topics).unwrap();
    lake.start(settings, broker)
}

async fn is_refused(running: Running, why: &str) {
    let error = running.end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    assert!(error.message().contains(why), "{error}");
    assert!(error.message().contains("check the user"), "{error}");
}

/// A user that may not, then may read the topic, then be in the group.
async fn guarded(topic: &str, protocol: &[(&str, &str)]) {
    let (lake, topics) = (Lake::new().await, shared());
    topics.create(topic, 2).await;
    let sent = topics.fill(topic, 2, 10).await;
    let mut to_the_end = settings(topic, &[topic]);
    to_the_end.exit_at_end = true;
    let start = |password: &str| start(&lake, to_the_end.clone(), &login(password, protocol));
    is_refused(start("wrong"), "refuse this login").await;
    is_refused(start("secret"), "no right to the topic").await;
    allow("reader", "topic", topic, "read");
    is_refused(start("secret"), "may not be in the consumer group").await;
    assert!(lake.files().await.is_empty());
    allow("reader", "group", topic, "read");
    start("secret").end().await.unwrap();
    assert_eq!(lake.offsets(topic).await, sent, "nothing is lost by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_once_and_clearly_in_the_classic_protocol() {
    guarded("guarded-classic", COOPERATIVE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_once_and_clearly_in_the_new_protocol() {
    guarded("guarded-new", NEW_PROTOCOL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_to_the_reply_topic_is_told_and_the_outcome_is_told_by_who_may() {
    let (lake, topics) = (Lake::new().await, shared());
    let (topic, reply_topic) = ("guarded-requests", "guarded-replies");
    topics.create(topic, 1).await;
    topics.create(reply_topic, 1).await;
    send(&topics.brokers, topic, &[(0, put("a"))]);
    allow("reader", "topic", topic, "read");
    allow("reader", "group", topic, "read");
    let run = |settings: Settings| -> Result<Running> {
        let login = login("secret", &[]);
        let replies = ReplyTopic::connect(&login, reply_topic)?;
        let broker = Kafka::connect(&login, &settings.group, &settings.topics)?;
        Ok(Running::of(Sink::new(&lake.repo(), "main", settings)?.replies(replies), broker))
    };
    let mut to_the_end = Settings::change_sets(topic, [topic]).unwrap();
    to_the_end.exit_at_end = true;
    to_the_end.last_commit_patience = Duration::from_secs(1);
    let error = run(to_the_end.clone()).err().unwrap();
    assert!(error.message().contains("no right to the topic"), "{error}");
    // It may see that the topic is there, and no more.
    allow("reader", "topic", reply_topic, "describe");
    is_refused(run(to_the_end.clone()).unwrap(), "a reply cannot be sent").await;
    assert!(lake.entries().await.contains_key("a"));
    assert!(replies(&topics.brokers, reply_topic).is_empty());
    allow("reader", "topic", reply_topic, "write");
    run(to_the_end).unwrap().end().await.unwrap();
    let told = replies(&topics.brokers, reply_topic);
    assert_eq!(told.iter().map(Read::of).collect::<Vec<_>>(), [(0, 0)]);
    assert_eq!(told[0].outcome["outcome"], "committed");
}
