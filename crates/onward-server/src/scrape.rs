//! What `/metrics` shows: what the program measures ([`onward::internals::measures`]), what the protocol
//! counts, the queues, and the requests.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use metrics::{counter, gauge};

use super::metrics::{COUNTS, READY, REDIS_UP, STORAGE_UP, look_at_process};
use super::probes::Readiness;
use super::sinks::State as SinkState;
use super::state::{App, AppState};
use onward::internals::clock::now_ms;
use onward::internals::repo::at_work::QueueAtWork;

const COMMITS_IN_FLIGHT: &str = "onward_commits_in_flight";
const QUEUE_DEPTH: &str = "onward_queue_depth";
const SINK_FAILING: &str = "onward_sink_failing_seconds";
const SINK_DEAD: &str = "onward_sink_dead";
const QUEUE_OLDEST: &str = "onward_queue_oldest_seconds";

/// Queues that one scrape looks at, at most: each is a call of Redis.
const QUEUES_MAX: usize = 200;

/// Answers `GET /metrics` in Prometheus's text form.
pub async fn show(State(app): State<AppState>) -> Response {
    let counters = app.onward.counters();
    for (name, _, of) in COUNTS {
        counter!(name).absolute(of(&counters));
    }
    let readiness = Readiness::of(&app).await;
    for (name, is_so) in [
        (READY, readiness.is_ready()),
        (REDIS_UP, readiness.redis),
        (STORAGE_UP, readiness.storage),
    ] {
        gauge!(name).set(f64::from(u8::from(is_so)));
    }
    look_at_process();
    let mut text = app.metrics.render();
    text.push_str(&queues(&app).await);
    text.push_str(&sinks(&app));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The queues that this process works on, as they are now. Written here and not recorded: a branch
/// that lived for one transaction would be remembered for ever.
async fn queues(app: &App) -> String {
    let queues = app.onward.queues_at_work(QUEUES_MAX).await;
    let sum: u64 = queues.iter().map(|queue| queue.depth).sum();
    let mut text = format!(
        "# HELP {COMMITS_IN_FLIGHT} Ops in the queues this process works on, whoever has submitted them\n# TYPE {COMMITS_IN_FLIGHT} gauge\n{COMMITS_IN_FLIGHT} {sum}\n\n"
    );
    type Of = fn(&QueueAtWork) -> f64;
    let shown: [(&str, &str, Of); 2] = [
        (QUEUE_DEPTH, "Ops in the queue of a branch", |queue| queue.depth as f64),
        (QUEUE_OLDEST, "How long the first op of a queue has waited", |queue| {
            queue.oldest_ms as f64 / 1000.0
        }),
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

/// The sinks that this process delivers events to, as they are now; written here as queues are.
fn sinks(app: &App) -> String {
    let states = app.sinks.states();
    let now = now_ms();
    let mut text = String::new();
    type Of = fn(&SinkState, i64) -> f64;
    let shown: [(&str, &str, Of); 2] = [
        (SINK_FAILING, "How long the next event of a sink has not been taken", |state, now| {
            state.failing_since_ms.map_or(0.0, |since| (now.saturating_sub(since)) as f64 / 1000.0)
        }),
        (SINK_DEAD, "Whether a sink was given up", |state, _| f64::from(u8::from(state.is_dead))),
    ];
    for (name, what, of) in shown {
        text.push_str(&format!("# HELP {name} {what}\n# TYPE {name} gauge\n"));
        for ((repo, sink), state) in &states {
            let value = of(state, now);
            text.push_str(&format!("{name}{{repo=\"{repo}\",sink=\"{sink}\"}} {value}\n"));
        }
        text.push('\n');
    }
    text
}
