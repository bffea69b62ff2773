//! `bench`: how fast this deployment is, scenario by scenario, with the ways of others beside it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use onward::{Onward, Result, clock};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, human_bytes};
use super::session::config;
use rig::{Strategy, Until};
use sample::Point;

mod contend;
mod floor;
mod grow;
mod merges;
mod plot;
pub mod processes;
mod rig;
mod rivals;
mod sample;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Many writers commit to one branch: how many commits in a second, how long each, how fair
    #[command(
        after_help = "Examples:\n  onward bench contend --writers 1,8,64\n  onward bench contend --strategy onward,optimistic,bag,lock --plot contend.svg\n  onward bench contend --writers 32 --processes 32 --json"
    )]
    Contend(ContendArgs),
    /// Many branches are merged into one at the same time
    #[command(after_help = "Example: onward bench merge --count 1000 --writers 50")]
    Merge(MergeArgs),
    /// One-change commits on branches of more and more entries
    #[command(after_help = "Example: onward bench grow --entries 100,10000,1000000")]
    Grow(GrowArgs),
}

/// Flags of every scenario.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Writers at the same time; several numbers measure each
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [1usize, 2, 4, 8, 16, 32, 64, 128, 256], value_parser = writers)]
    pub writers: Vec<usize>,
    /// Spread them over so many processes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub processes: usize,
    /// How long each point is measured
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "5s", conflicts_with = "count")]
    pub duration: Duration,
    /// Measure so many commits instead
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

impl Common {
    fn until(&self) -> Until {
        match self.count {
            Some(count) => Until::Count(count),
            None => Until::Seconds(self.duration.as_secs_f64()),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct ContendArgs {
    #[command(flatten)]
    pub common: Common,
    /// How commits are made; several are compared
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', default_value = "onward")]
    pub strategy: Vec<Strategy>,
}

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Merges at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = writers)]
    pub writers: usize,
    /// Merges
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub count: u64,
    /// Changes that each merge brings
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub changes: u64,
    /// Entries of the branch they are merged into
    #[arg(long, value_name = "M", default_value_t = 0)]
    pub entries: u64,
}

#[derive(Debug, clap::Args)]
pub struct GrowArgs {
    /// Entries of the branch; each number is measured
    #[arg(long, value_name = "M[,M…]", value_delimiter = ',', default_values_t = [100u64, 10_000, 1_000_000])]
    pub entries: Vec<u64>,
    /// Commits that are measured at each
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub count: u64,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// Writers at the same time, at most.
const WRITERS_MAX: usize = 100_000;

fn writers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=WRITERS_MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {WRITERS_MAX}")),
    }
}

/// One run of a scenario.
pub struct Bench<'a> {
    onward: &'a Onward,
    out: &'a Out,
}

impl Bench<'_> {
    /// A repository of its own for one point.
    async fn repo(&self) -> Result<String> {
        let name = format!("bench-{:016x}", clock::random_u64());
        self.onward.repo(&name).create(&"main".parse()?).await?;
        Ok(name)
    }

    /// Removes it.
    async fn done(&self, repo: &str) -> Result<()> {
        self.onward.repo(repo).delete().await
    }

    /// Tells one point as soon as it is measured.
    fn tell(&self, point: &Point) -> Result<()> {
        let told = self.out.data(|| point.json(), || line(point));
        if let Some(error) = &point.sample.error {
            self.out.note(&format!("{} commits failed, the first: {error}", point.sample.errors));
        }
        // A reader that has gone ends the run when the next command writes.
        told.or_else(|failure| match failure {
            super::exit::Failure::Error(error) => Err(error),
            _ => Ok(()),
        })
    }
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
pub async fn run(global: &Global, out: &Out, scenario: Scenario) -> Done {
    let onward = Onward::connect(config(global).await?).await?;
    let bench = Bench { onward: &onward, out };
    let (points, plot) = match &scenario {
        Scenario::Contend(args) => (contend::run(&bench, args).await?, args.common.plot.clone()),
        Scenario::Merge(args) => (merges::run(&bench, args).await?, None),
        Scenario::Grow(args) => (grow::run(&bench, args).await?, args.plot.clone()),
    };
    onward.close().await;
    if let Some(file) = plot {
        plot::draw(&file, &points)?;
        out.note(&format!("drawn into {}", file.display()));
    }
    let beyond: u64 = points.iter().map(|point| point.sample.beyond_bound).sum();
    let errors: u64 = points.iter().map(|point| point.sample.errors).sum();
    Ok(if beyond + errors == 0 { Exit::Done } else { Exit::Unexpected })
}
