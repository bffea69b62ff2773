//! What became of an op: one word for it, from the moment its record was read to what the command
//! and the sidecar print. As JSON it is one flat object, see [`Outcome::name`].
//!
//! The log and the stream of outcomes have records of their own, which are formats.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::conflict::ConflictPath;
use super::ids::{CommitId, Fingerprint, OpId, Ticket};
use super::producer::Standing;

/// How an op went, in counts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Details {
    /// Its id: submitting it again gives the same outcome.
    pub op_id: OpId,
    /// First ticket of its batch, which names its log entry; `None` when it was never queued.
    pub first: Option<Ticket>,
    /// Ops decided together with it.
    pub batch: u32,
    /// Rounds that this process ran between accepting the op and learning its outcome.
    pub rounds: u64,
    /// The most rounds it could have taken this process.
    pub rounds_bound: u64,
    /// From acceptance to outcome.
    pub waited: Duration,
    /// Whether it had been decided before it was submitted this time.
    pub repeated: bool,
    /// What tells the request that it came with from others under the same id, where that was kept.
    #[doc(hidden)]
    pub fingerprint: Option<Fingerprint>,
}

impl Details {
    /// Of an op of which no more is known: it was never queued, or nobody here waited for it.
    pub fn of(op_id: OpId) -> Self {
        Self {
            op_id,
            first: None,
            batch: 0,
            rounds: 0,
            rounds_bound: 0,
            waited: Duration::ZERO,
            repeated: false,
            fingerprint: None,
        }
    }
}

/// What became of an op.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is a commit in the branch's history, for good.
    Committed {
        /// Id of the new commit.
        commit: CommitId,
        /// Its place in the branch's order.
        ticket: Ticket,
        /// How it went.
        details: Details,
    },
    /// It took effect and is no commit: a reset, the end of a branch, a fold.
    Applied {
        /// Its place in the order.
        ticket: Ticket,
        /// How it went.
        details: Details,
    },
    /// There was nothing to commit.
    NoChanges {
        /// Its place in the order; `None` when it was not queued.
        ticket: Option<Ticket>,
        /// How it went.
        details: Details,
    },
    /// Others changed the same paths, or a condition did not hold. Nothing was changed.
    Conflict {
        /// Its place in the order; `None` when it was found before anything was queued.
        ticket: Option<Ticket>,
        /// The first conflicting paths.
        paths: Vec<ConflictPath>,
        /// How many there are.
        total: u64,
        /// How it went.
        details: Details,
    },
    /// A merge whose paths were changed by others since it was worked out, and whose client wants
    /// to try again itself. Nothing was changed.
    LostRace {
        /// Its place in the order.
        ticket: Ticket,
        /// What the next try can go on from; see [`crate::repo::hint`].
        hint: String,
        /// How it went.
        details: Details,
    },
    /// It cannot be carried out. Nothing was changed.
    Failed {
        /// Its place in the order, if it was queued.
        ticket: Option<Ticket>,
        /// What went wrong, in a sentence.
        reason: String,
        /// How it went.
        details: Details,
    },
    /// It was called off in time. A producer's sequence that it had is used up.
    Cancelled {
        /// Its place in the order.
        ticket: Ticket,
        /// How it went.
        details: Details,
    },
    /// Its producer's sequence is not above the last one decided, and this op did not have it.
    /// Nothing was changed: either another op had the sequence, or it was sent out of order and can
    /// only come under a higher one.
    Behind {
        /// Why, in words.
        reason: String,
        /// What was asked for and how far the producer is decided; `None` where an older program
        /// decided it.
        standing: Option<Standing>,
        /// The op that had the sequence, where it is known.
        earlier_op: Option<OpId>,
        /// The commit of that op, where it is known and made one.
        earlier: Option<CommitId>,
        /// How it went.
        details: Details,
    },
    /// A newer epoch of its producer has been decided: another run of it took over, and this one is
    /// to stop. Nothing was changed.
    Fenced {
        /// Why, in words.
        reason: String,
        /// What was asked for and how far the producer is decided; `None` where an older program
        /// decided it.
        standing: Option<Standing>,
        /// How it went.
        details: Details,
    },
    /// The deadline came first. The op is accepted and will be decided; its ticket tells.
    StillQueued {
        /// Its place in the order.
        ticket: Ticket,
        /// What holds it up, where this process knows.
        cause: Option<String>,
        /// How it went.
        details: Details,
    },
}

