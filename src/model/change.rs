//! What an op wants to do to one path.

use serde::{Deserialize, Serialize};

use super::codec::{Decoder, put_bytes};
use super::entry::Entry;
use super::error::{Error, Result};
use super::path::ObjectPath;

/// Put or delete of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The path names this object from now on.
    Put(Entry),
    /// The path names nothing from now on.
    Delete,
}

impl Change {
    /// The entry the path has afterwards, if any.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Put(entry) => Some(entry),
            Self::Delete => None,
        }
    }

    /// The entry the path has afterwards, if any, taken out of the change.
    pub fn into_entry(self) -> Option<Entry> {
        match self {
            Self::Put(entry) => Some(entry),
            Self::Delete => None,
        }
    }
}

/// What must hold of a path when the op's turn comes; if it does not, the op is a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The path names nothing.
    #[serde(with = "absent_marker")]
    Absent,
    /// The path names an object with this checksum.
    Checksum(String),
}

/// `{"absent": true}` on the wire: the value says nothing, but `false` would say the opposite.
mod absent_marker {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match bool::deserialize(deserializer)? {
            true => Ok(()),
            false => Err(D::Error::custom("\"absent\" takes true; leave \"if\" away otherwise")),
        }
    }
}

impl Condition {
    /// Whether the condition holds of `current`, the entry the path has now.
    pub fn holds(&self, current: Option<&Entry>) -> bool {
        match (self, current) {
            (Self::Absent, None) => true,
            (Self::Checksum(wanted), Some(entry)) => entry.checksum == *wanted,
            (Self::Absent, Some(_)) | (Self::Checksum(_), None) => false,
        }
    }
}

/// A change of one path, with its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// The path that is changed.
    pub path: ObjectPath,
    /// What to do to it.
    pub change: Change,
    /// What must hold of it, if anything.
    pub condition: Option<Condition>,
}

const PUT: u8 = 0b0001;
const IF_ABSENT: u8 = 0b0010;
const IF_CHECKSUM: u8 = 0b0100;
/// The upper half of the first byte is the version of the value, 0 by now: values staged in Redis
/// have no other place for it.
const VERSION_SHIFT: u32 = 4;

/// Appends the canonical encoding of a change and its condition: the *value* stored under a path
/// in ranges, runs and staging areas.
pub fn encode_value(change: &Change, condition: Option<&Condition>, out: &mut Vec<u8>) {
    let put = if matches!(change, Change::Put(_)) { PUT } else { 0 };
    match condition {
        None => out.push(put),
        Some(Condition::Absent) => out.push(put | IF_ABSENT),
        Some(Condition::Checksum(checksum)) => {
            out.push(put | IF_CHECKSUM);
            put_bytes(out, checksum.as_bytes());
        }
    }
    if let Change::Put(entry) = change {
        entry.encode(out);
    }
}

/// Reads all of what [`encode_value`] wrote.
pub fn decode_value(bytes: &[u8]) -> Result<(Change, Option<Condition>)> {
    check_value_version(bytes)?;
    let mut decoder = Decoder::new(bytes);
    let flags = decoder.u8()?;
    let condition = match flags & (IF_ABSENT | IF_CHECKSUM) {
        0 => None,
        IF_ABSENT => Some(Condition::Absent),
        IF_CHECKSUM => Some(Condition::Checksum(decoder.str()?.to_owned())),
        _ => return Err(Error::corrupt("a value carries two conditions")),
    };
    if flags & !(PUT | IF_ABSENT | IF_CHECKSUM) != 0 {
        return Err(Error::corrupt(format!("value flags {flags:#x} are unknown")));
    }
    let change =
        if flags & PUT != 0 { Change::Put(Entry::decode(&mut decoder)?) } else { Change::Delete };
    decoder.finish()?;
    Ok((change, condition))
}

/// Fails with [`crate::ErrorKind::NewerVersion`] where only a newer program can read a value.
pub fn check_value_version(value: &[u8]) -> Result<()> {
    match value.first().map_or(0, |flags| flags >> VERSION_SHIFT) {
        0 => Ok(()),
        version => Err(Error::newer("a change of a path", version.into(), 0)),
    }
}

/// Whether an encoded value deletes its path.
pub fn value_is_delete(value: &[u8]) -> bool {
    value.first().is_some_and(|flags| flags & PUT == 0)
}

/// Whether an encoded value carries a condition.
pub fn value_has_condition(value: &[u8]) -> bool {
    value.first().is_some_and(|flags| flags & (IF_ABSENT | IF_CHECKSUM) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_encoding() {
        let put = Change::Put(Entry::new("mem://x", 1, "c"));
        for change in [put, Change::Delete] {
            for condition in
                [None, Some(Condition::Absent), Some(Condition::Checksum("etag".into()))]
            {
                let mut bytes = Vec::new();
                encode_value(&change, condition.as_ref(), &mut bytes);
                assert_eq!(value_is_delete(&bytes), change == Change::Delete);
                assert_eq!(value_has_condition(&bytes), condition.is_some());
                assert_eq!(decode_value(&bytes).unwrap(), (change.clone(), condition));
            }
        }
        assert!(decode_value(&[0b110, 0]).is_err());
        assert!(decode_value(&[0x80]).is_err());
        assert!(decode_value(&[]).is_err());
    }

    #[test]
    fn conditions_speak_the_documented_json() {
        let absent: Condition = serde_json::from_str(r#"{"absent": true}"#).unwrap();
        assert_eq!(absent, Condition::Absent);
        assert!(serde_json::from_str::<Condition>(r#"{"absent": false}"#).is_err());
        let checksum: Condition = serde_json::from_str(r#"{"checksum": "x"}"#).unwrap();
        assert_eq!(checksum, Condition::Checksum("x".into()));
    }
}
