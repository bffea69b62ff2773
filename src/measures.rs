//! What is measured while the program runs, under the names that dashboards rely on.
//!
//! Through the `metrics` facade: without a recorder each call is one look at a pointer. The sidecar
//! installs one. Counts that the protocol keeps anyway are not counted again here; whoever shows these
//! shows those, too.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// From acceptance to outcome, by outcome, of the ops of this process.
pub const COMMIT_SECONDS: &str = "onward_commit_seconds";
/// Rounds that this process ran for each of its ops.
pub const COMMIT_ROUNDS: &str = "onward_commit_rounds";
/// Ops of each batch that this process decided.
pub const BATCH_OPS: &str = "onward_batch_ops";
/// Levels of a branch after each batch that this process decided.
pub const STACK_DEPTH: &str = "onward_stack_depth";
/// Ops that this process decided, by kind and outcome: each op once in all processes.
pub const OUTCOMES_TOTAL: &str = "onward_outcomes_total";
/// Ranges that this process wrote.
pub const RANGES_WRITTEN_TOTAL: &str = "onward_ranges_written_total";
/// Ranges that became part of a fold as they were.
pub const RANGES_REUSED_TOTAL: &str = "onward_ranges_reused_total";
/// How long calls of Redis take, by script.
pub const REDIS_SECONDS: &str = "onward_redis_seconds";
/// How long requests to the object store take, by operation.
pub const OBJECTS_SECONDS: &str = "onward_objects_seconds";

/// Says what each name means. Once, after a recorder is there.
pub fn describe() {
    for (name, unit, what) in [
        (COMMIT_SECONDS, Unit::Seconds, "From acceptance to outcome of this process's ops"),
        (COMMIT_ROUNDS, Unit::Count, "Rounds this process ran for each of its ops"),
        (BATCH_OPS, Unit::Count, "Ops of each batch this process decided"),
        (STACK_DEPTH, Unit::Count, "Levels of a branch after each batch"),
        (REDIS_SECONDS, Unit::Seconds, "Calls of Redis by script"),
        (OBJECTS_SECONDS, Unit::Seconds, "Requests to the object store by operation"),
    ] {
        describe_histogram!(name, unit, what);
    }
    // There from the start: what is not there cannot be seen to rise.
    counter!(RANGES_WRITTEN_TOTAL).increment(0);
    counter!(RANGES_REUSED_TOTAL).increment(0);
    describe_counter!(OUTCOMES_TOTAL, "Ops this process decided, by kind and outcome");
    describe_counter!(RANGES_WRITTEN_TOTAL, "Ranges written");
    describe_counter!(RANGES_REUSED_TOTAL, "Ranges that folds kept as they were");
}

/// An op of this process has its outcome.
pub fn told(outcome: &'static str, waited: Duration, rounds: u64) {
    histogram!(COMMIT_SECONDS, "outcome" => outcome).record(waited);
    histogram!(COMMIT_ROUNDS).record(rounds as f64);
}

/// This process decided a batch, and left the branch with so many levels.
pub fn batch(ops: u64, levels: usize) {
    histogram!(BATCH_OPS).record(ops as f64);
    histogram!(STACK_DEPTH).record(levels as f64);
}

/// This process decided an op.
pub fn decided(kind: &'static str, outcome: &'static str) {
    counter!(OUTCOMES_TOTAL, "kind" => kind, "outcome" => outcome).increment(1);
}

/// A range was written.
pub fn range_written() {
    counter!(RANGES_WRITTEN_TOTAL).increment(1);
}

/// A range became part of a fold as it was.
pub fn range_reused() {
    counter!(RANGES_REUSED_TOTAL).increment(1);
}

/// A call of Redis.
pub fn redis(script: &'static str, took: Duration) {
    histogram!(REDIS_SECONDS, "script" => script).record(took);
}

/// A request to the object store.
pub fn objects(op: &'static str, took: Duration) {
    histogram!(OBJECTS_SECONDS, "op" => op).record(took);
}
