//! The one door to time and chance: wall clock, stopwatch, deadlines, random numbers, fresh ids,
//! other threads.
//!
//! Everything else takes these as values or calls them here (`clippy.toml` refuses the originals),
//! so that what a decision depends on can be seen in its arguments, and so that a simulation can
//! put a seed in the place of all of them (`simulated`, with the feature `simulation`). Knows
//! nothing of Onward's protocol but the id types it makes.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the port through which the rest of the crate reaches clocks and randomness"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, OpId};

/// Milliseconds since the Unix epoch, by the wall clock: for people and for ages, never for order.
pub fn now_ms() -> i64 {
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now_ms() {
        return now;
    }
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// A moment for machines, milliseconds since the Unix epoch as RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// What [`rfc3339`] has written, or anybody else: finer digits are cut off.
pub fn ms_of_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond())
}

/// Measures how long something takes, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// A stopwatch that starts now.
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
    u64::from_le_bytes(random_bytes())
}

/// 128 random bits from a generator seeded by the operating system.
pub fn random_u128() -> u128 {
    u128::from_le_bytes(random_bytes())
}

/// Cryptographically strong random bytes, for keys and secrets.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "simulation")]
    if simulated::fill(&mut bytes) {
        return bytes;
    }
    rand::fill(&mut bytes);
    bytes
}

/// A length drawn evenly from `[length / 2, length]`, so that clients that failed together do not
/// come back together.
pub fn jittered(length: Duration) -> Duration {
    let part = (random_u64() >> 11) as f64 / (1u64 << 53) as f64;
    length.mul_f64(0.5 + 0.5 * part)
}

/// A fresh op id: a version 7 UUID, so that ids sort by the millisecond in which they were made.
pub fn new_op_id() -> OpId {
    let id = uuid::Builder::from_unix_timestamp_millis(now_ms().unsigned_abs(), &random_bytes());
    OpId::from_uuid(id.into_uuid())
}

/// A fresh branch incarnation.
pub fn new_branch_uid() -> BranchUid {
    BranchUid(random_u64())
}

/// Runs `work`, which takes a while, on a thread that serves nobody else. In a simulation, which
/// has one thread, it runs in place.
pub async fn on_other_thread<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    #[cfg(feature = "simulation")]
    if simulated::now_ms().is_some() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on another thread was cut short").with_source(error))
}

/// Lets other tasks run first, for those who wait so for times that are too short for a timer. In a
/// simulation, where the clock stands still while anybody runs, now and then a millisecond passes.
pub async fn yield_now() {
    #[cfg(feature = "simulation")]
    if simulated::yields_long() {
        return tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::task::yield_now().await;
}

/// Time and chance from a seed, for the thread that asks for it: with a paused tokio clock, all
/// that a single-threaded run does follows from the seed.
#[cfg(feature = "simulation")]
pub mod simulated {
    use std::cell::{Cell, RefCell};

    use rand::rngs::StdRng;
    use rand::{RngCore, SeedableRng};
    use tokio::time::Instant;

    /// The wall clock at the beginning of every simulation.
    const EPOCH_MS: i64 = 1_767_225_600_000;

    /// One in so many yields takes a millisecond.
    const YIELDS: u32 = 16;

    thread_local! {
        static CHANCE: RefCell<Option<StdRng>> = const { RefCell::new(None) };
        static START: Cell<Option<Instant>> = const { Cell::new(None) };
        static JUMPED_MS: Cell<i64> = const { Cell::new(0) };
        static YIELDED: Cell<u32> = const { Cell::new(0) };
    }

    /// As long as this lives, its thread is in the simulation.
    #[derive(Debug)]
    pub struct Simulated(());

    /// Puts this thread into a simulation. To be called in a runtime whose clock is paused.
    pub fn enter(seed: u64) -> Simulated {
        CHANCE.set(Some(StdRng::seed_from_u64(seed)));
        START.set(Some(Instant::now()));
        JUMPED_MS.set(0);
        YIELDED.set(0);
        Simulated(())
    }

    impl Drop for Simulated {
        fn drop(&mut self) {
            CHANCE.set(None);
            START.set(None);
        }
    }

    /// Lets the wall clock jump, in either direction.
    pub fn jump(ms: i64) {
        JUMPED_MS.set(JUMPED_MS.get() + ms);
    }

    pub(super) fn now_ms() -> Option<i64> {
        let elapsed = START.get()?.elapsed();
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        Some(EPOCH_MS.saturating_add(elapsed).saturating_add(JUMPED_MS.get()))
    }

    pub(super) fn yields_long() -> bool {
        YIELDED.set(YIELDED.get().wrapping_add(1));
        START.get().is_some() && YIELDED.get().is_multiple_of(YIELDS)
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        CHANCE.with_borrow_mut(|chance| match chance {
            Some(chance) => {
                chance.fill_bytes(bytes);
                true
            }
            None => false,
        })
    }
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
