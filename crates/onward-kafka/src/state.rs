//! How far a partition is, as commits say it: pairs of metadata, read back when the partition is assigned.
//!
//! A commit has the pair `onward.kafka.group`, and for each topic that it moves
//! `onward.kafka.offsets.<topic>` = `1 <topic id or -> <partition>:<next offset>:<life>:<time> …`, where 1 is
//! the version and the time, in milliseconds, may be missing. A topic of change sets may have two values
//! more behind each time: `:<replied offset>:<commit>`. What was skipped stands in
//! `onward.kafka.skipped`, and `onward.kafka.valid-through` says up to which time of its records all
//! partitions are there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use onward::{CommitId, Error, ErrorKind, Result};

use crate::broker::Place;

pub use onward::history::{GROUP_KEY, VALID_THROUGH_KEY};

/// The pair that says which offsets were skipped.
pub const SKIPPED_KEY: &str = "onward.kafka.skipped";

/// The pair that says which record of a topic asked for the commit: `<topic>/<partition>:<offset>`.
pub const RECORD_KEY: &str = "onward.kafka.record";

/// The pair that says what became of that record where the commit is not it: the outcome as JSON.
pub const OUTCOME_KEY: &str = "onward.kafka.outcome";

/// The pair that says what became of several records of one partition that are no change sets: by their offsets,
/// as a JSON object.
pub const OUTCOMES_KEY: &str = "onward.kafka.outcomes";

/// What the keys of all these pairs begin with.
pub(crate) const OWN_KEYS: &str = "onward.kafka.";

/// In front of the topic, the key of the pair with its offsets.
pub const OFFSETS_KEY: &str = "onward.kafka.offsets.";

const VERSION: &str = "1";

/// How far a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The id of the topic, where the broker has ids.
    pub topic_id: Option<String>,
    /// The next offset: of all before it, what there was is on the branch.
    pub next: i64,
    /// How often offsets began anew: with a topic made again under its name, or one that was cut off.
    pub life: u32,
    /// The latest time of a record that is on the branch, or when everything was, in milliseconds since
    /// the Unix epoch.
    pub through_ms: Option<i64>,
    /// Of a topic of change sets whose outcomes are told: all before it are.
    pub replied: Option<i64>,
    /// Of a topic of change sets: the commit after which a former owner may have tried the next record,
    /// without a commit that says what became of it.
    pub asked: Option<CommitId>,
}

/// The pairs of a commit that brings these partitions so far.
pub(crate) fn encode<'a>(
    group: &str,
    states: impl IntoIterator<Item = (&'a Place, &'a State)>,
    skipped: &[(Place, Range<i64>)],
) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::from([(GROUP_KEY.to_owned(), group.to_owned())]);
    for (place, state) in states {
        let id = state.topic_id.as_deref().unwrap_or("-");
        let value = pairs
            .entry(format!("{OFFSETS_KEY}{}", place.topic))
            .or_insert_with(|| format!("{VERSION} {id}"));
        value.push_str(&encode_one(place, state));
    }
    if !skipped.is_empty() {
        let ranges =
            skipped.iter().map(|(place, gap)| format!("{place}:{}-{}", gap.start, gap.end));
        pairs.insert(SKIPPED_KEY.to_owned(), ranges.collect::<Vec<_>>().join(" "));
    }
    pairs
}

fn encode_one(place: &Place, state: &State) -> String {
    let through = state.through_ms.map(|ms| ms.to_string()).unwrap_or_default();
    let mut text = format!(" {}:{}:{}:{through}", place.partition, state.next, state.life);
    if state.replied.is_some() || state.asked.is_some() {
        let replied = state.replied.map(|offset| offset.to_string()).unwrap_or_default();
        let asked = state.asked.map(|commit| commit.to_string()).unwrap_or_default();
        text.push_str(&format!(":{replied}:{asked}"));
    }
    text
}

/// What a topic adds to the pairs of a commit, in bytes, besides its partitions.
pub(crate) fn topic_len(place: &Place, state: &State) -> usize {
    let id = state.topic_id.as_ref().map_or(1, String::len);
    OFFSETS_KEY.len() + place.topic.len() + VERSION.len() + 1 + id
}

/// What a partition adds to them.
pub(crate) fn partition_len(place: &Place, state: &State) -> usize {
    encode_one(place, state).len()
}

