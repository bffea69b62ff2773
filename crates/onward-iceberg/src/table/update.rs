//! What a commit changes.

use serde_json::Value;

use super::{Invalid, Metadata, NotApplied};

/// One change of a commit, of those that the REST specification has for tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {}

impl Update {
    /// Reads an update of the REST specification.
    ///
    /// # Errors
    ///
    /// Where it is unknown, of a view, or has not what its action takes.
    pub fn from_json(_value: &Value) -> Result<Self, Invalid> {
        todo!()
    }
}

/// What `updates` make of `base`, or of nothing where a table is made. `previous_location` is where the metadata
/// of `base` lies, for the log of the new one.
///
/// # Errors
///
/// Where an update is wrong, where the result would be, or where it was made for an older state of the table.
pub fn apply(
    _base: Option<&Metadata>,
    _updates: &[Update],
    _now_ms: i64,
    _previous_location: Option<&str>,
) -> Result<Metadata, NotApplied> {
    todo!()
}
