//! The client of Kafka on librdkafka: a member of a group, and beside it a client that asks about topics.
//!
//! What the group gives and takes is queued by the callback and answered by the sink, between two polls:
//! offsets go into the assignment itself, and never into a seek that would race with it.

mod config;
mod context;
mod errors;
mod reply_topic;
mod sample;
mod topic_ids;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onward::{Error, Result};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::{Broker, Place, Polled, TopicFacts};
use crate::clock::Stopwatch;
use crate::record::{Header, Record};

use context::{Context, Happened};
use errors::failed;
use topic_ids::Inquirer;

pub use reply_topic::ReplyTopic;
pub use sample::sample;

/// How long a call waits for a broker.
const CALL: Duration = Duration::from_secs(10);

/// How long after a client that failed for good the next one is made, at first and at most.
const RENEWAL: Duration = Duration::from_millis(500);
const RENEWAL_MAX: Duration = Duration::from_secs(30);

/// A member of a consumer group, on librdkafka.
pub struct Kafka {
    /// None between two clients, and when the group is left.
    member: Option<BaseConsumer<Context>>,
    /// When the next client is due, while there is none.
    renewal: Option<Stopwatch>,
    /// How long it waits for that: longer each time while the group gives nothing.
    pause: Duration,
    inquirer: Inquirer,
    config: ClientConfig,
    topics: Vec<Arc<str>>,
    /// What the group waits for an answer to.
    unanswered: Option<Change>,
}

/// A change of the assignment that the client has told and that is not carried out.
enum Change {
    Given,
    Taken(Vec<Place>),
}

impl Kafka {
    /// A member of `group` that reads `topics`. `settings` are librdkafka's own, `bootstrap.servers` among
    /// them; the few that the promises of the sink rest on cannot be set, and fail.
    pub fn connect(
        settings: &[(String, String)],
        group: &str,
        topics: &[Arc<str>],
    ) -> Result<Self> {
        let config = config::of(settings, group)?;
        let inquirer = Inquirer::new(&config)?;
        let mut kafka = Self {
            member: None,
            renewal: None,
            pause: RENEWAL,
            inquirer,
            config,
            topics: topics.to_vec(),
            unanswered: None,
        };
        kafka.join()?;
        Ok(kafka)
    }

    /// A new client, which joins the group.
    fn join(&mut self) -> Result<()> {
        let member: BaseConsumer<Context> = self
            .config
            .create_with_context(Context::default())
            .map_err(|error| config::refused(&error))?;
        let topics: Vec<&str> = self.topics.iter().map(|topic| &**topic).collect();
        member.subscribe(&topics).map_err(|error| failed("subscribing to topics", &error))?;
        self.member = Some(member);
        self.renewal = None;
        Ok(())
    }

    /// Makes the next client when it is due, and waits for that for so long.
    fn renew(&mut self, patience: Duration) -> Result<()> {
        match &self.renewal {
            Some(since) if since.has_run(self.pause) => {
                self.pause = (2 * self.pause).min(RENEWAL_MAX);
                self.join()
            }
            Some(_) => {
                std::thread::sleep(patience);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn leave(&mut self) {
        if let Some(member) = self.member.take() {
            member.context().close();
            // The group waits for these answers, and so would leaving it.
            let queued = std::iter::from_fn(|| member.context().next()).filter_map(change);
            for change in self.unanswered.take().into_iter().chain(queued) {
                let done = match change {
                    Change::Given => begin(&member, &TopicPartitionList::new()),
                    Change::Taken(places) => let_go(&member, &list(&places)),
                };
                if let Err(error) = done {
                    tracing::debug!(%error, "a change of the assignment is not answered in order");
                }
            }
            // Dropping it leaves the group, and waits until that is done.
            drop(member);
        }
    }

    fn member(&self) -> Result<&BaseConsumer<Context>> {
        self.member.as_ref().ok_or_else(|| Error::internal("the client has left its group"))
    }

    fn happened(&mut self) -> Result<Option<Polled>> {
        let Some(happened) = self.member()?.context().next() else { return Ok(None) };
        Ok(Some(match happened {
            Happened::Assigned(places) => {
                self.pause = RENEWAL;
                self.unanswered = Some(Change::Given);
                Polled::Assigned(places)
            }
            Happened::Revoked { places, is_lost } => {
                self.unanswered = Some(Change::Taken(places.clone()));
                Polled::Revoked { places, is_lost }
            }
            Happened::Seen(seen) => Polled::Seen(seen),
            Happened::Trouble(error) => Polled::Trouble(error),
        }))
    }

    fn went_wrong(&mut self, error: &KafkaError) -> Result<Polled> {
        use RDKafkaErrorCode as Code;
        match error {
            // A fatal error ends a client, not what it is for.
            KafkaError::MessageConsumptionFatal(code) => match errors::hopeless(*code, error) {
                Some(error) => Err(error),
                None => {
                    self.leave();
                    self.renewal = Some(Stopwatch::start());
                    Ok(Polled::Renewed(failed("a new client joins the group", error)))
                }
            },
            KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Ok(Polled::OutOfRange)
            }
            // It says that this member was too slow, and that its partitions are lost follows.
            KafkaError::MessageConsumption(Code::PollExceeded) => {
                Ok(Polled::Trouble(failed("polling in time (max.poll.interval.ms)", error)))
            }
            error => Ok(Polled::Trouble(errors::consuming(error))),
        }
    }
}

impl Broker for Kafka {
    fn topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicFacts>> {
        self.inquirer.topics(topics)
    }

    fn poll(&mut self, patience: Duration) -> Result<Polled> {
        self.renew(patience)?;
        if self.renewal.is_some() {
            return Ok(Polled::Nothing);
        }
        if let Some(polled) = self.happened()? {
            return Ok(polled);
        }
        let error = match self.member()?.poll(patience) {
            Some(Ok(message)) => return Ok(Polled::Record(record(&message, &self.topics))),
            Some(Err(error)) => error,
            None => return Ok(self.happened()?.unwrap_or(Polled::Nothing)),
        };
        self.went_wrong(&error)
    }

    fn assign(&mut self, starts: &[(Place, i64)]) -> Result<()> {
        let done = begin(self.member()?, &offsets(starts)?);
        self.unanswered = None;
        done.map_err(|error| failed("beginning to read partitions", &error))
    }

    fn unassign(&mut self, places: &[Place]) -> Result<()> {
        let done = let_go(self.member()?, &list(places));
        self.unanswered = None;
        done.map_err(|error| failed("letting go of partitions", &error))
    }

    fn begin_again(&mut self, moved: &[(Place, i64)], all: &[(Place, i64)]) -> Result<()> {
        let member = self.member()?;
        let places: Vec<Place> = moved.iter().map(|(place, _)| place.clone()).collect();
        // A seek does not wake a partition whose offset was refused; being assigned again does.
        let done = match member.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                let starts = offsets(moved)?;
                let left = member.incremental_unassign(&list(&places));
                left.and_then(|()| member.incremental_assign(&starts))
            }
            _ => member.assign(&offsets(all)?),
        };
        done.map_err(|error| failed("going on elsewhere in partitions", &error))
    }

