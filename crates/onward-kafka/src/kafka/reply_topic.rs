//! The topic that outcomes are sent to, by a producer of librdkafka.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::context::log;
use super::errors::{failed, topic_error};
use super::{CALL, config};
use crate::broker::Place;
use crate::replies::{Replies, Reply};

/// A topic for outcomes. Each reply is sent until brokers have it; one that they refuse ends the sink.
pub struct ReplyTopic {
    topic: String,
    producer: BaseProducer<Deliveries>,
    /// What librdkafka's queue has no room for.
    backlog: VecDeque<Reply>,
}

/// What became of replies.
#[derive(Default)]
struct Deliveries(Mutex<Vec<Result<(Place, i64), KafkaError>>>);

impl Deliveries {
    fn list(&self) -> MutexGuard<'_, Vec<Result<(Place, i64), KafkaError>>> {
        // Nothing is done under the lock that could leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the client that sends replies");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<(Place, i64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, of: Self::DeliveryOpaque) {
        let result = result.as_ref().map(|_| *of).map_err(|(error, _)| error.clone());
        self.list().push(result);
    }
}

impl ReplyTopic {
    /// A producer for a topic that must be there. `settings` are those of the sink's client: those of members
    /// of groups are left out.
    pub fn connect(settings: &[(String, String)], topic: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        for (key, value) in settings.iter().filter(|(key, _)| !config::is_of_consumers(key)) {
            config.set(key, value);
        }
        // In order and once each for as long as this client lives, and for ever until a broker has them.
        config.set("enable.idempotence", "true").set("message.timeout.ms", "0");
        config.set("client.id", "onward");
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| config::refused(&error))?;
        let seen = producer.client().fetch_metadata(Some(topic), CALL);
        let seen =
            seen.map_err(|error| failed("asking the brokers for the reply topic", &error))?;
        match seen.topics().iter().find_map(|found| found.error()) {
            Some(error) => Err(topic_error(topic, error.into())),
            None => Ok(Self { topic: topic.to_owned(), producer, backlog: VecDeque::new() }),
        }
    }

    /// Gives what waits to librdkafka, as far as that has room.
    fn push(&mut self) -> Result<()> {
        while let Some(reply) = self.backlog.front() {
            let mut headers = OwnedHeaders::new_with_capacity(reply.headers.len());
            for header in &reply.headers {
                let (key, value) = (header.name.as_str(), header.value.as_deref());
                headers = headers.insert(Header { key, value });
            }
            let of = Box::new((reply.place.clone(), reply.offset));
            let mut record = BaseRecord::with_opaque_to(&self.topic, of)
                .payload(reply.outcome.as_bytes())
                .headers(headers);
            if let Some(key) = &reply.key {
                record = record.key(&key[..]);
            }
            match self.producer.send(record) {
                Ok(()) => drop(self.backlog.pop_front()),
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => break,
                Err((error, _)) => return Err(self.refused(&error)),
            }
        }
        Ok(())
    }

    fn refused(&self, error: &KafkaError) -> Error {
        let code = match error.rdkafka_error_code() {
            // A producer that keeps an order fails for good where one reply is refused, and says why by itself:
            // replies that it has not sent by then are told to be purged.
            Some(code @ (Code::Fatal | Code::PurgeQueue | Code::PurgeInflight)) => {
                Some(self.producer.client().fatal_error().map_or(code, |(code, _)| code))
            }
            code => code,
        };
        let refused = match code {
            Some(code) => topic_error(&self.topic, code),
            None => Error::unavailable(error.to_string()),
        };
        refused.context(
            "a reply cannot be sent; its outcome is on the branch, and is told by whoever reads on",
        )
    }
}

impl Replies for ReplyTopic {
    fn send(&mut self, reply: Reply) -> Result<()> {
        self.backlog.push_back(reply);
        self.push()
    }

    fn delivered(&mut self) -> Result<Vec<(Place, i64)>> {
        self.push()?;
        self.producer.poll(Duration::ZERO);
        let list = std::mem::take(&mut *self.producer.context().list());
        list.into_iter().map(|one| one.map_err(|error| self.refused(&error))).collect()
    }
}
