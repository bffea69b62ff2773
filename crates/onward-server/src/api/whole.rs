//! A change set in one JSON document, read without holding it a second time: each change goes to the
//! commit as it comes, and the first that is wrong ends the reading.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::head::headed;
use super::shapes::CommitHead;
use crate::extract::check_size;
use onward::internals::repo::change_file::Line;
use onward::internals::repo::{Branch, ChangeBuilder};
use onward::{Error, OpId, Result};

/// Reads a document into a commit.
pub fn read(branch: Branch, idempotent: Option<OpId>, bytes: &[u8]) -> Result<ChangeBuilder> {
    let mut change = branch.change();
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let read = document.deserialize_map(Document { change: &mut change });
    let head = read.and_then(|head| document.end().map(|()| head)).map_err(|error| {
        Error::invalid(format!(
            "the body is not a change set: {error}; it looks like {{\"message\": …, \"changes\": [{{\"put\": {{\"path\", \"address\", \"checksum\", \"size\"}}}}, {{\"delete\": {{\"path\"}}}}]}}"
        ))
    })?;
    headed(change, head, idempotent)
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
