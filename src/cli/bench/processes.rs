//! Writers in processes of their own: this program, run again.

use std::process::Stdio;

use onward::{Error, Onward, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::super::args::Global;
use super::super::exit::{Done, Exit};
use super::super::session::{blocking, config};
use super::rig::{Rig, Strategy, Until, drive};
use super::sample::Sample;

/// What one process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    repo: String,
    strategy: Strategy,
    first: usize,
    writers: usize,
    until: Until,
}

/// The hidden verb of such a process: its job is a JSON object.
#[derive(Debug, clap::Args)]
pub struct WriterArgs {
    job: String,
}

/// Runs one: connects, says so, waits for a line, writes, tells what it measured.
pub async fn run(global: &Global, args: WriterArgs) -> Done {
    let wrong = |error| Error::invalid("this is not a job").with_source(error);
    let job: Job = serde_json::from_str(&args.job).map_err(wrong)?;
    let onward = Onward::connect(config(global).await?).await?;
    let rig = Rig::open(&onward, &job.repo, job.strategy).await?;
    println!("ready");
    blocking(|| {
        let lost = |error| Error::unavailable("nobody gives the start").with_source(error);
        std::io::stdin().read_line(&mut String::new()).map_err(lost)
    })
    .await?;
    let sample = drive(&rig, job.first, job.writers, job.until).await?;
    let told = serde_json::to_string(&sample)
        .map_err(|error| Error::internal("a sample cannot be told").with_source(error))?;
    println!("{told}");
    onward.close().await;
    Ok(Exit::Done)
}

/// Spreads `writers` over `processes` and sums up what they measured. All begin at once.
pub async fn spread(
    onward: &Onward,
    repo: &str,
    strategy: Strategy,
    writers: usize,
    processes: usize,
    until: Until,
) -> Result<Sample> {
    let objects = onward.coordinator().objects();
    let lanes = onward.coordinator().lanes();
    let failed = |error| Error::internal("a writer process failed").with_source(error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut children: Vec<(Child, _)> = Vec::new();
    let mut first = 0;
    for process in 0..processes {
        let share = writers / processes + usize::from(process < writers % processes);
        let until = match until {
            Until::Count(count) => Until::Count(count * share as u64 / writers.max(1) as u64),
            seconds => seconds,
        };
        let job = Job { repo: repo.to_owned(), strategy, first, writers: share, until };
        first += share;
        let job = serde_json::to_string(&job)
            .map_err(|error| Error::internal("a job cannot be told").with_source(error))?;
        let mut child = Command::new(&program)
            .arg("bench-writer")
            .arg(job)
            .env("ONWARD_REDIS", lanes.url())
            .env("ONWARD_STORAGE", objects.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| Error::internal("no pipe"))?;
        children.push((child, BufReader::new(stdout).lines()));
    }
    for (_, lines) in &mut children {
        lines.next_line().await.map_err(failed)?;
    }
    for (child, _) in &mut children {
        if let Some(stdin) = &mut child.stdin {
            stdin.write_all(b"go\n").await.map_err(failed)?;
        }
    }
    let mut all = Sample::new();
    for (mut child, mut lines) in children {
        let told = lines.next_line().await.map_err(failed)?.unwrap_or_default();
        let sample: Sample = serde_json::from_str(&told).map_err(|error| {
            Error::internal("a writer process ended without a result").with_source(error)
        })?;
        all.add(&sample);
        child.wait().await.map_err(failed)?;
    }
    Ok(all)
}
