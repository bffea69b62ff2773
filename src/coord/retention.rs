//! How much of a branch's past Redis keeps. The log keeps all of it.

use std::time::Duration;

/// Ops whose outcomes a checkpoint and a branch that is put back keep, at most: so many are known of
/// every branch, whatever Redis has lost or forgotten.
pub const REMEMBERED: u64 = 4096;

/// How much of the past Redis keeps.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Outcomes per branch, at the least. An op id is recognised for as long as its outcome is kept.
    pub outcomes: u64,
    /// How long an outcome is kept however many there are, up to `outcomes_max`: longer than a
    /// call whose reply was lost is made again.
    pub window: Duration,
    /// Outcomes per branch, at the most: about 200 bytes each.
    pub outcomes_max: u64,
    /// How long an idle branch keeps them.
    pub idle: Duration,
    /// How long areas that were committed stay readable.
    pub areas: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            outcomes: 65_536,
            // A call whose reply was lost is made again for ten seconds.
            window: Duration::from_secs(12),
            outcomes_max: 1_048_576,
            idle: Duration::from_secs(24 * 3600),
            areas: Duration::from_secs(60),
        }
    }
}

impl Retention {
    /// Decided ops that Redis has to know before it takes an op for new that may be a repetition.
    pub fn remembered(&self) -> u64 {
        self.outcomes.min(REMEMBERED)
    }
}
