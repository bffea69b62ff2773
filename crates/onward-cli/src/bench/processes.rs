//! Jobs in processes of their own: this program, run again.

use std::process::Stdio;
use std::time::Duration;

use onward::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::super::args::Global;
use super::super::exit::{Done, Exit};
use super::super::session::{blocking, config};
use super::huge::Bulk;
use super::rig::{Rig, Strategy, Until, drive};
use super::run::{Bench, connect};
use super::sample::Sample;
use super::weather::Weather;

/// What one process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    repo: String,
    storage_latency: Option<Duration>,
    task: Task,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Task {
    /// Be so many writers.
    Write { strategy: Strategy, first: usize, writers: usize, until: Until },
    /// Make one commit of very many changes.
    Bulk(Bulk),
}

/// The hidden verb of such a process: its job is a JSON object.
#[derive(Debug, clap::Args)]
pub struct JobArgs {
    job: String,
}

/// Runs one: connects, says so, waits for a line, does its job, tells what it measured.
pub async fn run(global: &Global, args: JobArgs) -> Done {
    let wrong = |error| Error::invalid("this is not a job").with_source(error);
    let job: Job = serde_json::from_str(&args.job).map_err(wrong)?;
    let onward = connect(&config(global).await?, &Weather::new(job.storage_latency)).await?;
    match job.task {
        Task::Write { strategy, first, writers, until } => {
            let rig = Rig::open(&onward, &job.repo, strategy).await?;
            ready().await?;
            tell(&drive(&rig, first, writers, until).await?)?;
        }
        Task::Bulk(bulk) => {
            ready().await?;
            tell(&bulk.run(&onward, &job.repo).await?)?;
        }
    }
    onward.close().await;
    Ok(Exit::Done)
}

async fn ready() -> Result<()> {
    println!("ready");
    let lost = |error| Error::unavailable("nobody gives the start").with_source(error);
    blocking(move || std::io::stdin().read_line(&mut String::new()).map_err(lost)).await.map(drop)
}

fn tell(result: &impl Serialize) -> Result<()> {
    let told = serde_json::to_string(result)
        .map_err(|error| Error::internal("a result cannot be told").with_source(error))?;
    println!("{told}");
    Ok(())
}

/// A process with a job.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("a process of the benchmark failed").with_source(error)
}

impl Running {
    /// Starts a process and waits until it is ready to begin.
    fn start(bench: &Bench<'_>, repo: &str, task: Task) -> Result<Self> {
        let storage_latency = bench.weather.latency();
        let job = Job { repo: repo.to_owned(), storage_latency, task };
        let job = serde_json::to_string(&job)
            .map_err(|error| Error::internal("a job cannot be told").with_source(error))?;
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("bench-job")
            .arg(job)
            .env("ONWARD_REDIS", &bench.config.redis)
            .env("ONWARD_STORAGE", &bench.config.storage)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| Error::internal("no pipe"))?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    async fn is_ready(&mut self) -> Result<()> {
        self.lines.next_line().await.map_err(failed).map(drop)
    }

    async fn go(&mut self) -> Result<()> {
        match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(b"go\n").await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn result<T: DeserializeOwned>(mut self) -> Result<T> {
        let told = self.lines.next_line().await.map_err(failed)?.unwrap_or_default();
        let result = serde_json::from_str(&told).map_err(|error| {
            Error::internal("a process of the benchmark ended without a result").with_source(error)
        })?;
        self.child.wait().await.map_err(failed)?;
        Ok(result)
    }
}

/// Spreads `writers` over `processes` and sums up what they measured. All begin at once.
pub async fn spread(
    bench: &Bench<'_>,
    repo: &str,
    strategy: Strategy,
    writers: usize,
    processes: usize,
    until: Until,
) -> Result<Sample> {
    let mut children = Vec::new();
    let mut first = 0;
    for process in 0..processes {
        let share = writers / processes + usize::from(process < writers % processes);
        let until = match until {
            Until::Count(count) => Until::Count(count * share as u64 / writers.max(1) as u64),
            seconds => seconds,
        };
        let task = Task::Write { strategy, first, writers: share, until };
        first += share;
        children.push(Running::start(bench, repo, task)?);
    }
    for child in &mut children {
        child.is_ready().await?;
    }
    for child in &mut children {
        child.go().await?;
    }
    let mut all = Sample::new();
    for child in children {
        all.add(&child.result().await?);
    }
    Ok(all)
}

/// Lets a process of its own make one large commit.
pub async fn alone<T: DeserializeOwned>(bench: &Bench<'_>, repo: &str, bulk: Bulk) -> Result<T> {
    let mut child = Running::start(bench, repo, Task::Bulk(bulk))?;
    child.is_ready().await?;
    child.go().await?;
    child.result().await
}
