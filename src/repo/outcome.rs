//! What a commit came to, for its caller.

use std::time::Duration;

use crate::model::conflict::ConflictPath;
use crate::model::ids::{CommitId, OpId, Ticket};

/// How an op went, in counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Details {
    /// Its id: submitting it again gives the same outcome.
    pub op_id: OpId,
    /// The most rounds it could have taken this process.
    pub rounds_bound: u64,
    /// Ops decided together with it.
    pub batch: u32,
    /// From acceptance to outcome.
    pub waited: Duration,
}

impl Details {
    /// Of an op that was never queued.
    pub(super) fn unqueued(op_id: OpId) -> Self {
        Self { op_id, rounds_bound: 0, batch: 0, waited: Duration::ZERO }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is in the branch's history, for good.
    Committed {
        /// The commit.
        commit: CommitId,
        /// Its place in the branch's order.
        ticket: Ticket,
        /// Rounds this process ran for it.
        rounds: u64,
        /// How it went.
        details: Details,
    },
    /// There was nothing to commit.
    NoChanges {
        /// Its place in the order, if it was queued.
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
        /// Why.
        reason: String,
        /// How it went.
        details: Details,
    },
    /// It was called off in time.
    Cancelled {
        /// Its place in the order.
        ticket: Ticket,
        /// How it went.
        details: Details,
    },
    /// Its producer was fenced, or its sequence decided before.
    Fenced {
        /// Why.
        reason: String,
        /// The commit of that sequence, where it is known.
        earlier: Option<CommitId>,
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
    /// The outcome's name in JSON and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "committed",
            Self::NoChanges { .. } => "no_changes",
            Self::Conflict { .. } => "conflict",
            Self::LostRace { .. } => "lost_race",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Fenced { .. } => "fenced",
            Self::StillQueued { .. } => "still_queued",
        }
    }

    /// How it went.
    pub fn details(&self) -> &Details {
        match self {
            Self::Committed { details, .. }
            | Self::NoChanges { details, .. }
            | Self::Conflict { details, .. }
            | Self::LostRace { details, .. }
            | Self::Failed { details, .. }
            | Self::Cancelled { details, .. }
            | Self::Fenced { details, .. }
            | Self::StillQueued { details, .. } => details,
        }
    }

    /// Its place in the branch's order, if it was queued.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Committed { ticket, .. }
            | Self::LostRace { ticket, .. }
            | Self::Cancelled { ticket, .. }
            | Self::StillQueued { ticket, .. } => Some(*ticket),
            Self::NoChanges { ticket, .. }
            | Self::Conflict { ticket, .. }
            | Self::Failed { ticket, .. } => *ticket,
            Self::Fenced { .. } => None,
        }
    }

    /// The commit, if it became one.
    pub fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Committed { commit, .. } => Some(*commit),
            _ => None,
        }
    }

    /// Rounds this process ran for it.
    pub fn rounds(&self) -> u64 {
        match self {
            Self::Committed { rounds, .. } => *rounds,
            _ => 0,
        }
    }
}
