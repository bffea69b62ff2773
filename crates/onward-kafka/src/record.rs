//! One record of a topic, as a format sees it.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::now_ms;

/// A record with its place. What Kafka does not say is `None`, and never a number that means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// The partition, from 0 on.
    pub partition: i32,
    /// The offset in the partition. Offsets rise, and have holes.
    pub offset: i64,
    /// Milliseconds since the Unix epoch, as the producer or the broker says. `None` where neither
    /// does (Kafka's -1); 0 is the first moment of 1970.
    pub timestamp_ms: Option<i64>,
    /// The key, which may be there and empty.
    pub key: Option<Bytes>,
    /// The value. `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers in the order they were sent; a name may come more than once.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, which other headers may have too.
    pub name: String,
    /// The value, which may be missing.
    pub value: Option<Bytes>,
}

impl Record {
    /// Up to which time everything can be there once it is read: by its own time, or by now where that is
    /// still to come, as clocks of devices say at times.
    pub(crate) fn through_ms(&self) -> Option<i64> {
        self.timestamp_ms.map(|time| time.min(now_ms()))
    }

    /// What it takes in memory, roughly, in bytes.
    pub fn memory(&self) -> u64 {
        let bytes = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers =
            self.headers.iter().map(|header| header.name.len() + bytes(&header.value) + 64);
        (bytes(&self.key) + bytes(&self.value) + headers.sum::<usize>() + 160) as u64
    }
}
