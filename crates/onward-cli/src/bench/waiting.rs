//! Many processes that wait on one branch, as Redis sees them: the connections of each, its wait for what it
//! is told, its op. No process is started, so that no machine is needed that could run ten thousand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use onward::internals::clock::{self, Deadline, Stopwatch};
use onward::internals::commit::context::BATCH_MAX;
use onward::internals::coord::inbox::{Heard, Letter};
use onward::internals::coord::options::BLOCK_MAX;
use onward::internals::coord::outcomes::Tail;
use onward::internals::coord::publish::Published;
use onward::internals::coord::submit::{Seal, Submission};
use onward::internals::coord::view::Wish;
use onward::internals::coord::{
    Answer, BranchKeys, LaneOptions, Lanes, Link, RedisBranch, Retention, Turn,
};
use onward::internals::model::ids::BranchUid;
use onward::{Error, RepoName, Result};
use serde_json::json;
use tokio::task::JoinSet;

use super::floor::{self, LIMITS};
use super::run::{Bench, writers};
use super::server::{MaxClients, SlowLog, info};
use super::table::Cell;

/// How long nothing happens: longer than Redis takes to give back the buffers of a connection that is silent,
/// shorter than a wait lasts.
const IDLE: Duration = Duration::from_secs(4);

/// Connections that are opened, or ops submitted, at the same time.
const AT_ONCE: usize = 64;

/// Connections of a server besides those of the processes.
const SPARE: usize = 32;

/// Bytes of an op of one change, behind its id.
const BODY: usize = 260;

/// Processes that are told of one batch, at most, by `publish.lua`.
const TOLD_MAX: usize = 256;

/// How long it may take until all are told who are.
const TOLD: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub struct WaitingArgs {
    /// Processes that wait; several numbers measure each
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [100usize, 1_000, 4_900], value_parser = writers)]
    processes: Vec<usize>,
    /// Connections of each, of which one waits
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
    connections: u8,
}

/// Measures each number.
pub async fn run(bench: &Bench<'_>, args: &WaitingArgs) -> Result<bool> {
    for processes in &args.processes {
        let connections = processes * usize::from(args.connections);
        bench.teller.begin(|| format!("{processes} processes, {connections} connections"));
        let options = LaneOptions { blocking: connections, ..bench.config.lanes.clone() };
        let lanes = Lanes::open(&bench.config.redis, options).await?;
        let room = MaxClients::at_least(&lanes, connections + SPARE).await?;
        let found = measure(&lanes, *processes, connections).await;
        room.put_back().await?;
        tell(bench, &found?)?;
    }
    Ok(true)
}

/// What so many processes cost.
struct Found {
    processes: usize,
    connections: usize,
    /// Memory of Redis for each connection, in bytes.
    bytes_each: f64,
    /// The part of a processor that Redis takes while all wait and nothing happens.
    idle: f64,
    /// Processor time of Redis to accept an op by a call of its own, in microseconds.
    accept_us: f64,
    /// The same to decide one, with what is told of it.
    decide_us: f64,
    /// The longest single call to publish a batch, in milliseconds; `None` where Redis does not say.
    publish_ms: Option<f64>,
    /// Processes that were told.
    told: u64,
    /// From the first batch to the last who was told, in seconds.
    seconds: f64,
}

fn tell(bench: &Bench<'_>, found: &Found) -> Result<()> {
    let Found { processes, connections, bytes_each, idle, accept_us, decide_us, .. } = *found;
    let Found { publish_ms, told, seconds, .. } = *found;
    bench.teller.tell(
        || {
            json!({
                "scenario": "waiting",
                "processes": processes,
                "connections": connections,
                "redis_bytes_per_connection": bytes_each,
                "redis_idle": idle,
                "redis_accept_us": accept_us,
                "redis_decide_us": decide_us,
                "redis_longest_publish_ms": publish_ms,
                "told": told,
                "seconds": seconds,
            })
        },
        || {
            let longest = publish_ms.map_or("?".to_owned(), |ms| format!("{ms:.2}"));
            vec![
                Cell::number("processes", 9, processes),
                Cell::number("connections", 11, connections),
                Cell::number("bytes/conn", 10, format!("{bytes_each:.0}")),
                Cell::number("idle %", 6, format!("{:.2}", idle * 100.0)),
                Cell::number("accept µs", 9, format!("{accept_us:.1}")),
                Cell::number("decide µs", 9, format!("{decide_us:.1}")),
                Cell::number("publish ms", 10, longest),
                Cell::number("told", 5, told),
            ]
        },
    )
}

/// Redis with the branch that all wait on.
struct Site {
    lanes: Lanes,
    keys: BranchKeys,
}

impl Site {
    fn new(lanes: &Lanes) -> Result<Self> {
        let repo: RepoName = format!("bench-{:016x}", clock::random_u64()).parse()?;
        let keys = BranchKeys::new(&repo, BranchUid(clock::random_u64()));
        Ok(Self { lanes: lanes.clone(), keys })
    }

