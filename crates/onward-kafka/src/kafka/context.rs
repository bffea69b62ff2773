//! What librdkafka calls back: kept until the sink asks, in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use onward::Error;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::types::RDKafkaRespErr;

use super::errors;
use crate::broker::{Place, Seen};

/// What is kept at most: more of it is of a client that is not polled, and says nothing new.
const KEPT_MAX: usize = 1024;

/// Something that was called back.
#[derive(Debug)]
pub(super) enum Happened {
    Assigned(Vec<Place>),
    Revoked { places: Vec<Place>, is_lost: bool },
    Seen(Vec<Seen>),
    Trouble(Error),
}

/// The callbacks of a member.
#[derive(Debug, Default)]
pub(super) struct Context {
    happened: Mutex<VecDeque<Happened>>,
    is_closing: AtomicBool,
}

impl Context {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Happened>> {
        // Nothing is done under the lock that could leave it half done.
        self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest of what has happened.
    pub(super) fn next(&self) -> Option<Happened> {
        self.queue().pop_front()
    }

    /// From now on partitions are let go of at once.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    fn keep(&self, happened: Happened) {
        let mut queue = self.queue();
        if queue.len() < KEPT_MAX
            || matches!(happened, Happened::Assigned(_) | Happened::Revoked { .. })
        {
            queue.push_back(happened);
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let at_ms = statistics.time.saturating_mul(1000);
        let mut seen = Vec::new();
        for (topic, of_topic) in &statistics.topics {
            for partition in of_topic.partitions.values().filter(|partition| partition.desired) {
                seen.push(self::seen(
                    Place::new(topic.as_str(), partition.partition),
                    partition,
                    at_ms,
                ));
            }
        }
        self.keep(Happened::Seen(seen));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // What is fatal, or about a partition, comes with the next poll as well.
        let error = errors::failed(reason, &error);
        self.keep(Happened::Trouble(error));
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        member: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let places =
            list.elements().iter().map(|one| Place::new(one.topic(), one.partition())).collect();
        let is_assigned = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        match (is_assigned, self.is_closing.load(Ordering::Relaxed)) {
            (true, false) => self.keep(Happened::Assigned(places)),
            (false, false) => {
                let is_lost = member.assignment_lost();
                self.keep(Happened::Revoked { places, is_lost });
            }
            // Nobody will ask: what is given is given back.
            (_, true) => {
                let done = match (member.rebalance_protocol(), is_assigned) {
                    (RebalanceProtocol::Cooperative, true) => {
                        member.incremental_assign(&TopicPartitionList::new())
                    }
                    (RebalanceProtocol::Cooperative, false) => member.incremental_unassign(list),
                    _ => member.unassign(),
                };
                if let Err(error) = done {
                    tracing::warn!(%error, "partitions are not let go of in order");
                }
            }
        }
    }
}

/// How a partition stands, by the client's own numbers.
fn seen(place: Place, numbers: &Partition, at_ms: i64) -> Seen {
    // Before the first answer of the broker they are negative. What a reader may see ends where the oldest
    // open transaction begins.
    let end = if numbers.ls_offset >= 0 { numbers.ls_offset } else { numbers.hi_offset };
    let is_known = end >= 0 && numbers.next_offset >= 0;
    // A position behind all that there is is none: the partition was cut off.
    let is_behind = (end..=numbers.hi_offset.max(end)).contains(&numbers.next_offset);
    let lag = if is_known { numbers.hi_offset.max(end) - numbers.next_offset } else { 0 };
    Seen {
        place,
        is_at_end: is_known && is_behind && numbers.fetchq_cnt == 0,
        is_held_back: is_known && is_behind && numbers.hi_offset > end,
        lag: u64::try_from(lag.saturating_add(numbers.fetchq_cnt)).unwrap_or(0),
        at_ms,
    }
}

/// What librdkafka logs, as this program logs.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", facility, "{message}"),
    }
}