impl Outcome {
    /// The outcome's name in JSON, events and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "committed",
            Self::Applied { .. } => "applied",
            Self::NoChanges { .. } => "no_changes",
            Self::Conflict { .. } => "conflict",
            Self::LostRace { .. } => "lost_race",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Behind { .. } => "behind",
            Self::Fenced { .. } => "fenced",
            Self::StillQueued { .. } => "still_queued",
        }
    }

    /// How it went.
    pub fn details(&self) -> &Details {
        match self {
            Self::Committed { details, .. }
            | Self::Applied { details, .. }
            | Self::NoChanges { details, .. }
            | Self::Conflict { details, .. }
            | Self::LostRace { details, .. }
            | Self::Failed { details, .. }
            | Self::Cancelled { details, .. }
            | Self::Behind { details, .. }
            | Self::Fenced { details, .. }
            | Self::StillQueued { details, .. } => details,
        }
    }

    /// The same outcome, of an op that is submitted once more.
    #[doc(hidden)]
    pub fn of_a_repetition(mut self) -> Self {
        match &mut self {
            Self::Committed { details, .. }
            | Self::Applied { details, .. }
            | Self::NoChanges { details, .. }
            | Self::Conflict { details, .. }
            | Self::LostRace { details, .. }
            | Self::Failed { details, .. }
            | Self::Cancelled { details, .. }
            | Self::Behind { details, .. }
            | Self::Fenced { details, .. }
            | Self::StillQueued { details, .. } => details.repeated = true,
        }
        self
    }

    /// Its place in the branch's order, if it was queued. Of an op that its producer had come past
    /// none is told, queued or not.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Committed { ticket, .. }
            | Self::Applied { ticket, .. }
            | Self::LostRace { ticket, .. }
            | Self::Cancelled { ticket, .. }
            | Self::StillQueued { ticket, .. } => Some(*ticket),
            Self::NoChanges { ticket, .. }
            | Self::Conflict { ticket, .. }
            | Self::Failed { ticket, .. } => *ticket,
            Self::Behind { .. } | Self::Fenced { .. } => None,
        }
    }

    /// The commit, if it became one.
    pub fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Committed { commit, .. } => Some(*commit),
            _ => None,
        }
    }

    /// Why it failed, what it is behind, or what holds it up.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason, .. }
            | Self::Behind { reason, .. }
            | Self::Fenced { reason, .. } => Some(reason),
            Self::StillQueued { cause, .. } => cause.as_deref(),
            _ => None,
        }
    }

    /// What its producer asked for and how far that is decided, where it came too late.
    pub fn standing(&self) -> Option<&Standing> {
        match self {
            Self::Behind { standing, .. } | Self::Fenced { standing, .. } => standing.as_ref(),
            _ => None,
        }
    }

    /// Rounds this process ran for it.
    pub fn rounds(&self) -> u64 {
        self.details().rounds
    }
}

/// An outcome as JSON: every key that is not said to be left out is always there.
#[derive(Serialize)]
struct Shape<'a> {
    outcome: &'static str,
    commit: Option<CommitId>,
    ticket: Option<Ticket>,
    op_id: OpId,
    rounds: u64,
    batch: u32,
    wait_ms: u64,
    conflicts: &'a [ConflictPath],
    #[serde(skip_serializing_if = "Option::is_none")]
    conflicts_total: Option<u64>,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier_op: Option<OpId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<CommitId>,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let details = self.details();
        let mut shape = Shape {
            outcome: self.name(),
            commit: self.commit(),
            ticket: self.ticket(),
            op_id: details.op_id,
            rounds: details.rounds,
            batch: details.batch,
            wait_ms: u64::try_from(details.waited.as_millis()).unwrap_or(u64::MAX),
            conflicts: &[],
            conflicts_total: None,
            hint: None,
            reason: self.reason(),
            repeated: details.repeated,
            last_epoch: self.standing().map(|standing| standing.epoch),
            last_sequence: self.standing().map(|standing| standing.sequence),
            earlier_op: None,
            earlier: None,
        };
        match self {
            Self::Conflict { paths, total, .. } => {
                (shape.conflicts, shape.conflicts_total) = (paths, Some(*total));
            }
            Self::LostRace { hint, .. } => shape.hint = Some(hint),
            Self::Behind { earlier_op, earlier, .. } => {
                (shape.earlier_op, shape.earlier) = (*earlier_op, *earlier);
            }
            _ => {}
        }
        shape.serialize(serializer)
    }
}
