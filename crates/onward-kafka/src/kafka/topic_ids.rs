//! Which topic has a name: a client of its own that asks brokers about topics.
//!
//! librdkafka learns the ids of topics with their metadata and has a call that tells them, which its binding
//! for Rust has not; calling it would take `unsafe`, which this crate is without. It also logs them, and
//! that is read here, on a client that is in no group: whatever changes an id that this client knows is
//! logged before the answer to a request for metadata is there, so the id that was logged last is by that
//! answer. Tests on a real broker and on the mock cluster hold the words of that line; a client that says
//! nothing of a topic's id is an error, and no topic without one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::{Error, ErrorKind, Result};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::broker::{Place, TopicFacts};

use super::config;
use super::context::log;
use super::errors::{failed, topic_error, untrusted};

/// How long a broker may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// What was logged is at hand when nothing more comes for so long.
const DRAIN: Duration = Duration::from_millis(5);

/// Passes over what was logged, at most.
const DRAINS_MAX: usize = 200;

/// The id of no topic.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Default)]
struct Ids {
    ids: Mutex<BTreeMap<String, String>>,
    logged: AtomicU64,
    /// What the brokers refuse this client for, since the last question was put.
    refused: Mutex<Option<Error>>,
}

impl Ids {
    fn ids(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Nothing is done under the lock that could leave it half done.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Option<Error>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Ids {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.logged.fetch_add(1, Ordering::Relaxed);
        match changed_id(message) {
            Some((topic, id)) => {
                self.ids().insert(topic.to_owned(), id.to_owned());
            }
            None => log(level, facility, message),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the client that asks about topics");
        let error = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::SSL) if is_of_trust(reason) => untrusted(reason),
            _ => failed(reason, &error),
        };
        if error.kind() == ErrorKind::Forbidden {
            *self.refused() = Some(error);
        }
    }
}

impl ConsumerContext for Ids {}

/// Whether an encrypted connection failed for what a certificate is. A broker that stops in the middle of
/// a handshake fails it as well, and is there again later.
fn is_of_trust(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("certificate") || reason.contains("verif")
}

/// The topic and its new id, in the line that says so.
fn changed_id(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("Topic ")?;
    let (topic, ids) = rest.split_once(" changed id from ")?;
    let (_, id) = ids.split_once(" to ")?;
    Some((topic, id.trim()))
}

/// The client that asks.
pub(super) struct Inquirer(BaseConsumer<Ids>);

impl Inquirer {
    pub(super) fn new(member: &ClientConfig) -> Result<Self> {
        let of_groups = ["group.", "partition.assignment.", "statistics.", "debug", "log_level"];
        // Names only: what this map has for passwords is a placeholder.
        let names: Vec<String> = member.config_map().into_keys().map(str::to_owned).collect();
        let mut config = member.clone();
        for name in names.iter().filter(|name| of_groups.iter().any(|of| name.starts_with(of))) {
            config.remove(name);
        }
        config.set("debug", "topic");
        config.set_log_level(RDKafkaLogLevel::Debug);
        let client = config.create_with_context(Ids::default());
        Ok(Self(client.map_err(|error| config::refused(&error))?))
    }

    /// What the cluster says of topics now.
    pub(super) fn topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicFacts>> {
        let mut partitions = Vec::new();
        for topic in topics {
            // What was refused before may be granted by now.
            *self.0.context().refused() = None;
            let metadata = self.0.fetch_metadata(Some(topic), CALL);
            let metadata = metadata.map_err(|error| {
                // A login that is refused is told beside the call, which has no answer then.
                self.drain();
                let refused = self.0.context().refused().take();
                refused.unwrap_or_else(|| failed("asking the brokers about topics", &error))
            })?;
            let found = metadata.topics().iter().find(|found| found.name() == &**topic);
            let found = found.ok_or_else(|| {
                Error::unavailable(format!("the brokers say nothing of topic '{topic}'"))
            })?;
            if let Some(error) = found.error() {
                return Err(topic_error(topic, error.into()));
            }
            let count = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
            partitions.push((Arc::clone(topic), count));
        }
        self.drain();
        let ids = self.0.context().ids();
        let facts =
            partitions.into_iter().map(|(topic, partitions)| match ids.get(&*topic).cloned() {
                Some(id) => {
                    Ok(TopicFacts { topic, id: Some(id).filter(|id| id != NO_ID), partitions })
                }
                None => Err(Error::unavailable(format!(
                    "the client says nothing of the id of topic '{topic}'"
                ))),
            });
        facts.collect()
    }

    /// Serves what was logged up to now.
    fn drain(&self) {
        for _ in 0..DRAINS_MAX {
            let before = self.0.context().logged.load(Ordering::Relaxed);
            // It is subscribed to nothing: nothing but what is called back comes of this.
            let _ = self.0.poll(DRAIN);
            if self.0.context().logged.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// The first offset that there is, and the one behind the last.
    pub(super) fn range(&self, place: &Place) -> Result<Range<i64>> {
        let marks = self.0.fetch_watermarks(&place.topic, place.partition, CALL);
        let (first, end) =
            marks.map_err(|error| failed(&format!("asking for the offsets of {place}"), &error))?;
        Ok(first..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_an_id_is_found() {
        let line = "[thrd:main]: Topic a Topic b changed id from AAAAAAAAAAAAAAAAAAAAAA to x-_1";
        assert_eq!(changed_id(line), Some(("a Topic b", "x-_1")));
        assert_eq!(changed_id("[thrd:main]: Topic a has 3 partitions"), None);
    }

    #[test]
    fn a_handshake_that_was_broken_off_is_no_refusal() {
        let ids = Ids::default();
        let fail = |reason: &str| ids.error(KafkaError::Global(RDKafkaErrorCode::SSL), reason);
        fail("ssl://b1:9093/1: SSL handshake failed: Disconnected: connection reset by peer");
        assert!(ids.refused().is_none());
        fail("ssl://b1:9093/1: SSL handshake failed: error:0A000086: certificate verify failed");
        assert_eq!(ids.refused().take().unwrap().kind(), ErrorKind::Forbidden);
    }

    #[test]
    fn a_refusal_of_before_is_not_told_of_brokers_that_are_away() {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", "127.0.0.1:1");
        let mut inquirer = Inquirer::new(&client).unwrap();
        let refusal = KafkaError::Global(RDKafkaErrorCode::SaslAuthenticationFailed);
        inquirer.0.context().error(refusal, "a login of an hour ago");
        assert!(inquirer.0.context().refused().is_some());
        let error = inquirer.topics(&["orders".into()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}
