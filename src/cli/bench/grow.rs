//! What a commit of one change costs on branches of more and more entries.

use onward::Result;

use super::merges::fill;
use super::rig::{Rig, Strategy, Until, drive};
use super::sample::Point;
use super::{Bench, GrowArgs};

/// Commits that are made before measuring begins.
const WARM_UP: u64 = 20;

/// Measures every size.
pub async fn run(bench: &Bench<'_>, args: &GrowArgs) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for entries in &args.entries {
        let name = bench.repo().await?;
        fill(&bench.onward.repo(&name).branch("main"), "main", 0, *entries).await?;
        let rig = Rig::open(bench.onward, &name, Strategy::Onward).await?;
        drive(&rig, 0, 1, Until::Count(WARM_UP)).await?;
        let sample = drive(&rig, 1, 1, Until::Count(args.count)).await?;
        bench.done(&name).await?;
        let point = Point {
            scenario: "grow",
            strategy: Strategy::Onward.name(),
            writers: 1,
            processes: 1,
            entries: *entries,
            sample,
        };
        bench.tell(&point)?;
        points.push(point);
    }
    Ok(points)
}
