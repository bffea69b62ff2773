//! What was decided about an op, and the record of it that waits in Redis.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::codec::{pack_versioned, unpack_versioned};
use crate::model::conflict::ConflictPath;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, Ticket};
use crate::model::producer::Producer;

use super::queued::PreparedMerge;

/// Conflicting paths kept per op, at most; their number is always told in full.
pub const CONFLICTS_MAX: usize = 10_000;

/// The one outcome of an op, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is a commit, or (a fold, the end of the branch) it took effect.
    Committed,
    /// It would have changed nothing.
    NoChanges,
    /// Paths it changes were changed by others, or its conditions did not hold.
    Conflict {
        /// The first of them, at most [`CONFLICTS_MAX`].
        paths: Vec<ConflictPath>,
        /// How many there are.
        total: u64,
    },
    /// A merge whose paths have changed since it was prepared, and whose client wants to try again
    /// itself: what it had worked out.
    LostRace(Option<Box<PreparedMerge>>),
    /// It cannot be carried out, now or later.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was called off before it was decided.
    Cancelled,
    /// Its producer was fenced, or its sequence had been decided before.
    Fenced {
        /// Why.
        reason: String,
        /// The commit of that sequence, where it is known.
        earlier: Option<CommitId>,
    },
}

impl Verdict {
    /// Of an op behind the end of its branch.
    pub fn branch_deleted() -> Self {
        Self::Failed { reason: "branch deleted".into() }
    }

    /// The verdict without what only the log keeps.
    pub fn brief(&self) -> Self {
        match self {
            Self::Conflict { total, .. } => Self::Conflict { paths: Vec::new(), total: *total },
            Self::LostRace(_) => Self::LostRace(None),
            other => other.clone(),
        }
    }

    /// The outcome's name in JSON and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::NoChanges => "no_changes",
            Self::Conflict { .. } => "conflict",
            Self::LostRace(_) => "lost_race",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Fenced { .. } => "fenced",
        }
    }
}

/// What the outcome stream says of an op. Conflicting paths stay in the log; waiters read them
/// there, so that a large conflict costs Redis nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// The verdict, without conflicting paths.
    pub verdict: Verdict,
    /// The commit, if it is one.
    pub commit: Option<CommitId>,
    /// First ticket of the batch, which names its log entry.
    pub first: Ticket,
    /// Ops in the batch.
    pub batch: u32,
}

const VERSION: u8 = 1;

impl OutcomeRecord {
    /// The bytes for the stream.
    pub fn encode(&self) -> Result<Bytes> {
        pack_versioned("an outcome", VERSION, self)
    }

    /// Reads bytes from the stream.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        unpack_versioned("an outcome in Redis", bytes, VERSION)
    }
}

/// The decided place of a producer: the row that fences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerRow {
    /// The epoch decided last.
    pub epoch: u64,
    /// The sequence decided last.
    pub sequence: u64,
    /// Its commit, if it became one.
    pub commit: Option<CommitId>,
}

impl ProducerRow {
    /// What becomes of an op whose place its producer's row has come past; `None` for a new one.
    pub fn fence(&self, asked: &Producer) -> Option<Verdict> {
        let Producer { name: producer, epoch, sequence } = asked;
        let (epoch, sequence) = (*epoch, *sequence);
        let (reason, earlier) = if epoch < self.epoch {
            let moved_on = self.epoch;
            let reason = format!(
                "producer '{producer}' has moved on to epoch {moved_on}; this is epoch {epoch}"
            );
            (reason, None)
        } else if epoch == self.epoch && sequence <= self.sequence {
            let last = self.sequence;
            let reason = format!(
                "sequence {sequence} of producer '{producer}' (epoch {epoch}) is decided already; the last one is {last}"
            );
            (reason, self.commit.filter(|_| sequence == last))
        } else {
            return None;
        };
        Some(Verdict::Fenced { reason, earlier })
    }

    /// The row in Redis: epoch and sequence in 20 digits each, which scripts compare as text,
    /// then the commit in hex. A later version says so behind that: `v`, its number, a blank.
    pub fn encode(&self) -> Bytes {
        let commit = self.commit.map(|id| id.to_string()).unwrap_or_default();
        format!("{:020}{:020}{commit}", self.epoch, self.sequence).into()
    }

    /// Reads a row.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if let Some((_, behind)) = text.split_once('v') {
            let version = behind.split(' ').next().and_then(|number| number.parse().ok());
            return Err(version.map_or_else(
                || Error::corrupt("a producer's row in Redis is damaged"),
                |version| Error::newer("a producer's row in Redis", version, VERSION.into()),
            ));
        }
        let parse = || {
            let (epoch, rest) = text.split_at_checked(20)?;
            let (sequence, commit) = rest.split_at_checked(20)?;
            let commit = match commit {
                "" => None,
                commit => Some(commit.parse().ok()?),
            };
            Some(Self { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()?, commit })
        };
        parse().ok_or_else(|| Error::corrupt("a producer's row in Redis is damaged"))
    }
}
