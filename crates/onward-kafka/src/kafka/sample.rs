//! The first records of a topic, read beside any group: what a schema is inferred from.

use std::time::Duration;

use onward::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::errors::{consuming, failed, topic_error};
use super::{CALL, config, record};
use crate::clock::Stopwatch;
use crate::record::Record;

/// Without a further record, what there is is enough after so long.
const QUIET: Duration = Duration::from_secs(3);

/// How long reading them may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What they may take in memory, in bytes.
const MEMORY_MAX: u64 = 16 << 20;

/// The first records of a topic's partitions, at most `records_max` in all and 16 MiB. Takes part in no group,
/// and changes nothing. Blocks for at most half a minute.
///
/// # Errors
///
/// As the sink, where the topic is not there or may not be read.
pub fn sample(
    settings: &[(String, String)],
    topic: &str,
    records_max: usize,
) -> Result<Vec<Record>> {
    let own: Vec<(String, String)> =
        settings.iter().filter(|(key, _)| key != "group.id").cloned().collect();
    let consumer: BaseConsumer =
        config::of(&own, "onward-sample")?.create().map_err(|error| config::refused(&error))?;
    let facts = consumer
        .fetch_metadata(Some(topic), CALL)
        .map_err(|error| failed(&format!("asking for topic '{topic}'"), &error))?;
    let mut list = TopicPartitionList::new();
    for facts in facts.topics() {
        if let Some(error) = facts.error() {
            return Err(topic_error(topic, error.into()));
        }
        for partition in facts.partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .map_err(|error| failed("beginning at the first record", &error))?;
        }
    }
    consumer.assign(&list).map_err(|error| failed("reading the first records", &error))?;
    let (begun, mut quiet) = (Stopwatch::start(), Stopwatch::start());
    let (mut records, mut memory, names) = (Vec::new(), 0, [topic.into()]);
    while records.len() < records_max && memory < MEMORY_MAX && !begun.has_run(PATIENCE) {
        match consumer.poll(Duration::from_millis(100)) {
            None if quiet.has_run(QUIET) && !records.is_empty() => break,
            None => {}
            Some(Err(error)) => {
                let error: Error = consuming(&error);
                if !error.is_retryable() {
                    return Err(error);
                }
            }
            Some(Ok(message)) => {
                let record = record(&message, &names);
                memory += record.memory();
                records.push(record);
                quiet = Stopwatch::start();
            }
        }
    }
    Ok(records)
}
