//! What the protocol has done so far, counted. Counts, not clocks, are what tests hold against
//! the promises.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one process.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        /// The counters at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct CounterSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all counters.
            pub fn snapshot(&self) -> CounterSnapshot {
                CounterSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Ops accepted into a queue by calls of this process.
    accepted,
    /// Rounds that were begun.
    rounds,
    /// Ops in the batches this process decided.
    decided,
    /// Batches this process decided.
    batches,
    /// Batches that it got ready while the one before them was decided.
    ahead,
    /// Ops it decided that others had submitted.
    helped,
    /// Decisions that found their place in the log taken.
    lost_races,
    /// Log entries by others that it published.
    adopted,
    /// Ops submitted again after Redis had lost them.
    resubmitted,
    /// Branches put back into Redis from the log.
    restored,
    /// Bytes of runs that were written for merges and that the decisions had no use for.
    bytes_wasted,
    /// Folds in the background.
    folds,
    /// Rounds that ended with an error.
    failed_rounds,
    /// Things seen that must never be, see `invariants`. Anything but 0 is a bug.
    invariant_violations,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
