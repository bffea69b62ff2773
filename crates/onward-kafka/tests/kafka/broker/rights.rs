//! On a real broker that asks who one is, and where nobody may do anything that was not allowed.

use onward::ErrorKind;
use onward_kafka::{Kafka, Settings};

use super::{COOPERATIVE, NEW_PROTOCOL};
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
