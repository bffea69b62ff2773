//! Commits that wait for one table, brought onto its head together.

use uuid::Uuid;

use super::{Commit, Failed, Invalid, Metadata, TableFiles};

/// A commit that waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// What is asked.
    pub commit: &'a Commit,
    /// Whether its client says that its appends commute, whatever the table says.
    pub commutes: bool,
}

/// When, and on top of what.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The present time, in ms of the epoch.
    pub now_ms: i64,
    /// Where the metadata of the head lies.
    pub head_location: &'a str,
    /// Makes the names of new manifest lists unlike all others.
    pub unique: Uuid,
}

/// How a commit landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As it was asked for: its requirements held.
    AsAsked,
    /// Its appends were brought onto what others had done meanwhile.
    Rebased,
    /// It had landed before.
    Known,
}

/// Why a commit did not land. Nothing of it is in the metadata.
#[derive(Debug)]
pub enum Refused {
    /// It is wrong (400).
    Invalid(Invalid),
    /// It is stale and cannot be rebased (409, or the door): why it is stale, and why it was not rebased.
    Stale {
        /// The requirement that does not hold.
        failed: Failed,
        /// Why its appends were not brought onto the head.
        not_rebasable: String,
    },
    /// Files that a rebase takes could not be read or written (503): the same commit may land later.
    Unavailable(std::io::Error),
}

/// What became of commits that waited.
#[derive(Debug)]
pub struct Landing {
    /// The metadata with all that landed; none where nothing did.
    pub metadata: Option<Metadata>,
    /// One for each commit, in their order.
    pub results: Vec<Result<How, Refused>>,
}

/// Brings commits onto `head`, one after the other, as one new metadata with one more line in its log.
pub async fn land(
    _head: &Metadata,
    _waiting: &[Waiting<'_>],
    _moment: &Moment<'_>,
    _files: &dyn TableFiles,
) -> Landing {
    todo!()
}
