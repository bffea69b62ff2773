//! What is measured: the recorder of this process, and what the sidecar measures itself.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use onward::internals::commit::counters::CounterSnapshot;
use onward::internals::measures;
use onward::{Error, Result};

/// Requests handled, by method, route and status.
const REQUESTS: &str = "onward_http_requests_total";
/// From the head of a request to the head of its answer.
const SECONDS: &str = "onward_http_seconds";
/// Requests under way.
const IN_FLIGHT: &str = "onward_http_in_flight";
/// Name of the series of open connections.
const CONNECTIONS: &str = "onward_http_connections";
/// Logins with a wrong id or secret.
pub const LOGINS_FAILED: &str = "onward_logins_failed_total";

/// Commits to Iceberg tables, by result.
#[cfg(feature = "iceberg")]
pub const ICEBERG_COMMITS: &str = "onward_iceberg_commits_total";
/// Reports that engines send of scans and commits, by kind.
#[cfg(feature = "iceberg")]
pub const ICEBERG_REPORTS: &str = "onward_iceberg_reports_total";
/// Events that sinks have taken.
pub const SINK_EVENTS: &str = "onward_sink_events_total";
/// Events that they have not taken, each time.
pub const SINK_FAILURES: &str = "onward_sink_failures_total";
/// Which program this is.
const BUILD_INFO: &str = "onward_build_info";
/// Whether the sidecar can serve.
pub const READY: &str = "onward_ready";
/// Whether Redis answers.
pub const REDIS_UP: &str = "onward_redis_up";
/// Whether the object store answers.
pub const STORAGE_UP: &str = "onward_storage_up";

/// How often what was measured is put in order between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds, from a fast call to a commit that was waited out.
const SECONDS_BUCKETS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

/// Counts, from one to the largest batch.
const COUNT_BUCKETS: [f64; 12] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// A count of the protocol.
pub type Count = (&'static str, &'static str, fn(&CounterSnapshot) -> u64);

/// What the protocol counts: name, meaning, and where the count is.
pub const COUNTS: [Count; 8] = [
    ("onward_lost_races_total", "Decisions that found their place in the log taken", |c| {
        c.lost_races
    }),
    ("onward_helped_total", "Ops finished for other processes", |c| c.helped),
    ("onward_bytes_wasted_total", "Bytes written for merges and then not used", |c| c.bytes_wasted),
    ("onward_folds_total", "Folds in the background", |c| c.folds),
    ("onward_adopted_total", "Log entries published after Redis had lost them", |c| c.adopted),
    ("onward_rounds_total", "Rounds begun", |c| c.rounds),
    ("onward_failed_rounds_total", "Rounds that ended with an error", |c| c.failed_rounds),
    (
        "onward_invariant_violations_total",
        "Things seen that must never be: anything but 0 is a bug",
        |c| c.invariant_violations,
    ),
];

/// The recorder of this process, installed when first asked for.
pub fn recorder() -> Result<PrometheusHandle> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let counted = [measures::COMMIT_ROUNDS, measures::BATCH_OPS, measures::STACK_DEPTH];
    let builder = counted.into_iter().try_fold(
        PrometheusBuilder::new().set_buckets(&SECONDS_BUCKETS),
        |builder, name| {
            builder?.set_buckets_for_metric(Matcher::Full(name.to_owned()), &COUNT_BUCKETS).map(Ok)
        },
    );
    let unusable = |error: &dyn std::fmt::Display| {
        Error::internal(format!("what is measured cannot be recorded: {error}"))
    };
    let builder = builder.and_then(|builder| builder).map_err(|error| unusable(&error))?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if RECORDER.set(handle.clone()).is_ok() {
        metrics::set_global_recorder(recorder).map_err(|error| unusable(&error))?;
        describe();
    }
    Ok(RECORDER.get().cloned().unwrap_or(handle))
}

fn describe() {
    measures::describe();
    for (name, what, _) in COUNTS {
        describe_counter!(name, what);
    }
    describe_counter!(REQUESTS, "Requests handled");
    describe_histogram!(SECONDS, Unit::Seconds, "From the head of a request to that of its answer");
    describe_gauge!(IN_FLIGHT, "Requests under way");
    describe_gauge!(CONNECTIONS, "Open connections");
    #[cfg(feature = "iceberg")]
    {
        describe_counter!(ICEBERG_COMMITS, "Commits to Iceberg tables");
        describe_counter!(ICEBERG_REPORTS, "Reports of scans and commits by Iceberg engines");
    }
    counter!(LOGINS_FAILED).increment(0);
    describe_counter!(LOGINS_FAILED, "Logins with a wrong id or secret");
    counter!(SINK_EVENTS).increment(0);
    describe_counter!(SINK_EVENTS, "Events that sinks have taken");
    counter!(SINK_FAILURES).increment(0);
    describe_counter!(SINK_FAILURES, "Deliveries of events that failed, and are tried again");
    describe_gauge!(BUILD_INFO, "Always 1; its labels say which program this is");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_gauge!(READY, "Whether the sidecar can serve, as /readyz says");
    describe_gauge!(REDIS_UP, "Whether Redis answered within the last second");
    describe_gauge!(STORAGE_UP, "Whether the object store answered within the last second");
    metrics_process::Collector::default().describe();
}

/// Takes down what the system says of the process.
pub fn look_at_process() {
    metrics_process::Collector::default().collect();
}

/// Puts in order what was measured, until the process ends.
pub async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Something that is there for a while: counted until it is dropped.
pub struct Counted(&'static str);

impl Counted {
    /// An open connection.
    pub fn connection() -> Self {
        Self::of(CONNECTIONS)
    }

    /// A request under way.
    pub fn request() -> Self {
        Self::of(IN_FLIGHT)
    }

    fn of(name: &'static str) -> Self {
        gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1.0);
    }
}

/// A request that was answered. `route` is the pattern, not the path: there are only so many.
pub fn answered(method: &'static str, route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    histogram!(SECONDS, "method" => method, "route" => route).record(took);
}
