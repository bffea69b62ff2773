//! Many writers, one branch.

use super::processes::spread;
use super::rig::{Rig, Strategy, drive};
use super::sample::Point;
use super::{Bench, ContendArgs};
use onward::Result;

/// Measures every strategy at every number of writers.
pub async fn run(bench: &Bench<'_>, args: &ContendArgs) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for writers in &args.common.writers {
        for strategy in &args.strategy {
            points.push(point(bench, args, *strategy, *writers).await?);
        }
    }
    Ok(points)
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
        _ => args.common.processes.min(writers).max(1),
    };
    let until = args.common.until();
    let sample = if processes > 1 {
        spread(bench.onward, &repo, strategy, writers, processes, until).await?
    } else {
        let rig = Rig::open(bench.onward, &repo, strategy).await?;
        let sample = drive(&rig, 0, writers, until).await?;
        rig.finish().await?;
        sample
    };
    bench.done(&repo).await?;
    let point = Point {
        scenario: "contend",
        strategy: strategy.name(),
        writers,
        processes,
        entries: 0,
        sample,
    };
    bench.tell(&point)?;
    Ok(point)
}
