//! Topics, and records in them whose offsets are known.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::ToBytes;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

use super::until::until_async;

/// A client that makes topics and records at brokers.
pub struct Topics {
    pub brokers: String,
    producer: FutureProducer,
}

impl Topics {
    pub fn at(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), producer: config(brokers).create().unwrap() }
    }

    /// One that compresses its records.
    pub fn packing(brokers: &str, how: &str) -> Self {
        let producer = config(brokers).set("compression.type", how).create().unwrap();
        Self { brokers: brokers.to_owned(), producer }
    }

    /// Whether a broker answers.
    pub fn is_answered(&self) -> bool {
        self.admin().inner().fetch_metadata(None, Duration::from_secs(2)).is_ok()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        config(&self.brokers).create().unwrap()
    }

    pub async fn create(&self, topic: &str, partitions: i32) {
        self.create_with(topic, partitions, &[]).await;
    }

    /// With settings of its own.
    pub async fn create_with(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let done = self.admin().create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        self.until_there(topic, partitions).await;
    }

    /// Waits until clients see that many partitions.
    async fn until_there(&self, topic: &str, partitions: i32) {
        let admin = self.admin();
        until_async("the topic is there", || async {
            let seen = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5));
            seen.is_ok_and(|seen| {
                seen.topics().iter().any(|found| {
                    found.error().is_none()
                        && found.partitions().len() == partitions as usize
                        && found.partitions().iter().all(|each| each.leader() >= 0)
                })
            })
        })
        .await;
    }

    pub async fn add_partitions(&self, topic: &str, all: i32) {
        let new = NewPartitions::new(topic, all as usize);
        let done = self.admin().create_partitions([&new], &AdminOptions::new()).await.unwrap();
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        self.until_there(topic, all).await;
    }

    pub async fn delete(&self, topic: &str) {
        let done = self.admin().delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        let admin = self.admin();
        until_async("the topic is gone", || async {
            let seen = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5));
            seen.is_ok_and(|seen| seen.topics().iter().all(|found| found.error().is_some()))
        })
        .await;
    }

    /// Deletes what is before an offset.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        let done = self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
        assert!(done.elements().iter().all(|each| each.error().is_ok()));
    }

    /// Sends a value and tells its offset.
    pub async fn send(&self, topic: &str, partition: i32, value: &str) -> i64 {
        self.send_record(FutureRecord::<(), _>::to(topic).partition(partition).payload(value)).await
    }

    /// Sends a record and tells its offset.
    pub async fn send_record<K: ToBytes + ?Sized>(&self, record: FutureRecord<'_, K, str>) -> i64 {
        let sent = self.producer.send(record, Duration::from_secs(30)).await;
        sent.map_err(|(error, _)| error).unwrap().offset
    }

    /// Sends so many numbered values to each of the partitions; tells the offsets of each partition.
    pub async fn fill(&self, topic: &str, partitions: i32, each: usize) -> BTreeMap<i64, Vec<i64>> {
        let one = |partition: i32| async move {
            let sends = (0..each).map(|n| async move {
                self.send(topic, partition, &format!("{{\"n\":{n},\"p\":{partition}}}")).await
            });
            let mut offsets = join_all(sends).await;
            offsets.sort_unstable();
            (i64::from(partition), offsets)
        };
        join_all((0..partitions).map(one)).await.into_iter().collect()
    }
}

/// Adds what was sent later.
pub fn extend(sent: &mut BTreeMap<i64, Vec<i64>>, more: BTreeMap<i64, Vec<i64>>) {
    for (partition, offsets) in more {
        sent.entry(partition).or_default().extend(offsets);
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "5");
    config
}

/// The settings of a client of the sink, with more of them.
pub fn client(brokers: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let usual = [
        ("bootstrap.servers", brokers),
        ("topic.metadata.refresh.interval.ms", "1000"),
        ("reconnect.backoff.max.ms", "500"),
    ];
    // The new protocol has these at the broker.
    let is_new = more.contains(&("group.protocol", "consumer"));
    let session: &[(&str, &str)] = match is_new {
        true => &[],
        false => &[("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")],
    };
    let all = usual.iter().chain(session).chain(more);
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A member of a group that reads topics.
pub fn member(
    brokers: &str,
    group: &str,
    topics: &[&str],
    more: &[(&str, &str)],
) -> onward_kafka::Kafka {
    let topics: Vec<std::sync::Arc<str>> = topics.iter().map(|topic| (*topic).into()).collect();
    onward_kafka::Kafka::connect(&client(brokers, more), group, &topics).unwrap()
}
