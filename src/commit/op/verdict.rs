//! What was decided about an op, as the log and the stream of outcomes keep it.
//!
//! Both are formats. What is read from them is an [`Outcome`] from there on.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::codec::{pack_versioned, unpack_versioned};
use crate::model::conflict::ConflictPath;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, Fingerprint, Ticket};
use crate::model::outcome::{Details, Outcome};
use crate::model::producer::{Producer, Standing};

use super::merge::PreparedMerge;

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
        /// What went wrong, in a sentence.
        reason: String,
    },
    /// It was called off before it was decided.
    Cancelled,
    /// Its producer had come past its place.
    Fenced {
        /// Why, in words.
        reason: String,
        /// The commit of that sequence, where the producer's row named it.
        earlier: Option<CommitId>,
        /// What was asked for, and how far the producer was decided. Programs that do not know of
        /// it pass over it, and do not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<Standing>,
    },
}

/// Why an op behind the end of its branch failed.
pub const BRANCH_DELETED: &str = "branch deleted";

impl Verdict {
    /// Of an op behind the end of its branch.
    pub fn branch_deleted() -> Self {
        Self::Failed { reason: BRANCH_DELETED.into() }
    }

    /// The verdict without what only the log keeps.
    pub fn brief(&self) -> Self {
        match self {
            Self::Conflict { total, .. } => Self::Conflict { paths: Vec::new(), total: *total },
            Self::LostRace(_) => Self::LostRace(None),
            other => other.clone(),
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
    /// What tells the request that it came with from others under the same id, where its submitter
    /// wants that to be told. Programs that do not know of it pass over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
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

    /// The outcome of the op that has ticket `ticket`, without what only the log keeps (conflicting
    /// paths, the hint of a lost race) and whether it repeats another. `details` tell how it went,
    /// besides what the record has of that.
    pub fn outcome(self, ticket: Ticket, details: Details) -> Outcome {
        let (first, batch, fingerprint) = (Some(self.first), self.batch, self.fingerprint);
        let details = Details { first, batch, fingerprint, ..details };
        let some = Some(ticket);
        match self.verdict {
            Verdict::Committed => match self.commit {
                Some(commit) => Outcome::Committed { commit, ticket, details },
                None => Outcome::Applied { ticket, details },
            },
            Verdict::NoChanges => Outcome::NoChanges { ticket: some, details },
            Verdict::Conflict { paths, total } => {
                Outcome::Conflict { ticket: some, paths, total, details }
            }
            Verdict::LostRace(_) => Outcome::LostRace { ticket, hint: String::new(), details },
            Verdict::Failed { reason } => Outcome::Failed { ticket: some, reason, details },
            Verdict::Cancelled => Outcome::Cancelled { ticket, details },
            Verdict::Fenced { reason, earlier, standing } => {
                late(reason, standing, earlier, details)
            }
        }
    }
}

/// An op whose producer had come past its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// What was asked for, and how far the producer is decided.
    pub standing: Standing,
    /// The commit of that very sequence, where the producer's row names it.
    pub earlier: Option<CommitId>,
}

impl Late {
    /// What is decided about such an op in its turn.
    pub fn verdict(self) -> Verdict {
        let Self { standing, earlier } = self;
        Verdict::Fenced { reason: standing.reason(None), earlier, standing: Some(standing) }
    }

    /// What such an op is told that is not even queued: the same as in its turn.
    pub fn outcome(self, details: Details) -> Outcome {
        let Self { standing, earlier } = self;
        late(standing.reason(None), Some(standing), earlier, details)
    }
}

/// The outcome of such an op. An older program's record says by its commit alone that it was the
/// sequence that had been decided.
fn late(
    reason: String,
    standing: Option<Standing>,
    earlier: Option<CommitId>,
    details: Details,
) -> Outcome {
    match standing.as_ref().map_or(earlier.is_some(), Standing::is_behind) {
        true => Outcome::Behind { reason, standing, earlier_op: None, earlier, details },
        false => Outcome::Fenced { reason, standing, details },
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
    /// First ticket of the batch that it was in: in checkpoints of programs that forget producers, by
    /// which they know how long a producer has done nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Ticket>,
}

impl ProducerRow {
    /// Whether the producer has come past the place that is asked for.
    pub fn late(&self, asked: &Producer) -> Option<Late> {
        let is_behind = asked.epoch == self.epoch && asked.sequence <= self.sequence;
        if asked.epoch >= self.epoch && !is_behind {
            return None;
        }
        let earlier = self.commit.filter(|_| is_behind && asked.sequence == self.sequence);
        let (epoch, sequence) = (self.epoch, self.sequence);
        Some(Late { standing: Standing { asked: asked.clone(), epoch, sequence }, earlier })
    }

    /// Which of the places that an op asks for one of its producers has come past, and how: a newer
    /// epoch counts before a sequence, and of several the first in the op's order.
    pub fn first_late(rows: &BTreeMap<String, Self>, asked: &[Producer]) -> Option<Late> {
        let mut late = asked.iter().filter_map(|asked| rows.get(&asked.name)?.late(asked));
        let first = late.next()?;
        match first.standing.is_behind() {
            true => Some(late.find(|late| !late.standing.is_behind()).unwrap_or(first)),
            false => Some(first),
        }
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
            let (epoch, sequence) = (epoch.parse().ok()?, sequence.parse().ok()?);
            Some(Self { epoch, sequence, commit, used: None })
        };
        parse().ok_or_else(|| Error::corrupt("a producer's row in Redis is damaged"))
    }
}