/// How far the pairs of a commit bring a partition of this group; `None` where they say nothing of it. Fails
/// where they are of a newer version, or damaged.
pub fn decode(
    pairs: &BTreeMap<String, String>,
    group: &str,
    place: &Place,
) -> Result<Option<State>> {
    if pairs.get(GROUP_KEY).is_none_or(|named| named != group) {
        return Ok(None);
    }
    let Some(value) = pairs.get(&format!("{OFFSETS_KEY}{}", place.topic)) else { return Ok(None) };
    let mut words = value.split(' ');
    match words.next() {
        Some(VERSION) => {}
        version => {
            return Err(Error::new(
                ErrorKind::NewerVersion,
                format!(
                    "the offsets of topic '{}' are of version '{}', this program reads {VERSION}: use a newer one",
                    place.topic,
                    version.unwrap_or_default()
                ),
            ));
        }
    }
    let topic_id = words.next().filter(|id| *id != "-").map(str::to_owned);
    for word in words {
        let Some((partition, state)) = decode_one(word, &topic_id) else {
            return Err(Error::corrupt(format!(
                "the offsets of topic '{}' in a commit cannot be read at '{word}'",
                place.topic
            )));
        };
        if partition == place.partition {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

fn decode_one(word: &str, topic_id: &Option<String>) -> Option<(i32, State)> {
    let mut parts = word.split(':');
    let partition = parts.next()?.parse().ok()?;
    let next = parts.next()?.parse().ok()?;
    let life = parts.next()?.parse().ok()?;
    let through_ms = optional(parts.next()?)?;
    // Those that older programs, and topics of values, do not say.
    let replied = optional(parts.next().unwrap_or_default())?;
    let asked = optional(parts.next().unwrap_or_default())?;
    let topic_id = topic_id.clone();
    Some((partition, State { topic_id, next, life, through_ms, replied, asked }))
}

/// A value that may be missing; the outer `None` is one that cannot be read.
fn optional<T: FromStr>(text: &str) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(next: i64, life: u32, through_ms: Option<i64>) -> State {
        let topic_id = Some("abc".into());
        State { topic_id, next, life, through_ms, replied: None, asked: None }
    }

    #[test]
    fn what_a_commit_says_is_read_back() {
        let (a, b) = (Place::new("orders", 0), Place::new("orders", 10));
        let (first, mut second) = (state(7, 0, None), state(i64::MAX, 3, Some(-5)));
        second.replied = Some(17);
        let skipped = [(a.clone(), 3..5)];
        let pairs = encode("g", [(&a, &first), (&b, &second)], &skipped);
        assert_eq!(decode(&pairs, "g", &a).unwrap(), Some(first));
        assert_eq!(decode(&pairs, "g", &b).unwrap(), Some(second));
        assert_eq!(decode(&pairs, "g", &Place::new("orders", 1)).unwrap(), None);
        assert_eq!(decode(&pairs, "other", &a).unwrap(), None);
        assert_eq!(pairs[SKIPPED_KEY], "orders/0:3-5");
    }

    #[test]
    fn the_room_that_pairs_take_is_known_beforehand() {
        let places: Vec<Place> = (0..50).map(|partition| Place::new("t", partition)).collect();
        let states: Vec<State> = (0..50).map(|next| state(next * 1000, 0, Some(next))).collect();
        let pairs = encode("g", places.iter().zip(&states), &[]);
        let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        let of_partitions =
            places.iter().zip(&states).map(|(place, state)| partition_len(place, state));
        let said = topic_len(&places[0], &states[0]) + of_partitions.sum::<usize>();
        assert_eq!(bytes, said + GROUP_KEY.len() + 1);
    }

    #[test]
    fn a_newer_version_is_left_to_newer_programs() {
        let pairs = BTreeMap::from([
            (GROUP_KEY.to_owned(), "g".to_owned()),
            (format!("{OFFSETS_KEY}t"), "2 abc 0:1:0:".to_owned()),
        ]);
        let error = decode(&pairs, "g", &Place::new("t", 0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NewerVersion);
        let damaged = BTreeMap::from([
            (GROUP_KEY.to_owned(), "g".to_owned()),
            (format!("{OFFSETS_KEY}t"), "1 abc 0:1".to_owned()),
        ]);
        assert_eq!(
            decode(&damaged, "g", &Place::new("t", 0)).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
}
