//! A change set in one JSON document: what a commit says, and its changes, as jobs in any language write
//! them. It is read without holding it a second time: each change goes to the commit as it comes, and the
//! first that is wrong ends the reading.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::model::change::Change;
use crate::model::conflict::Strategy;
use crate::model::error::{Error, Result};
use crate::model::producer::Producer;

use super::change_file::Line;
use super::changes::ChangeBuilder;
use super::handles::Branch;

/// What happens to a path that both sides changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// The op is a conflict.
    #[default]
    Fail,
    /// The op's change wins.
    SourceWins,
    /// The branch's change wins.
    DestWins,
}

impl From<OnConflict> for Strategy {
    fn from(strategy: OnConflict) -> Self {
        match strategy {
            OnConflict::Fail => Self::Fail,
            OnConflict::SourceWins => Self::SourceWins,
            OnConflict::DestWins => Self::DestWins,
        }
    }
}

/// The op's place in its producer's sequence: decided once, however often it is sent; a lower epoch
/// than one that was decided is fenced.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProducerShape {
    /// Name of the producer.
    pub name: String,
    /// Its incarnation: an older one is fenced by a newer.
    pub epoch: u64,
    /// The number of the op under this epoch.
    pub sequence: u64,
}

impl From<ProducerShape> for Producer {
    fn from(ProducerShape { name, epoch, sequence }: ProducerShape) -> Self {
        Self::new(name, epoch, sequence)
    }
}

/// What a commit says beside its changes.
#[derive(Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CommitHead {
    /// The message of the commit.
    pub message: String,
    /// The user's own key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// The ref that the changes were made against: paths that have changed since are decided by the
    /// three-way rule and `on_conflict`. Without it the last writer wins.
    pub base: Option<String>,
    /// What happens to a path that both sides changed.
    pub on_conflict: OnConflict,
    /// Whether a commit without changes is wanted.
    pub allow_empty: bool,
    /// The op's place in a producer's sequence, for exactly-once without a time limit.
    pub producer: Option<ProducerShape>,
    /// Its places in the sequences of several producers, at most 256, instead of one: all of them
    /// advance with the op, or none does.
    #[cfg_attr(feature = "describe", schema(max_items = 256))]
    pub producers: Option<Vec<ProducerShape>>,
    /// The op's id, if the client chooses it: sending it again is the same op.
    #[cfg_attr(feature = "describe", schema(min_length = 36, max_length = 36))]
    pub op_id: Option<String>,
}

/// A change set that was read: its head, which may be added to, and the changes.
#[derive(Debug)]
pub struct ChangeSet {
    /// What the commit says beside its changes.
    pub head: CommitHead,
    changes: ChangeBuilder,
}

impl ChangeSet {
    /// The commit that it asks for. Fails where its head cannot be that of a commit.
    pub fn commit(self) -> Result<ChangeBuilder> {
        self.head.of(self.changes)
    }
}

impl Branch {
    /// Reads a change set, the JSON that `POST …/changes` of `/onward/v1` takes:
    ///
    /// ```json
    /// {"message": "load 7", "metadata": {"job": "nightly"},
    ///  "changes": [{"put": {"path": "t/a", "address": "s3://b/x", "checksum": "c", "size": 3}, "if": {"absent": true}},
    ///              {"delete": {"path": "t/b"}}]}
    /// ```
    ///
    /// Fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) and the number of the first
    /// change that is wrong. Nothing is asked of the branch.
    pub fn change_set(&self, json: &[u8]) -> Result<ChangeSet> {
        let mut changes = self.change();
        let mut document = serde_json::Deserializer::from_slice(json);
        let read = document.deserialize_map(Document { change: &mut changes });
        let head = read.and_then(|head| document.end().map(|()| head)).map_err(|error| {
            Error::invalid(format!(
                "the body is not a change set: {error}; it looks like {{\"message\": …, \"changes\": [{{\"put\": {{\"path\", \"address\", \"checksum\", \"size\"}}}}, {{\"delete\": {{\"path\"}}}}]}}"
            ))
        })?;
        Ok(ChangeSet { head, changes })
    }
}

impl CommitHead {
    /// A commit with this head.
    pub fn of(self, change: ChangeBuilder) -> Result<ChangeBuilder> {
        let mut change = change
            .message(self.message)
            .on_conflict(self.on_conflict.into())
            .allow_empty(self.allow_empty);
        for (key, value) in self.metadata {
            change = change.meta(key, value);
        }
        if let Some(base) = self.base {
            change = change.base(base.parse()?);
        }
        let producers = match (self.producer, self.producers) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "the op has a producer and producers: send one of them",
                ));
            }
            (one, several) => several.unwrap_or_else(|| one.into_iter().collect()),
        };
        change = change.producers(producers.into_iter().map(Producer::from));
        if let Some(op_id) = self.op_id {
            change = change.op_id(op_id.parse()?);
        }
        Ok(change)
    }
}

/// The largest size that a client may say an object has, in bytes: clients of the lakeFS API keep sizes
/// in 64 bits with a sign, and a single one with more would break every listing that shows it.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Refuses a put whose object is said to be larger than [`SIZE_MAX`].
pub fn check_size(change: &Change) -> Result<()> {
    match change.entry() {
        Some(entry) if entry.size > SIZE_MAX => Err(Error::invalid(format!(
            "a size of {} bytes is over the limit of {SIZE_MAX}",
            entry.size
        ))),
        _ => Ok(()),
    }
}

struct Document<'a> {
    change: &'a mut ChangeBuilder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    Message,
    Metadata,
    Base,
    OnConflict,
    AllowEmpty,
    Producer,
    Producers,
    OpId,
    Changes,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = CommitHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CommitHead, A::Error> {
        let mut head = CommitHead::default();
        let mut seen = Vec::new();
        while let Some(field) = map.next_key()? {
            if seen.contains(&field) {
                return Err(A::Error::custom(format!("duplicate field {field:?}").to_lowercase()));
            }
            seen.push(field);
            match field {
                Field::Message => head.message = map.next_value()?,
                Field::Metadata => head.metadata = map.next_value()?,
                Field::Base => head.base = map.next_value()?,
                Field::OnConflict => head.on_conflict = map.next_value()?,
                Field::AllowEmpty => head.allow_empty = map.next_value()?,
                Field::Producer => head.producer = map.next_value()?,
                Field::Producers => head.producers = map.next_value()?,
                Field::OpId => head.op_id = map.next_value()?,
                Field::Changes => map.next_value_seed(Changes { change: self.change })?,
            }
        }
        Ok(head)
    }
}

struct Changes<'a> {
    change: &'a mut ChangeBuilder,
}

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of changes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0_u64;
        while let Some(line) = seq.next_element::<Line>()? {
            number += 1;
            let pushed = line.change().and_then(|change| {
                let fits = check_size(&change.change);
                fits.and_then(|()| self.change.push(change)).map_err(|error| error.to_string())
            });
            pushed.map_err(|why| A::Error::custom(format!("change {number}: {why}")))?;
        }
        Ok(())
    }
}
