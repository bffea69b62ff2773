//! What a commit asserts of the table.

use serde_json::Value;

use super::{Failed, Invalid, Metadata};

/// One assertion of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// There is no table yet.
    Create,
    /// The table has this uuid.
    TableUuid(String),
    /// A branch or tag names this snapshot, or is not there.
    RefSnapshotId {
        /// The branch or tag.
        name: String,
        /// The snapshot; none where it must not be there.
        snapshot_id: Option<i64>,
    },
    /// The highest id given to a field.
    LastAssignedFieldId(i64),
    /// The current schema.
    CurrentSchemaId(i64),
    /// The highest id given to a field of a partition.
    LastAssignedPartitionId(i64),
    /// The default partition spec.
    DefaultSpecId(i64),
    /// The default sort order.
    DefaultSortOrderId(i64),
}

impl Requirement {
    /// Reads a requirement of the REST specification.
    ///
    /// # Errors
    ///
    /// Where it is unknown: an assertion that is not checked must not be passed over.
    pub fn from_json(_value: &Value) -> Result<Self, Invalid> {
        todo!()
    }

    /// Whether it holds for a table, or for there being none.
    ///
    /// # Errors
    ///
    /// Where it does not; the message says what was required and what there is.
    pub fn check(&self, _table: Option<&Metadata>) -> Result<(), Failed> {
        todo!()
    }
}
