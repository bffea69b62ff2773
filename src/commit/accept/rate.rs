//! How fast a branch is decided, as this process has seen it: the base of honest retry-after
//! times.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Assumed until something was measured, in ops per second.
const ASSUMED: f64 = 1000.0;

/// A retry-after time is never shorter or longer than these.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(60);

/// A moving average of decided ops per second.
#[derive(Debug, Default)]
pub struct Rate {
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Stopwatch,
    done: u64,
    per_second: f64,
}

impl Rate {
    /// Notes that `done` tickets are decided now.
    pub fn observe(&self, done: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = *seen else {
            *seen = Some(Seen { at: Stopwatch::start(), done, per_second: ASSUMED });
            return;
        };
        let elapsed = before.at.elapsed().as_secs_f64();
        if elapsed < 0.05 || done < before.done {
            return;
        }
        let measured = (done - before.done) as f64 / elapsed;
        let per_second = before.per_second * 0.7 + measured * 0.3;
        *seen = Some(Seen { at: Stopwatch::start(), done, per_second });
    }

    /// How long `ops` more take at this rate, within sensible limits.
    pub fn time_for(&self, ops: u64) -> Duration {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let per_second = seen.map_or(ASSUMED, |seen| seen.per_second).max(1.0);
        Duration::from_secs_f64(ops as f64 / per_second).clamp(SHORTEST, LONGEST)
    }
}
