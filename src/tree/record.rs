//! A record: one change of one path, the smallest piece of the tree. Data only.

use std::cmp::Reverse;

use bytes::Bytes;

use crate::model::change::{Change, encode_value, value_has_condition, value_is_delete};
use crate::model::codec::{put_bytes, put_u64};
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;

/// The longest encoded value: an entry, and a condition with the longest checksum.
pub const MAX_VALUE_LEN: usize = 16 * 1024;

/// Where a record stands in the order of a run: path ascending, op descending.
pub(crate) type Key<'a> = (&'a str, Reverse<u16>);

/// One change of one path, as ranges and runs hold it.
///
/// In a run, records are sorted by path ascending, then by op *descending*; no two have both in
/// common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The path that it is about.
    pub path: ObjectPath,
    /// Index in its batch of the op that wrote it.
    pub op: u16,
    /// The change, as [`crate::model::change::encode_value`] writes it.
    pub value: Bytes,
}

impl Record {
    /// What op `op` changes a path to, without a condition.
    pub fn new(op: u16, path: ObjectPath, change: &Change) -> Self {
        let mut value = Vec::new();
        encode_value(change, None, &mut value);
        Self { path, op, value: Bytes::from(value) }
    }

    /// Where it stands in the order of a run.
    pub(crate) fn key(&self) -> Key<'_> {
        (self.path.as_str(), Reverse(self.op))
    }

    /// Bytes of its path and value.
    pub fn size(&self) -> usize {
        self.path.as_str().len() + self.value.len()
    }

    /// Whether the record is a tombstone: it hides the path in the levels below.
    pub fn is_delete(&self) -> bool {
        value_is_delete(&self.value)
    }
}

/// What is in a sequence of records: the numbers every level of the tree carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) deletes: u64,
    pub(crate) bytes: u64,
    pub(crate) conditions: bool,
    /// Whether a record has an op other than 0 or a condition; then it says more than its content.
    pub(crate) unsettled: bool,
}

impl Totals {
    pub(crate) fn add(&mut self, path: &str, op: u16, value: &[u8]) {
        let condition = value_has_condition(value);
        self.records += 1;
        self.deletes += u64::from(value_is_delete(value));
        self.bytes += (path.len() + value.len()) as u64;
        self.conditions |= condition;
        self.unsettled |= condition || op != 0;
    }
}

/// Appends the canonical form of a record, over which contents are hashed.
pub(crate) fn put_record(out: &mut Vec<u8>, path: &str, op: u16, value: &[u8]) {
    put_bytes(out, path.as_bytes());
    put_u64(out, u64::from(op));
    put_bytes(out, value);
}

/// A path out of stored bytes, which must be one.
pub(crate) fn stored_path(path: &str) -> Result<ObjectPath> {
    ObjectPath::new(path).map_err(|error| Error::corrupt(error.message().to_owned()))
}

pub(crate) fn value_too_long(path: impl std::fmt::Display, len: usize) -> Error {
    Error::invalid(format!(
        "the encoded change of '{path}' is {len} bytes, the limit is {MAX_VALUE_LEN}"
    ))
}
