//! `bench`: how fast this deployment is, scenario by scenario, with the ways of others beside it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Subcommand;
use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::{Config, Onward, Result};
use serde_json::Value;

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, human_bytes};
use super::session::config;
use super::signals::Signals;
use plot::Chart;
use sample::Point;
use weather::Weather;

mod bulk;
mod contend;
mod drain;
mod floor;
mod grow;
mod merges;
mod plot;
pub mod processes;
mod read;
mod rig;
mod rivals;
mod sample;
mod server;
mod stall;
mod weather;

/// What to measure, and under what conditions.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
    /// Let each request to the storage take so much longer (give or take a third, one in a hundred
    /// 500 ms), as those to a cloud store do
    #[arg(long, global = true, value_name = "DUR", value_parser = humantime::parse_duration)]
    storage_latency: Option<Duration>,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Many writers commit to one branch: how many commits in a second, how long each, how fair
    #[command(
        after_help = "Examples:\n  onward bench contend --writers 1,8,64\n  onward bench contend --strategy onward,optimistic,bag,lock --plot contend.svg\n  onward bench contend --writers 32 --processes 32 --json"
    )]
    Contend(contend::ContendArgs),
    /// Commits arrive at a rate while Redis or the storage stalls for a while: what it takes to
    /// come back
    #[command(
        after_help = "Example: onward bench stall --rate 200 --strategy onward,optimistic,bag,lock --plot stall.svg"
    )]
    Stall(stall::StallArgs),
    /// A backlog of queued commits, all decided as fast as it goes
    #[command(after_help = "Example: onward bench drain --count 50000,100000")]
    Drain(drain::DrainArgs),
    /// Many branches are merged into one at the same time
    #[command(after_help = "Example: onward bench merge --count 1000 --writers 50")]
    Merge(merges::MergeArgs),
    /// One commit, or one merge, of very many changes, by a process of its own
    #[command(
        after_help = "Example: onward bench bulk --changes 1000000 --by file,staging,merge --entries 10000000"
    )]
    Bulk(bulk::BulkArgs),
    /// Lookups and listings, at the head and in history, by a new process and a warm one
    #[command(after_help = "Example: onward bench read --entries 1000000 --tasks 64")]
    Read(read::ReadArgs),
    /// One-change commits on branches of more and more entries, all measured in turns
    #[command(after_help = "Example: onward bench grow --entries 100,10000,1000000")]
    Grow(grow::GrowArgs),
}

/// Writers at the same time, at most.
const WRITERS_MAX: usize = 100_000;

fn writers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=WRITERS_MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {WRITERS_MAX}")),
    }
}

/// Changes or entries, at most.
const ENTRIES_MAX: u64 = 100_000_000;

fn entries(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count @ 0..=ENTRIES_MAX) => Ok(count),
        _ => Err(format!("a number from 0 to {ENTRIES_MAX}")),
    }
}

/// One run of a scenario.
pub struct Bench<'a> {
    onward: &'a Onward,
    config: &'a Config,
    weather: &'a Weather,
    out: &'a Out,
    repos: Mutex<Vec<String>>,
}

impl Bench<'_> {
    /// A repository of its own for one point.
    async fn repo(&self) -> Result<String> {
        let name = format!("bench-{:016x}", clock::random_u64());
        self.onward.repo(&name).create(&"main".parse()?).await?;
        self.repos.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        Ok(name)
    }

    /// Removes all of them. Only in the end: file systems may take longer to create files when many
    /// were deleted a moment ago, and one point would be measured under what another left behind.
    async fn clean(&self) -> Result<()> {
        let repos = std::mem::take(&mut *self.repos.lock().unwrap_or_else(PoisonError::into_inner));
        for repo in repos {
            self.onward.repo(repo).delete().await?;
        }
        Ok(())
    }

    /// Another connection, which has read nothing yet, with so much room for decoded blocks.
    async fn connect_anew(&self, block_cache_bytes: u64) -> Result<Onward> {
        let mut config = self.config.clone();
        config.coordinator.lake.tree.block_cache_bytes = block_cache_bytes;
        connect(&config, self.weather).await
    }

    /// Tells one result as soon as it is there.
    fn tell(&self, json: impl FnOnce() -> Value, line: impl FnOnce() -> String) -> Result<()> {
        // A reader that has gone ends the run when the next command writes.
        self.out.data(json, line).or_else(|failure| match failure {
            Failure::Error(error) => Err(error),
            _ => Ok(()),
        })
    }

    /// Tells one point, and whether all of it went well.
    fn tell_point(&self, point: &Point) -> Result<bool> {
        let sample = &point.sample;
        self.tell(|| point.json(), || line(point))?;
        if let Some(error) = &sample.error {
            self.out.note(&format!("{} commits failed, the first: {error}", sample.errors));
        }
        Ok(sample.errors == 0 && sample.beyond_bound == 0)
    }

    /// Draws charts beside each other, if a picture is wanted.
    fn draw(&self, file: Option<&Path>, charts: &[Chart]) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        plot::draw(file, charts)?;
        self.out.note(&format!("drawn into {}", file.display()));
        Ok(())
    }
}

async fn connect(config: &Config, weather: &Weather) -> Result<Onward> {
    let objects = weather.over(Objects::open(&config.storage)?);
    Onward::with_objects(config.clone(), objects).await
}

fn line(point: &Point) -> String {
    let sample = &point.sample;
    let latencies = sample.latencies.corrected();
    let rounds = match sample.rounds_bound {
        0 => format!("{} tries", sample.rounds_max),
        bound => format!("rounds {} of {bound}", sample.rounds_max),
    };
    let size = match point.entries {
        0 => String::new(),
        entries => format!(" {entries:>9} entries"),
    };
    format!(
        "{:<8} {:<10} {:>4} writers{size} {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms  max {:>8.1} ms  fair {:.3}  {rounds}  wasted {}",
        point.scenario,
        point.strategy,
        point.writers,
        point.per_second(),
        latencies.quantile_ms(0.5),
        latencies.quantile_ms(0.99),
        latencies.max_ms(),
        sample.jain(),
        human_bytes(sample.asked.bytes_wasted),
    )
}

/// Measures.
pub async fn run(global: &Global, out: &Out, args: BenchArgs) -> Done {
    let weather = Weather::new(args.storage_latency);
    let config = config(global).await?;
    let onward = connect(&config, &weather).await?;
    let repos = Mutex::default();
    let bench = Bench { onward: &onward, config: &config, weather: &weather, out, repos };
    let measure = async {
        match &args.scenario {
            Scenario::Contend(args) => contend::run(&bench, args).await,
            Scenario::Stall(args) => stall::run(&bench, args).await,
            Scenario::Drain(args) => drain::run(&bench, args).await,
            Scenario::Merge(args) => merges::run(&bench, args).await,
            Scenario::Bulk(args) => bulk::run(&bench, args).await,
            Scenario::Read(args) => read::run(&bench, args).await,
            Scenario::Grow(args) => grow::run(&bench, args).await,
        }
    };
    let mut signals = Signals::listen(*out)?;
    let sound = tokio::select! {
        sound = measure => sound.map_err(Failure::from),
        () = signals.caught() => Err(Failure::Interrupted),
    };
    weather.stall(weather::Stalled::Nothing);
    bench.clean().await?;
    let sound = sound?;
    onward.close().await;
    Ok(if sound { Exit::Done } else { Exit::Unexpected })
}
