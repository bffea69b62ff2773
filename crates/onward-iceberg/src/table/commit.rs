//! A commit to one table: assertions and changes.

use serde_json::Value;

use super::{Failed, Invalid, Metadata, NotApplied, Requirement, Update};

/// What the specification's `CommitTableRequest` asks for, without the name of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// What must hold.
    pub requirements: Vec<Requirement>,
    /// What is changed, in order.
    pub updates: Vec<Update>,
}

impl Commit {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Where it has something unknown or wrong, or more than [`super::UPDATES_MAX`] of either.
    pub fn from_json(_request: &Value) -> Result<Self, Invalid> {
        todo!()
    }

    /// Whether all its requirements hold.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self, _table: Option<&Metadata>) -> Result<(), Failed> {
        todo!()
    }

    /// Checks, and applies: see [`super::apply`].
    ///
    /// # Errors
    ///
    /// As of [`Commit::check`] and [`super::apply`].
    pub fn apply(
        &self,
        _base: Option<&Metadata>,
        _now_ms: i64,
        _previous_location: Option<&str>,
    ) -> Result<Metadata, NotApplied> {
        todo!()
    }

    /// The ids of the snapshots that it adds: by these a repetition is known.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = i64> + '_ {
        std::iter::empty()
    }
}
