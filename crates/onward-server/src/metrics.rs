//! What `/metrics` shows: what the program measures ([`onward::internals::measures`]), what the protocol counts,
//! the queues, and the requests.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::state::{App, AppState};
use onward::internals::clock;
use onward::internals::commit::context::BranchContext;
use onward::internals::commit::counters::CounterSnapshot;
use onward::internals::commit::op::queued::QueuedOp;
use onward::internals::coord::BranchState;
use onward::internals::measures;
use onward::{BranchName, Error, RepoName, Result};

/// Requests handled, by method, route and status.
const REQUESTS: &str = "onward_http_requests_total";
/// From the head of a request to the head of its answer.
const SECONDS: &str = "onward_http_seconds";
/// Requests under way.
const IN_FLIGHT: &str = "onward_http_in_flight";
/// Open connections.
const CONNECTIONS: &str = "onward_http_connections";
/// Logins with a wrong id or secret.
pub const LOGINS_FAILED: &str = "onward_logins_failed_total";

const COMMITS_IN_FLIGHT: &str = "onward_commits_in_flight";
const QUEUE_DEPTH: &str = "onward_queue_depth";
const QUEUE_OLDEST: &str = "onward_queue_oldest_seconds";

/// Queues that one scrape looks at, at most: each is a call of Redis.
const QUEUES_MAX: usize = 200;

/// Queues looked at together.
const LOOKS: usize = 16;

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

type Count = (&'static str, &'static str, fn(&CounterSnapshot) -> u64);

const COUNTS: [Count; 8] = [
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
    counter!(LOGINS_FAILED).increment(0);
    describe_counter!(LOGINS_FAILED, "Logins with a wrong id or secret");
}

/// Puts in order what was measured, until the process ends.
pub async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// `GET /metrics`.
pub async fn show(State(app): State<AppState>) -> Response {
    let counters = app.onward.counters();
    for (name, _, of) in COUNTS {
        counter!(name).absolute(of(&counters));
    }
    let mut text = app.metrics.render();
    text.push_str(&queues(&app).await);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The queues that this process works on, as they are now. Written here and not recorded: a branch
/// that lived for one transaction would be remembered for ever.
async fn queues(app: &App) -> String {
    let branches = app.onward.coordinator().at_work(QUEUES_MAX);
    let looked_at = stream::iter(branches).map(|context| async move { look(&context).await });
    let queues: Vec<Queue> =
        looked_at.buffer_unordered(LOOKS).filter_map(|queue| async { queue }).collect().await;
    let sum: u64 = queues.iter().map(|queue| queue.depth).sum();
    let mut text = format!(
        "# HELP {COMMITS_IN_FLIGHT} Ops in the queues this process works on, by whomever\n# TYPE {COMMITS_IN_FLIGHT} gauge\n{COMMITS_IN_FLIGHT} {sum}\n\n"
    );
    type Of = fn(&Queue) -> f64;
    let shown: [(&str, &str, Of); 2] = [
        (QUEUE_DEPTH, "Ops in the queue of a branch", |queue| queue.depth as f64),
        (QUEUE_OLDEST, "How long the first op of a queue has waited", |queue| queue.oldest_seconds),
    ];
    for (name, what, of) in shown {
        text.push_str(&format!("# HELP {name} {what}\n# TYPE {name} gauge\n"));
        for queue in &queues {
            // The names have nothing in them that would have to be escaped.
            text.push_str(&format!(
                "{name}{{repo=\"{}\",branch=\"{}\"}} {}\n",
                queue.repo,
                queue.branch,
                of(queue)
            ));
        }
        text.push('\n');
    }
    text
}

struct Queue {
    repo: RepoName,
    branch: BranchName,
    depth: u64,
    oldest_seconds: f64,
}

async fn look(context: &BranchContext) -> Option<Queue> {
    let view = match context.look(1).await {
        Ok(view) => view.given().filter(|view| view.head.state != BranchState::Deleted)?,
        Err(error) => {
            tracing::debug!(%error, "a queue cannot be looked at");
            return None;
        }
    };
    let front = view.elements.first().and_then(|element| QueuedOp::decode(element).ok());
    let created_ms = front.and_then(|queued| queued.created_ms());
    let age_ms = created_ms.map_or(0, |ms| clock::now_ms().saturating_sub(ms).max(0));
    let (repo, branch) = (context.lake.repo().clone(), context.name.clone());
    Some(Queue { repo, branch, depth: view.depth, oldest_seconds: age_ms as f64 / 1000.0 })
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
