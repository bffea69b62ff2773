//! Outcomes on their way back to those who sent change sets: what a reply is, and which replies of a partition
//! are not known to be delivered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use onward::Result;

use crate::broker::Place;
use crate::record::{Header, Record};

/// Replies of a partition that may be on their way; beyond that nothing more of it is carried out.
pub(crate) const ON_THEIR_WAY_MAX: usize = 1_000;

/// Headers of a request that its reply repeats, at most.
const REPEATED_MAX: usize = 16;

/// What a reply repeats of the key and of each of those, in bytes: a reply has to have room in a record of any
/// topic.
const REPEATED_BYTES_MAX: usize = 16 * 1024;

/// What became of one record, for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The partition of the record.
    pub place: Place,
    /// The offset of the record.
    pub offset: i64,
    /// The key of the record: the first 16 KiB of it.
    pub key: Option<Bytes>,
    /// `onward-topic`, `onward-partition`, `onward-offset`: the place of the record; then those of its own
    /// headers whose names have `correlation` in them, in any case, each with the first 16 KiB of its value.
    pub headers: Vec<Header>,
    /// The outcome as JSON. Its `op_id` is the same in each reply to one record.
    pub outcome: String,
}

impl Reply {
    pub(crate) fn to(record: &Record, outcome: String) -> Self {
        let own = |name: &str, value: String| Header {
            name: format!("onward-{name}"),
            value: Some(value.into()),
        };
        let mut headers = vec![
            own("topic", record.topic.to_string()),
            own("partition", record.partition.to_string()),
            own("offset", record.offset.to_string()),
        ];
        let is_repeated = |header: &&Header| {
            header.name.len() <= REPEATED_BYTES_MAX
                && header.name.to_ascii_lowercase().contains("correlation")
        };
        let repeated = record.headers.iter().filter(is_repeated).take(REPEATED_MAX);
        headers.extend(
            repeated.map(|one| Header { name: one.name.clone(), value: first(&one.value) }),
        );
        let place = Place::new(record.topic.clone(), record.partition);
        Self { place, offset: record.offset, key: first(&record.key), headers, outcome }
    }
}

/// What a reply repeats of this.
fn first(bytes: &Option<Bytes>) -> Option<Bytes> {
    bytes.as_ref().map(|bytes| bytes.slice(..bytes.len().min(REPEATED_BYTES_MAX)))
}

/// Where replies go. All calls come from the thread of the sink, and must not wait.
pub trait Replies: Send {
    /// Sends a reply, some time. A failure ends the sink.
    fn send(&mut self, reply: Reply) -> Result<()>;

    /// The replies that were delivered for good since this was asked last, by the places of their records.
    /// Fails where one cannot be delivered, which ends the sink.
    fn delivered(&mut self) -> Result<Vec<(Place, i64)>>;
}

/// The replies of a partition that are not known to be delivered.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    /// Records whose replies are on their way.
    sent: BTreeSet<i64>,
    /// Outcomes on the branch whose replies may never have been sent: their records are read again for it.
    again: BTreeMap<i64, String>,
}

impl Unanswered {
    pub(crate) fn of(again: BTreeMap<i64, String>) -> Self {
        Self { sent: BTreeSet::new(), again }
    }

    /// Where reading begins, so that they are answered.
    pub(crate) fn from(&self) -> Option<i64> {
        self.again.first_key_value().map(|(offset, _)| *offset)
    }

    /// All replies before it are delivered; `next` is the offset behind all that is on the branch.
    pub(crate) fn replied(&self, next: i64) -> i64 {
        let sent = self.sent.first().copied();
        [sent, self.from()].into_iter().flatten().min().unwrap_or(next)
    }

    /// The outcome of a record that is read again.
    pub(crate) fn take_again(&mut self, offset: i64) -> Option<String> {
        self.again.remove(&offset)
    }

    /// The records before this offset are gone. Returns how many are not answered for that.
    pub(crate) fn give_up_before(&mut self, offset: i64) -> usize {
        let kept = self.again.split_off(&offset);
        std::mem::replace(&mut self.again, kept).len()
    }

    pub(crate) fn sent(&mut self, offset: i64) {
        self.sent.insert(offset);
    }

    pub(crate) fn delivered(&mut self, offset: i64) {
        self.sent.remove(&offset);
    }

    pub(crate) fn on_their_way(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_the_first_reply_that_is_not_delivered_is_replied() {
        let mut unanswered = Unanswered::of(BTreeMap::from([(3, "a".into()), (5, "b".into())]));
        assert_eq!((unanswered.from(), unanswered.replied(9)), (Some(3), 3));
        assert_eq!(unanswered.take_again(3).as_deref(), Some("a"));
        unanswered.sent(3);
        assert_eq!(unanswered.replied(9), 3);
        unanswered.delivered(3);
        assert_eq!(unanswered.replied(9), 5);
        assert_eq!(unanswered.give_up_before(7), 1);
        assert_eq!((unanswered.from(), unanswered.replied(9)), (None, 9));
    }

    #[test]
    fn a_reply_says_whose_it_is() {
        let header = |name: &str| Header { name: name.into(), value: Some("v".into()) };
        let record = Record {
            topic: "requests".into(),
            partition: 2,
            offset: 7,
            timestamp_ms: None,
            key: Some("k".into()),
            value: None,
            headers: vec![header("kafka_correlationId"), header("other"), header("Correlation-Id")],
        };
        let reply = Reply::to(&record, "{}".into());
        let names: Vec<&str> = reply.headers.iter().map(|header| header.name.as_str()).collect();
        let own = ["onward-topic", "onward-partition", "onward-offset"];
        assert_eq!(names[..3], own);
        assert_eq!(names[3..], ["kafka_correlationId", "Correlation-Id"]);
        assert_eq!(reply.headers[2].value, Some("7".into()));
        assert_eq!((reply.place, reply.key), (Place::new("requests", 2), Some("k".into())));
    }

    #[test]
    fn a_reply_has_room_in_a_record_however_large_the_request_is() {
        let large = |bytes: usize| Some(Bytes::from(vec![b'x'; bytes]));
        let header = |name: String| Header { name, value: large(1 << 20) };
        let names = (0..100).map(|number| format!("correlation-{number}"));
        let names = names.chain([format!("correlation-{}", "x".repeat(1 << 20))]);
        let record = Record {
            topic: "requests".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: large(2 << 20),
            value: None,
            headers: names.map(header).collect(),
        };
        let reply = Reply::to(&record, "{}".into());
        let of = |header: &Header| header.name.len() + header.value.as_ref().map_or(0, Bytes::len);
        let bytes = reply.headers.iter().map(of).sum::<usize>() + reply.key.map_or(0, |k| k.len());
        assert_eq!(reply.headers.len(), 3 + REPEATED_MAX);
        // Brokers take records of 1 MiB unless told otherwise.
        assert!(((REPEATED_MAX * REPEATED_BYTES_MAX)..(600 << 10)).contains(&bytes), "{bytes}");
    }
}
