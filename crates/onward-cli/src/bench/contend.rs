//! Many writers, on one branch or several.

use std::path::PathBuf;
use std::time::Duration;

use super::super::args::duration;
use super::plot::Chart;
use super::processes::{share, spread};
use super::rig::{Rig, Spread, Strategy, Until, Writing};
use super::run::{Bench, branches, processes, writers};
use super::sample::{Point, Sample};
use onward::Result;

#[derive(Debug, clap::Args)]
pub struct ContendArgs {
    /// Writers at the same time; several numbers measure each
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [1usize, 2, 4, 8, 16, 32, 64, 128, 256], value_parser = writers)]
    writers: Vec<usize>,
    /// Spread them over so many processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processes)]
    processes: usize,
    /// Spread them over so many branches: the first writers, and so the first processes, on the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = branches)]
    branches: usize,
    /// How long each point is measured
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s", conflicts_with = "count")]
    duration: Duration,
    /// Measure so many commits instead
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How commits are made; several are compared
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', default_value = "onward")]
    strategy: Vec<Strategy>,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Measures every strategy at every number of writers.
pub async fn run(bench: &Bench<'_>, args: &ContendArgs) -> Result<bool> {
    let mut sound = true;
    let mut charts = [
        Chart::growing("commits in a second", "writers"),
        Chart::growing("time to commit, p99 (ms)", "writers"),
    ];
    for writers in &args.writers {
        for strategy in &args.strategy {
            let point = point(bench, args, *strategy, *writers).await?;
            sound &= bench.tell_point(&point)?;
            let [rate, p99] = &mut charts;
            rate.add(point.strategy, *writers as f64, point.per_second());
            let latencies = point.sample.latencies.corrected();
            p99.add(point.strategy, *writers as f64, latencies.quantile_ms(0.99));
        }
    }
    bench.teller.draw(args.plot.as_deref(), &charts)?;
    Ok(sound)
}

async fn point(
    bench: &Bench<'_>,
    args: &ContendArgs,
    strategy: Strategy,
    writers: usize,
) -> Result<Point> {
    bench.teller.begin(|| format!("{}, {writers} writers", strategy.name()));
    let repo = bench.repo().await?;
    let processes = strategy.processes(args.processes.min(writers).max(1));
    let spread_over = Spread::of(writers, args.branches);
    let mut first = 0;
    let shares = (0..processes).map(|process| {
        let share = share(writers, process, processes);
        let count = args.count.map(|count| count * share as u64 / writers.max(1) as u64);
        let until = Until::of(count, args.duration);
        let work = Writing { strategy, spread: spread_over, first, writers: share, until };
        first += share;
        work
    });
    let shares = shares.collect();
    if strategy == Strategy::Onward {
        Rig::over(bench.onward, &repo, strategy, spread_over).await?.prepare().await?;
    }
    let mut sample = Sample::new();
    for found in spread(bench, &repo, shares).await? {
        sample.add(&found);
    }
    Rig::clean_up(bench.onward, &repo, strategy, spread_over).await?;
    Ok(Point {
        processes,
        branches: spread_over.branches,
        ..Point::new("contend", strategy.name(), writers, sample)
    })
}
