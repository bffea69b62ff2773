//! Work that can be spread over processes: this program, run again.

use std::process::Stdio;
use std::time::Duration;

use onward::{Config, Error, Onward, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::super::session::blocking;
use super::run::{Bench, connect};
use super::weather::Weather;

/// The share of a measurement that one process does.
pub trait Work: Serialize + DeserializeOwned {
    /// What tells it from other work.
    const NAME: &'static str;
    /// What it measures.
    type Found: Serialize + DeserializeOwned;

    /// Prepares, waits for the start, and works.
    async fn run(self, place: Place<'_>, start: Start) -> Result<Self::Found>;
}

/// Where work is done.
pub struct Place<'a> {
    /// The deployment.
    pub onward: &'a Onward,
    /// How others connect to it.
    pub config: &'a Config,
    /// What its storage is like.
    pub weather: &'a Weather,
    /// The repository.
    pub repo: &'a str,
}

impl Place<'_> {
    /// Another connection, which has read nothing yet, with so much room for decoded blocks.
    pub async fn connect_anew(&self, block_cache_bytes: u64) -> Result<Onward> {
        let mut config = self.config.clone();
        config.coordinator.lake.tree.block_cache_bytes = block_cache_bytes;
        connect(&config, self.weather).await
    }
}

/// When work begins.
#[derive(Debug)]
pub enum Start {
    /// At once: nobody else takes part.
    Now,
    /// When the process that gave us the work says so.
    Told,
}

impl Start {
    /// Says that all is prepared, and `ready` with it, and waits until the others are.
    pub async fn given(self, ready: &str) -> Result<()> {
        if matches!(self, Self::Now) {
            return Ok(());
        }
        println!("{ready}");
        let lost = |error| Error::unavailable("nobody gives the start").with_source(error);
        let line = move || std::io::stdin().read_line(&mut String::new()).map_err(lost);
        blocking(line).await.map(drop)
    }
}

/// What a process is told to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// In which repository.
    pub repo: String,
    /// What the storage is like.
    pub storage_latency: Option<Duration>,
    /// The kind of work.
    pub name: String,
    /// The work.
    pub work: Value,
}

impl Job {
    fn of<W: Work>(bench: &Bench<'_>, repo: &str, work: &W) -> Result<Self> {
        let untold = |error| Error::internal("a job cannot be told").with_source(error);
        Ok(Self {
            repo: repo.to_owned(),
            storage_latency: bench.weather.latency(),
            name: W::NAME.to_owned(),
            work: serde_json::to_value(work).map_err(untold)?,
        })
    }

    /// Connects, does it, and tells what was found.
    pub async fn perform<W: Work>(self, config: &Config) -> Result<()> {
        let wrong = |error| Error::invalid("this is not a job").with_source(error);
        let work: W = serde_json::from_value(self.work).map_err(wrong)?;
        let weather = &Weather::new(self.storage_latency);
        let onward = &connect(config, weather).await?;
        let place = Place { onward, config, weather, repo: &self.repo };
        let found = work.run(place, Start::Told).await?;
        let untold = |error| Error::internal("a result cannot be told").with_source(error);
        println!("{}", serde_json::to_string(&found).map_err(untold)?);
        onward.close().await;
        Ok(())
    }
}

/// A process with a job. It ends with this.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("a process of the benchmark failed").with_source(error)
}

impl Running {
    /// Starts it.
    pub fn start<W: Work>(bench: &Bench<'_>, repo: &str, work: &W) -> Result<Self> {
        let job = serde_json::to_string(&Job::of(bench, repo, work)?)
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

    /// Waits until it is prepared; what it says then.
    pub async fn is_ready(&mut self) -> Result<String> {
        let ended = || Error::internal("a process of the benchmark ended before it began");
        self.lines.next_line().await.map_err(failed)?.ok_or_else(ended)
    }

    /// Lets it go on.
    pub async fn go(&mut self) -> Result<()> {
        match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(b"go\n").await.map_err(failed),
            None => Ok(()),
        }
    }

    /// What it found, when it has ended.
    pub async fn found<T: DeserializeOwned>(mut self) -> Result<T> {
        let told = self.lines.next_line().await.map_err(failed)?.unwrap_or_default();
        let found = serde_json::from_str(&told).map_err(|error| {
            Error::internal("a process of the benchmark ended without a result").with_source(error)
        })?;
        self.child.wait().await.map_err(failed)?;
        Ok(found)
    }
}

/// Does work in a process of its own.
pub async fn alone<W: Work>(bench: &Bench<'_>, repo: &str, work: &W) -> Result<W::Found> {
    let mut child = Running::start(bench, repo, work)?;
    child.is_ready().await?;
    child.go().await?;
    child.found().await
}

/// Does each share in a process of its own, or the only one in this process. All begin at once.
pub async fn spread<W: Work>(
    bench: &Bench<'_>,
    repo: &str,
    mut shares: Vec<W>,
) -> Result<Vec<W::Found>> {
    if shares.len() == 1
        && let Some(work) = shares.pop()
    {
        let Bench { onward, config, weather, .. } = *bench;
        let place = Place { onward, config, weather, repo };
        return Ok(vec![work.run(place, Start::Now).await?]);
    }
    let mut children = Vec::new();
    for share in &shares {
        children.push(Running::start(bench, repo, share)?);
    }
    for child in &mut children {
        child.is_ready().await?;
    }
    for child in &mut children {
        child.go().await?;
    }
    let mut found = Vec::new();
    for child in children {
        found.push(child.found().await?);
    }
    Ok(found)
}

/// The part of `all` that process `number` of `processes` gets.
pub fn share(all: usize, number: usize, processes: usize) -> usize {
    all / processes + usize::from(number < all % processes)
}
