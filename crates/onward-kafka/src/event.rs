//! What a sink tells those who watch it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onward::CommitId;

use crate::broker::Place;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Partitions are read, each from an offset on.
    Assigned(Vec<(Place, i64)>),
    /// Partitions are not read any more.
    Revoked {
        /// Those that are not read any more.
        places: Vec<Place>,
        /// Whether all that was read of them is on the branch; else whoever has them next reads it again.
        is_all_committed: bool,
    },
    /// Files are on the branch.
    Committed {
        /// The commit that has them.
        commit: CommitId,
        /// Files in it.
        files: u64,
        /// Records in those.
        records: u64,
        /// The size of those files, in bytes.
        bytes: u64,
        /// The time up to which all partitions are there, in milliseconds since the Unix epoch, where it is
        /// known.
        valid_through_ms: Option<i64>,
    },
    /// A change set came to nothing: no commit has its changes, and its outcome says why.
    CameToNothing {
        /// The partition of its record.
        place: Place,
        /// The offset of its record.
        offset: i64,
        /// What became of it, as JSON.
        outcome: String,
    },
    /// Records are missing, and were skipped.
    Skipped {
        /// Of this partition.
        place: Place,
        /// What is missing, in words.
        what: String,
        /// The offset at which it goes on.
        next: i64,
    },
    /// Another process has taken a partition over. What was read of it here and not committed is discarded.
    TakenOver(Place),
    /// An open transaction keeps records of this partition back.
    HeldBack(Place),
    /// Nothing is read for now, or only of some partitions: limits on what waits are reached.
    Paused(Vec<Place>),
    /// They are read again.
    Resumed(Vec<Place>),
    /// Records that are still to be read, about, of all assigned partitions.
    Lag(u64),
    /// Something is wrong, and is tried again.
    Trouble(String),
}

/// Ends a sink: what was read is committed, then it leaves the group.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// One that was not asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a sink did until it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Records on the branch.
    pub records: u64,
    /// Files that these are in.
    pub files: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// Commits with files.
    pub commits: u64,
}

/// A gap in what a partition has to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The broker has deleted what was not read yet.
    Deleted(Range<i64>),
    /// The partition ends before where it was read to.
    CutOff { next: i64, end: i64 },
    /// The topic is another one of the same name.
    MadeAgain,
    /// The group has read it before, and the branch does not say any more how far.
    Forgotten,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted(range) => write!(
                f,
                "offsets {} to {} are gone: the broker has deleted them before they were read",
                range.start,
                range.end - 1
            ),
            Self::CutOff { next, end } => write!(
                f,
                "it was read up to offset {next} and now ends at {end}: records were lost at the broker, or the topic was made again"
            ),
            Self::Forgotten => f.write_str(
                "the group has read it before, and neither this branch nor its newest 10,000 commits say how far: records that it had then would be there twice. Where those are on this branch, look the offset up in them and begin with another group",
            ),
            Self::MadeAgain => {
                f.write_str("the topic was deleted and made again under its name: what the old one had behind the offset on the branch is gone")
            }
        }
    }
}
