//! The crate's one door to time and chance: intervals by the monotonic clock, dates by the wall clock, ids.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the port through which the rest reaches clocks and chance"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onward::OpId;
use uuid::Uuid;

/// Milliseconds since the Unix epoch, by the wall clock of this machine.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An id that no other op has.
pub(crate) fn new_op_id() -> OpId {
    OpId::from_uuid(Uuid::now_v7())
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// One that has run for so long already.
    #[cfg(test)]
    pub(crate) fn started_before(time: Duration) -> Self {
        Self(Self::start().0.checked_sub(time).unwrap())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Whether so much time has passed.
    pub(crate) fn has_run(&self, time: Duration) -> bool {
        self.elapsed() >= time
    }
}