    fn pause(&mut self, places: &[Place]) -> Result<()> {
        let done = self.member()?.pause(&list(places));
        done.map_err(|error| failed("pausing partitions", &error))
    }

    fn resume(&mut self, places: &[Place]) -> Result<()> {
        let done = self.member()?.resume(&list(places));
        done.map_err(|error| failed("resuming partitions", &error))
    }

    fn range(&mut self, place: &Place) -> Result<Range<i64>> {
        self.inquirer.range(place)
    }

    fn known_to_group(&mut self, places: &[Place]) -> Result<Vec<Place>> {
        let told = self.member()?.committed_offsets(list(places), CALL);
        let told =
            told.map_err(|error| failed("asking the group how far it is in partitions", &error))?;
        let known =
            told.elements().into_iter().filter(|one| matches!(one.offset(), Offset::Offset(_)));
        Ok(known.map(|one| Place::new(one.topic(), one.partition())).collect())
    }

    fn hint(&mut self, nexts: &[(Place, i64)]) {
        let (Ok(member), Ok(list)) = (self.member(), offsets(nexts)) else { return };
        if let Err(error) = member.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "the group is not told how far partitions are");
        }
    }

    fn close(&mut self) {
        self.leave();
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.leave();
    }
}

fn change(happened: Happened) -> Option<Change> {
    match happened {
        Happened::Assigned(_) => Some(Change::Given),
        Happened::Revoked { places, .. } => Some(Change::Taken(places)),
        Happened::Seen(_) | Happened::Trouble(_) => None,
    }
}

/// Reads these partitions, in the way of the protocol that the group has agreed on.
fn begin(member: &BaseConsumer<Context>, starts: &TopicPartitionList) -> KafkaResult<()> {
    match member.rebalance_protocol() {
        RebalanceProtocol::Cooperative => member.incremental_assign(starts),
        _ => member.assign(starts),
    }
}

/// Reads these no more.
fn let_go(member: &BaseConsumer<Context>, places: &TopicPartitionList) -> KafkaResult<()> {
    match member.rebalance_protocol() {
        RebalanceProtocol::Cooperative => member.incremental_unassign(places),
        _ => member.unassign(),
    }
}

fn list(places: &[Place]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition(&place.topic, place.partition);
    }
    list
}

fn offsets(starts: &[(Place, i64)]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (place, offset) in starts {
        list.add_partition_offset(&place.topic, place.partition, Offset::Offset(*offset))
            .map_err(|error| failed(&format!("naming offset {offset} of {place}"), &error))?;
    }
    Ok(list)
}

fn record(message: &BorrowedMessage<'_>, topics: &[Arc<str>]) -> Record {
    let topic = topics.iter().find(|topic| ***topic == *message.topic());
    let headers = message.headers().map(|headers| {
        let of = |header: rdkafka::message::Header<'_, &[u8]>| Header {
            name: header.key.to_owned(),
            value: header.value.map(Bytes::copy_from_slice),
        };
        headers.iter().map(of).collect()
    });
    Record {
        topic: topic.cloned().unwrap_or_else(|| Arc::from(message.topic())),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().filter(|ms| *ms >= 0),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers.unwrap_or_default(),
    }
}
