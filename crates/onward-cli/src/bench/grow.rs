//! What a commit of one change costs on branches of more and more entries.
//!
//! The sizes take turns, a few commits each: what the machine does at one minute or another then
//! falls on all of them alike.

use std::path::PathBuf;

use onward::Result;
use onward::internals::clock;

use super::merges::fill;
use super::plot::Chart;
use super::rig::{Rig, Strategy, Until, drive};
use super::run::{Bench, entries};
use super::sample::{Point, Sample};

/// Commits that are made before measuring begins.
const WARM_UP: u64 = 20;

/// Commits of one size before it is the next one's turn.
const TURN: u64 = 20;

#[derive(Debug, clap::Args)]
pub struct GrowArgs {
    /// Entries of the branch; each number is measured
    #[arg(long, value_name = "M[,M…]", value_delimiter = ',', default_values_t = [100u64, 10_000, 1_000_000], value_parser = entries)]
    entries: Vec<u64>,
    /// Commits that are measured at each
    #[arg(long, value_name = "N", default_value_t = 200)]
    count: u64,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// A branch of one size.
struct Branch {
    rig: Rig,
    point: Point,
}

/// Measures every size.
pub async fn run(bench: &Bench<'_>, args: &GrowArgs) -> Result<bool> {
    let mut branches = Vec::new();
    for entries in &args.entries {
        bench.teller.begin(|| format!("preparing {entries} entries"));
        branches.push(prepare(bench, *entries).await?);
    }
    bench.teller.begin(|| format!("{} commits on each of {} branches", args.count, branches.len()));
    let mut left = args.count;
    while left > 0 {
        let turn = left.min(TURN);
        left -= turn;
        for branch in &mut branches {
            // Paths that no commit has touched: the writer's number is a new one.
            let writer = usize::try_from(clock::random_u64() >> 32).unwrap_or_default();
            let sample = drive(&branch.rig, writer, 1, Until::Count(turn)).await?;
            branch.point.sample.go_on(&sample);
        }
    }
    let mut sound = true;
    let mut charts = [
        Chart::growing("time to commit, p50 (ms)", "entries on the branch"),
        Chart::growing("time to commit, p99 (ms)", "entries on the branch"),
    ];
    for Branch { point, .. } in branches {
        sound &= bench.tell_point(&point)?;
        let latencies = point.sample.latencies.corrected();
        for (chart, quantile) in charts.iter_mut().zip([0.5, 0.99]) {
            chart.add(point.strategy, point.entries as f64, latencies.quantile_ms(quantile));
        }
    }
    bench.teller.draw(args.plot.as_deref(), &charts)?;
    Ok(sound)
}

async fn prepare(bench: &Bench<'_>, entries: u64) -> Result<Branch> {
    let repo = bench.repo().await?;
    fill(&bench.onward.repo(&repo).branch("main"), "main", 0, entries).await?;
    let rig = Rig::open(bench.onward, &repo, Strategy::Onward).await?;
    drive(&rig, 0, 1, Until::Count(WARM_UP)).await?;
    let point = Point { entries, ..Point::new("grow", Strategy::Onward.name(), 1, Sample::new()) };
    Ok(Branch { rig, point })
}
