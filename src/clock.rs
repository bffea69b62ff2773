//! The one door to time and chance: wall clock, stopwatch, deadlines, random numbers, fresh ids.
//!
//! Everything else takes these as values or calls them here (`clippy.toml` refuses the originals),
//! so that what a decision depends on can be seen in its arguments. Knows nothing of Onward's
//! protocol but the id types it makes.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the port through which the rest of the crate reaches clocks and randomness"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::model::ids::{BranchUid, OpId};

/// Milliseconds since the Unix epoch, by the wall clock: for people and for ages, never for order.
pub fn now_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Measures how long something takes, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start, in whole milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Time since the start; starts again now.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now.duration_since(self.0);
        self.0 = now;
        lap
    }
}

/// A moment on the monotonic clock after which waiting is pointless.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    length: Duration,
}

impl Deadline {
    /// `length` from now.
    pub fn after(length: Duration) -> Self {
        Self { start: Instant::now(), length }
    }

    /// The same deadline or `length` from now, whichever comes first.
    #[must_use]
    pub fn at_most(&self, length: Duration) -> Self {
        Self::after(length.min(self.left()))
    }

    /// What is left, zero when it has passed.
    pub fn left(&self) -> Duration {
        self.length.saturating_sub(self.start.elapsed())
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

/// 64 random bits from a generator seeded by the operating system.
pub fn random_u64() -> u64 {
    rand::random()
}

/// 128 random bits from a generator seeded by the operating system.
pub fn random_u128() -> u128 {
    rand::random()
}

/// Cryptographically strong random bytes, for keys and secrets.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

/// A length drawn evenly from `[length / 2, length]`, so that clients that failed together do not
/// come back together.
pub fn jittered(length: Duration) -> Duration {
    length.mul_f64(0.5 + 0.5 * rand::random::<f64>())
}

/// A fresh op id: a version 7 UUID, so that ids of one process sort by the time they were made.
pub fn new_op_id() -> OpId {
    OpId::from_uuid(Uuid::now_v7())
}

/// A fresh branch incarnation.
pub fn new_branch_uid() -> BranchUid {
    BranchUid(random_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_values_differ() {
        assert_ne!(random_u64(), random_u64());
        assert_ne!(random_bytes::<32>(), random_bytes::<32>());
        assert_ne!(new_op_id(), new_op_id());
        assert!(now_ms() > 1_700_000_000_000);
    }

    #[test]
    fn a_deadline_of_nothing_is_over_and_jitter_stays_in_its_half() {
        assert!(Deadline::after(Duration::ZERO).is_over());
        assert!(!Deadline::after(Duration::from_secs(3600)).is_over());
        for _ in 0..100 {
            let length = jittered(Duration::from_millis(100));
            assert!((50..=100).contains(&length.as_millis()));
        }
    }
}
