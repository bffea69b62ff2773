//! What the sink asks of a client of Kafka: a narrow trait, so that the sink knows no client and a client
//! nothing of the sink. All calls come from one thread.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use onward::{Error, Result};

use crate::record::Record;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The topic that it is a part of.
    pub topic: Arc<str>,
    /// The partition, from 0 on.
    pub partition: i32,
}

impl Place {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The topics of these, each once.
pub(crate) fn topics_of<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<Arc<str>> {
    let mut topics: Vec<Arc<str>> = places.map(|place| Arc::clone(&place.topic)).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// What the cluster says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFacts {
    /// The topic that this is said of.
    pub topic: Arc<str>,
    /// Its id, another one for each topic that had the name. `None` where the broker has none (before
    /// Kafka 2.8).
    pub id: Option<String>,
    /// How many partitions it has.
    pub partitions: i32,
}

/// What a client knows of an assigned partition, by what it has fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The partition that this is said of.
    pub place: Place,
    /// Whether everything that a reader may see was handed out.
    pub is_at_end: bool,
    /// Whether records behind the end wait for a transaction that is still open.
    pub is_held_back: bool,
    /// Records that are still to be read, about.
    pub lag: u64,
    /// When that was so, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What came of a call of [`Broker::poll`].
#[derive(Debug)]
pub enum Polled {
    /// Nothing within the time.
    Nothing,
    /// The next record of some partition. Those of one partition come in the order of their offsets.
    Record(Record),
    /// The group gives these partitions to this member, besides those it has; they wait for
    /// [`Broker::assign`].
    Assigned(Vec<Place>),
    /// The group takes these partitions away; they wait for [`Broker::unassign`].
    Revoked {
        /// Those that are taken away.
        places: Vec<Place>,
        /// Whether others may have them already.
        is_lost: bool,
    },
    /// How the partitions stand, about once a second.
    Seen(Vec<Seen>),
    /// Some partition asks for an offset that the broker does not have. It is told once, and not which
    /// partition: from then on that one is silent.
    OutOfRange,
    /// The client has failed for this, and is made anew: every partition is lost.
    Renewed(Error),
    /// Something is wrong, and goes away by itself or does not.
    Trouble(Error),
}

/// A member of a consumer group.
///
/// Errors of its methods end the sink, but for those that are retryable ([`Error::is_retryable`]).
pub trait Broker: Send {
    /// What the cluster says of topics now: answered by a broker after this was called, and not from a
    /// cache. Fails where a topic is not there or may not be read.
    fn topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<TopicFacts>>;

    /// Waits for something to happen.
    fn poll(&mut self, patience: Duration) -> Result<Polled>;

    /// Begins to read partitions, each at an offset.
    fn assign(&mut self, starts: &[(Place, i64)]) -> Result<()>;

    /// Lets go of partitions.
    fn unassign(&mut self, places: &[Place]) -> Result<()>;

    /// Goes on elsewhere in partitions that are assigned, also in one that is silent because it asked for
    /// what is not there. `all` is where all assigned partitions are to be, those among them.
    fn begin_again(&mut self, moved: &[(Place, i64)], all: &[(Place, i64)]) -> Result<()>;

    /// Reads no more of these until [`Broker::resume`].
    fn pause(&mut self, places: &[Place]) -> Result<()>;

    /// Reads them again.
    fn resume(&mut self, places: &[Place]) -> Result<()>;

    /// The first offset that there is, and the one behind the last.
    fn range(&mut self, place: &Place) -> Result<Range<i64>>;

    /// Those of these that the group was told anything of, some time.
    fn known_to_group(&mut self, places: &[Place]) -> Result<Vec<Place>>;

    /// Tells the group how far partitions are, for those who watch its lag. Nobody goes by it.
    fn hint(&mut self, nexts: &[(Place, i64)]);

    /// Leaves the group.
    fn close(&mut self);
}
