//! Offsets that compaction has taken out, and records whose times are those of other days.

use std::collections::BTreeMap;
use std::time::Duration;

use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, state};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::FutureRecord;
use rdkafka::{Offset, TopicPartitionList};

use super::{start, until_all_there};
use crate::support::lake::{Lake, settings};
use crate::support::server::{Server, shared};
use crate::support::topics::Topics;
use crate::support::until::until_async;

/// The offsets that partition 0 of a topic still has, as a consumer finds them.
fn left(brokers: &str, topic: &str) -> Vec<i64> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "left")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut offsets = Vec::new();
    // The error is the end.
    while let Some(Ok(record)) = consumer.poll(Duration::from_secs(30)) {
        offsets.push(record.offset());
    }
    offsets
}

/// Sends numbered values under five keys in turns, the last of each a tombstone, and then what ends the segment.
async fn fill(topics: &Topics, topic: &str, rounds: usize) -> i64 {
    for n in 0..rounds {
        let (key, value) = (format!("key {}", n % 5), format!("{{\"n\":{n}}}"));
        let record = FutureRecord::to(topic).partition(0).key(&key);
        match n + 5 < rounds {
            true => topics.send_record(record.payload(&value)).await,
            false => topics.send_record(record).await,
        };
    }
    topics.send_record(FutureRecord::to(topic).partition(0).key("last").payload("{}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compaction_has_taken_out_is_no_gap_wherever_the_branch_stands() {
    let (lake, topic) = (Lake::new().await, "compacted");
    let server =
        Server::with("log.cleaner.backoff.ms=100\nlog.cleaner.dedupe.buffer.size=2000000").await;
    let topics = Topics::at(&server.brokers());
    let policy = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "300"),
        ("delete.retention.ms", "0"),
    ];
    topics.create_with(topic, 1, &policy).await;
    let to_the_end = || {
        let mut to_the_end = settings(topic, &[topic]);
        to_the_end.exit_at_end = true;
        // It ends by a gap, should it take one for such.
        start(&lake, &topics, to_the_end, &[])
    };
    let mut sent = BTreeMap::from([(0, Vec::new())]);
    let mut stands = 0;
    for round in 0..3 {
        let last = fill(&topics, topic, 60).await;
        // From where the branch stands on, records are gone: in front of it and behind it.
        until_async("compaction has been there", || async {
            // Only a record behind them ends a segment.
            topics
                .send_record(FutureRecord::to(topic).partition(0).key("tick").payload("{}"))
                .await;
            let left = left(&server.brokers(), topic);
            !left.contains(&stands) && left.iter().filter(|offset| **offset <= last).count() < 20
        })
        .await;
        let there = left(&server.brokers(), topic).into_iter().filter(|offset| *offset >= stands);
        let there: Vec<i64> = there.collect();
        assert!(!there.contains(&stands), "the position of round {round} is within a hole");
        let report = to_the_end().end().await.unwrap();
        // What came while it ran is compacted like the rest, so what it read is what there was or less.
        assert!(
            report.records >= 1 && report.records <= there.len() as u64,
            "{report:?} of {there:?}"
        );
        let on_branch = lake.offsets(topic).await.remove(&0).unwrap();
        let new: Vec<i64> = on_branch.iter().copied().filter(|offset| *offset >= stands).collect();
        assert!(new.iter().all(|offset| there.contains(offset)), "{new:?} of {there:?}");
        assert_eq!(new.last(), there.last());
        assert!(on_branch.is_sorted_by(|a, b| a < b), "each once, and in order: {on_branch:?}");
        stands = there.last().unwrap() + 1;
        sent.insert(0, on_branch);
    }
    until_all_there(&lake, topic, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_1970_and_of_days_to_come_lie_where_their_times_say() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "times");
    // Brokers refuse times of more than an hour ahead unless told otherwise.
    topics
        .create_with(topic, 1, &[("message.timestamp.after.max.ms", "9223372036854775807")])
        .await;
    // Out of order: the epoch and a millisecond, a day to come, a day that was.
    let times = [1, 4_102_444_800_000, 951_782_400_000];
    let sink = || {
        let mut dated = settings(topic, &[topic]);
        let template = "{topic}/{date}/{hour}/{partition}-{first_offset}.{ext}";
        dated.path = PathTemplate::parse(template).unwrap();
        dated.roll.records = 1;
        start(&lake, &topics, dated, &[])
    };
    let running = sink();
    for time in times {
        let record = FutureRecord::<(), str>::to(topic).partition(0).payload("{}").timestamp(time);
        topics.send_record(record).await;
    }
    let sent = BTreeMap::from([(0, vec![0, 1, 2])]);
    until_async("all are on the branch", || async { lake.files().await.len() == 3 }).await;
    let is_there = |event: &Event| matches!(event, Event::Committed { files: 1.., .. });
    running.until_told("a commit", is_there).await;
    running.stop().await.unwrap();
    let padded = "0".repeat(19);
    let paths = lake.files().await.into_keys().map(|path| path.replace(&padded, ""));
    let paths: Vec<String> = paths.collect();
    assert_eq!(
        paths,
        [
            "times/1970-01-01/00/0-0.jsonl",
            "times/2000-02-29/00/0-2.jsonl",
            "times/2100-01-01/00/0-1.jsonl"
        ]
    );
    // Nothing is told to be complete by a time that is still to come, or by one of long ago.
    let through = lake.newest_pair(state::VALID_THROUGH_KEY).await;
    assert!(
        through.is_none_or(|through| !through.starts_with("2100")),
        "valid through a day to come"
    );
    let mut offsets = lake.offsets(topic).await;
    offsets.get_mut(&0).unwrap().sort_unstable();
    assert_eq!(offsets, sent);
}
