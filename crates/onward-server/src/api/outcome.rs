//! An outcome, and a conflict, as the description of the API has them. The bytes of an outcome are those that the library writes of it,
//! see [`Outcome`]; a test holds the two together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use onward::{ConflictPath, Entry, Outcome};

/// What became of an op.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct OutcomeShape(pub Box<Outcome>);

impl ToSchema for OutcomeShape {
    fn name() -> Cow<'static, str> {
        "OutcomeShape".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
    }
}

impl PartialSchema for OutcomeShape {
    fn schema() -> RefOr<Schema> {
        Fields::schema()
    }
}

/// What became of an op.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
struct Fields {
    /// `committed`, `applied` (a reset, the end of a branch: it took effect and is no commit),
    /// `no_changes`, `conflict`, `lost_race`, `failed`, `cancelled`, `behind` (another op had the
    /// producer's sequence, or it was sent out of order), `fenced` (a newer epoch of the producer
    /// took over) or `still_queued`.
    outcome: &'static str,
    /// The commit, if it became one.
    commit: Option<String>,
    /// Its place in the branch's order, if it was queued.
    ticket: Option<u64>,
    /// Its id: submitting it again gives the same outcome.
    #[schema(min_length = 36, max_length = 36)]
    op_id: String,
    /// Rounds that the sidecar ran for it.
    rounds: u64,
    /// Ops decided together with it.
    batch: u32,
    /// From acceptance to outcome, in milliseconds.
    wait_ms: u64,
    /// The first conflicting paths, at most 10,000.
    conflicts: Vec<ConflictShape>,
    /// How many there are, of a conflict.
    conflicts_total: Option<u64>,
    /// What the next try of a merge can go on from, where it lost a race.
    hint: Option<String>,
    /// Why it failed, is behind or was fenced, or what holds it up.
    reason: Option<String>,
    /// Whether it had been decided before it was sent this time: left out, or `true`.
    repeated: Option<bool>,
    /// Of what is behind or fenced: the producer's last epoch that was decided.
    last_epoch: Option<u64>,
    /// Of what is behind or fenced: the last sequence that was decided under that epoch.
    last_sequence: Option<u64>,
    /// Of what is behind: the op that had the producer's sequence, where it is known.
    #[schema(min_length = 36, max_length = 36)]
    earlier_op: Option<String>,
    /// Of what is behind: the commit of that op, where it made one.
    earlier: Option<String>,
}

/// What a path names.
#[derive(Debug, Serialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
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
