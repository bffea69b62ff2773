//! An outcome, and a conflict, as the API gives them. The bytes of an outcome are those that the library
//! writes of it, see [`Outcome`]; `describe` says what is in them, and a test holds the two together.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use onward::{ConflictPath, Entry, Outcome};

/// What became of an op.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct OutcomeShape(pub Box<Outcome>);

/// What a path names.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct EntryShape {
    /// Where the bytes are, as a URL.
    pub address: String,
    /// Checksum or ETag of the bytes.
    pub checksum: String,
    /// Length in bytes.
    pub size: u64,
    /// Modification time, seconds since the Unix epoch.
    pub mtime: i64,
    /// Media type, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The user's own key-value pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl From<Entry> for EntryShape {
    fn from(entry: Entry) -> Self {
        let Entry { address, checksum, size, mtime, content_type, metadata } = entry;
        Self { address, checksum, size, mtime, content_type, metadata }
    }
}

/// A path that two sides changed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct ConflictShape {
    /// The path that is in conflict.
    pub path: String,
    /// What both sides began with; for a condition, nothing.
    pub base: Option<EntryShape>,
    /// What the op wants.
    pub source: Option<EntryShape>,
    /// What the branch has.
    pub dest: Option<EntryShape>,
}

impl From<ConflictPath> for ConflictShape {
    fn from(conflict: ConflictPath) -> Self {
        Self {
            path: conflict.path.into(),
            base: conflict.base.map(Into::into),
            source: conflict.source.map(Into::into),
            dest: conflict.dest.map(Into::into),
        }
    }
}

/// Why a merge was not made.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct MergeConflictShape {
    /// What became of it.
    #[serde(flatten)]
    pub outcome: OutcomeShape,
    /// The Iceberg tables among the conflicting paths, the first 20; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schema(value_type = Vec<TableConflictShape>))]
    pub tables: Vec<Value>,
}

/// A table that both sides of a merge have changed.
#[cfg(feature = "describe")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct TableConflictShape {
    /// The levels of its namespace.
    namespace: Vec<String>,
    /// Its name there.
    name: String,
    /// Its snapshot at the merge base.
    base_snapshot: Option<i64>,
    /// Its snapshot at what is merged.
    source_snapshot: Option<i64>,
    /// Its snapshot at the branch that is merged into.
    dest_snapshot: Option<i64>,
    /// Why the two cannot be put together; null where they can.
    reason: Option<String>,
}
