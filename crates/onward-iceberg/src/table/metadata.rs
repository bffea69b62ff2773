//! The metadata of a table, validated: nothing that another engine might stumble over is ever made one of these.

use std::sync::Arc;

use serde_json::Value;

use super::Invalid;

/// What a `metadata.json` says. Cheap to clone; never changed.
#[derive(Debug, Clone)]
pub struct Metadata(Arc<Value>);

/// A branch or a tag of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Its name, such as `main`.
    pub name: &'a str,
    /// The snapshot that it names.
    pub snapshot_id: i64,
    /// Whether it is a tag.
    pub tag: bool,
}

impl Metadata {
    /// Reads the bytes of a `metadata.json`.
    ///
    /// # Errors
    ///
    /// Where they are not metadata that is consistent in itself, or more than [`super::METADATA_BYTES_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let value = serde_json::from_slice(bytes).map_err(|e| Invalid::new(e.to_string()))?;
        Self::from_json(value)
    }

    /// Validates metadata.
    ///
    /// # Errors
    ///
    /// As of [`Metadata::parse`].
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        Ok(Self(Arc::new(value)))
    }

    /// What goes into a `metadata.json`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// All of it, as the specification of the format has it.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// As [`Metadata::json`], with those snapshots alone that a branch or tag names: what the REST
    /// specification calls `snapshots=refs`.
    #[must_use]
    pub fn json_of_refs(&self) -> Value {
        todo!()
    }

    /// The version of the format: 1, 2 or 3.
    #[must_use]
    pub fn format_version(&self) -> u8 {
        todo!()
    }

    /// The table's uuid.
    #[must_use]
    pub fn uuid(&self) -> &str {
        todo!()
    }

    /// The folder of the table.
    #[must_use]
    pub fn location(&self) -> &str {
        todo!()
    }

    /// A property of the table.
    #[must_use]
    pub fn property(&self, _name: &str) -> Option<&str> {
        todo!()
    }

    /// The snapshot that `main` names.
    #[must_use]
    pub fn current_snapshot_id(&self) -> Option<i64> {
        todo!()
    }

    /// A snapshot, as the specification of the format has it.
    #[must_use]
    pub fn snapshot(&self, _id: i64) -> Option<&Value> {
        todo!()
    }

    /// The ids of all snapshots, in the order that they stand in.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = i64> + '_ {
        std::iter::empty()
    }

    /// All branches and tags.
    pub fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        std::iter::empty()
    }

    /// The highest sequence number given to a snapshot; 0 in version 1.
    #[must_use]
    pub fn last_sequence_number(&self) -> i64 {
        todo!()
    }

    /// When it was last changed, in ms of the epoch.
    #[must_use]
    pub fn last_updated_ms(&self) -> i64 {
        todo!()
    }

    /// Whether its owner says that appends of any writers commute (`onward.appends=commute`).
    #[must_use]
    pub fn appends_commute(&self) -> bool {
        todo!()
    }
}
