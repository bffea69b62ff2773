//! Many writers, one branch.

use std::path::PathBuf;
use std::time::Duration;

use super::plot::Chart;
use super::processes::spread;
use super::rig::{Rig, Strategy, Until, drive};
use super::run::{Bench, writers};
use super::sample::Point;
use onward::Result;

#[derive(Debug, clap::Args)]
pub struct ContendArgs {
    /// Writers at the same time; several numbers measure each
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [1usize, 2, 4, 8, 16, 32, 64, 128, 256], value_parser = writers)]
    writers: Vec<usize>,
    /// Spread them over so many processes
    #[arg(long, value_name = "N", default_value_t = 1)]
    processes: usize,
    /// How long each point is measured
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "5s", conflicts_with = "count")]
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
    bench.draw(args.plot.as_deref(), &charts)?;
    Ok(sound)
}

async fn point(
    bench: &Bench<'_>,
    args: &ContendArgs,
    strategy: Strategy,
    writers: usize,
) -> Result<Point> {
    let repo = bench.repo().await?;
    // The floor has no log that others could follow: it is one process.
    let processes = match strategy {
        Strategy::Floor => 1,
        _ => args.processes.min(writers).max(1),
    };
    let until = match args.count {
        Some(count) => Until::Count(count),
        None => Until::Seconds(args.duration.as_secs_f64()),
    };
    let sample = if processes > 1 {
        spread(bench, &repo, strategy, writers, processes, until).await?
    } else {
        let rig = Rig::open(bench.onward, &repo, strategy).await?;
        let sample = drive(&rig, 0, writers, until).await?;
        rig.finish().await?;
        sample
    };
    Ok(Point {
        scenario: "contend",
        strategy: strategy.name(),
        writers,
        processes,
        entries: 0,
        sample,
    })
}