    /// The branch as process `number` sees it.
    fn of(&self, number: usize) -> RedisBranch {
        let turn = Turn { helper: format!("{number:016x}"), length_ms: 60_000 };
        RedisBranch::new(self.lanes.clone(), self.keys.clone(), turn, Retention::default())
    }

    /// Processor time that Redis has taken so far, in seconds.
    async fn cpu(&self) -> Result<f64> {
        let cpu = info(&self.lanes, "cpu").await?;
        Ok(cpu.number("used_cpu_sys")? + cpu.number("used_cpu_user")?)
    }

    async fn memory(&self) -> Result<f64> {
        info(&self.lanes, "memory").await?.number("used_memory")
    }

    /// Opens the connections of one process.
    async fn connect(&self, number: usize, silent: usize) -> Result<(Tail, Vec<Link>)> {
        let tail = self.of(number).tail().await?;
        let mut others = Vec::with_capacity(silent);
        for _ in 0..silent {
            others.push(self.lanes.blocking(&self.keys.head).await?);
        }
        Ok((tail, others))
    }

    /// Each process has one op accepted, by a call of its own.
    async fn submit(&self, processes: usize) -> Result<()> {
        let submitted = (0..processes).map(|number| {
            let branch = self.of(number);
            async move {
                let op_id = clock::new_op_id();
                let mut element = op_id.to_string().into_bytes();
                element.push(b'P');
                element.resize(element.len() + BODY, 1);
                let (element, producers) = (element.into(), Vec::new());
                let one =
                    Submission { op_id, element, producers, seal: Seal::No, may_repeat: false };
                branch.submit(LIMITS, &[one]).await.map(drop)
            }
        });
        futures::stream::iter(submitted).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The first process decides all that is queued.
    async fn publish(&self) -> Result<()> {
        let first = self.of(0);
        let mut view = given(first.view(Wish::Insist, BATCH_MAX).await?)?;
        while !view.elements.is_empty() {
            let batch = floor::publication(&view)?;
            match given(first.publish(&batch, BATCH_MAX).await?)? {
                Published::Done { next, .. } => view = next,
                Published::Elsewhere { .. } => {
                    return Err(Error::internal(
                        "somebody else decides on a branch of a benchmark",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn given<T>(answer: Answer<T>) -> Result<T> {
    answer.given().ok_or_else(|| Error::unavailable("Redis lost the branch of the benchmark"))
}

/// How many of the processes are told of a queue with an op of each.
fn told_of(processes: usize) -> u64 {
    let batches = (0..processes).step_by(BATCH_MAX);
    // Who publishes knows.
    let others = batches.map(|first| BATCH_MAX.min(processes - first) - usize::from(first == 0));
    others.map(|others| others.min(TOLD_MAX) as u64).sum()
}

async fn measure(lanes: &Lanes, processes: usize, connections: usize) -> Result<Found> {
    let site = Arc::new(Site::new(lanes)?);
    floor::open(&site.of(0)).await?;
    let memory = site.memory().await?;
    let silent = connections / processes - 1;
    let opened = (0..processes).map(|number| site.connect(number, silent));
    let opened: Vec<_> = futures::stream::iter(opened).buffered(AT_ONCE).try_collect().await?;
    let told = Arc::new(AtomicU64::new(0));
    let (mut waiting, mut others) = (JoinSet::new(), Vec::new());
    for (tail, links) in opened {
        waiting.spawn(wait(tail, Arc::clone(&told)));
        others.extend(links);
    }

    let before = site.cpu().await?;
    tokio::time::sleep(IDLE).await;
    let idle = (site.cpu().await? - before) / IDLE.as_secs_f64();
    let bytes_each = (site.memory().await? - memory) / connections as f64;

    let before = site.cpu().await?;
    site.submit(processes).await?;
    let accepted = site.cpu().await?;
    let (slow, watch) = (SlowLog::watch(lanes).await, Stopwatch::start());
    site.publish().await?;
    let (expected, deadline) = (told_of(processes), Deadline::after(TOLD));
    while told.load(Ordering::Relaxed) < expected && !deadline.is_over() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = watch.elapsed().as_secs_f64();
    let decided = site.cpu().await?;
    let publish_ms = match slow {
        Some(slow) => Some(slow.longest_ms().await?),
        None => None,
    };
    let told = told.load(Ordering::Relaxed);
    waiting.shutdown().await;
    drop(others);
    site.of(0).forget().await?;
    let us = |seconds: f64| seconds * 1e6 / processes as f64;
    Ok(Found {
        processes,
        connections,
        bytes_each,
        idle,
        accept_us: us(accepted - before),
        decide_us: us(decided - accepted),
        publish_ms,
        told,
        seconds,
    })
}

/// Waits for what it is told, again and again.
async fn wait(mut tail: Tail, told: Arc<AtomicU64>) -> Result<()> {
    loop {
        match tail.letter(BLOCK_MAX).await? {
            Heard::Letter(Letter::Outcomes { .. }) => {
                told.fetch_add(1, Ordering::Relaxed);
            }
            Heard::Letter(Letter::Look) | Heard::Nothing => {}
            Heard::Refused(error) => return Err(error),
        }
    }
}
