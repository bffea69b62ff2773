//! On a real broker by encrypted connections.

use onward::ErrorKind;
use onward_kafka::Kafka;

use crate::support::lake::{Lake, settings};
use crate::support::server::{shared, variable};
use crate::support::topics::client;

#[tokio::test(flavor = "multi_thread")]
async fn records_come_by_encrypted_connections_from_brokers_that_prove_who_they_are() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "encrypted");
    topics.create(topic, 2).await;
    let sent = topics.fill(topic, 2, 10).await;
    let mut to_the_end = settings(topic, &[topic]);
    to_the_end.exit_at_end = true;
    let start = |authority: &[(&str, &str)]| {
        let brokers = variable("ONWARD_TEST_KAFKA_SSL");
        let own = [&[("security.protocol", "ssl")], authority].concat();
        let broker = Kafka::connect(&client(&brokers, &own), topic, &to_the_end.topics).unwrap();
        lake.start(to_the_end.clone(), broker)
    };
    // Without it the authorities are those of the system, and the broker's is none of them.
    let error = start(&[]).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    assert!(error.message().contains("ssl.ca.location"), "{error}");
    assert!(lake.files().await.is_empty());
    let authority = variable("ONWARD_TEST_KAFKA_CA");
    // Who comes by this listener is nobody, like those of the plain one.
    start(&[("ssl.ca.location", &authority)]).end().await.unwrap();
    assert_eq!(lake.offsets(topic).await, sent);
}
