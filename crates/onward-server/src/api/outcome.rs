//! An outcome, and a conflict, as the API gives them. The bytes of an outcome are those that the library
//! writes of it, see [`Outcome`]; `describe` says what is in them, and a test holds the two together.

use std::collections::BTreeMap;

use serde::Serialize;

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
