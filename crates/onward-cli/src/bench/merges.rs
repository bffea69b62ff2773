//! Many branches merged into one at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt};
use onward::internals::clock;
use onward::internals::repo::{Branch, Repository};
use onward::{Change, Entry, Error, PathChange, RefExpr, Result};
use serde::{Deserialize, Serialize};

use super::processes::{Place, Start, Work, share, spread};
use super::rig::{Rig, Strategy, made};
use super::run::{Bench, entries, processes, writers};
use super::sample::{Point, Sample};

/// Branches prepared at the same time.
const PREPARED: usize = 32;

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Merges at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = writers)]
    writers: usize,
    /// Spread them over so many processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processes)]
    processes: usize,
    /// Merges
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    count: u64,
    /// Changes that each merge brings
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    changes: u64,
    /// Entries of the branch they are merged into
    #[arg(long, value_name = "M", default_value_t = 0, value_parser = entries)]
    entries: u64,
}

/// Prepares the branches, then merges them all and measures that.
pub async fn run(bench: &Bench<'_>, args: &MergeArgs) -> Result<bool> {
    let name = bench.repo().await?;
    let repo = bench.onward.repo(&name);
    fill(&repo.branch("main"), "main", 0, args.entries).await?;
    bench.teller.begin(|| format!("preparing {} branches", args.count));
    let branches = (0..args.count).map(|number| branch(&repo, number, args.changes));
    futures::stream::iter(branches).buffer_unordered(PREPARED).try_collect::<Vec<()>>().await?;

    bench.teller.begin(|| format!("{} merges, {} at a time", args.count, args.writers));
    let processes = args.processes.min(args.writers).max(1);
    let shares = (0..processes).map(|process| Merging {
        first: process as u64,
        step: processes as u64,
        count: args.count,
        writers: share(args.writers, process, processes),
    });
    let mut sample = Sample::new();
    for found in spread(bench, &name, shares.collect()).await? {
        sample.add(&found);
    }
    let strategy = Strategy::Onward.name();
    let point = Point {
        processes,
        entries: args.entries,
        ..Point::new("merge", strategy, args.writers, sample)
    };
    bench.tell_point(&point)
}

/// Merging some of the branches: each `step`th from the `first` on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Merging {
    first: u64,
    step: u64,
    /// All there are.
    count: u64,
    /// How many at the same time.
    writers: usize,
}

impl Work for Merging {
    const NAME: &'static str = "merge";
    type Found = Sample;

    async fn run(self, place: Place<'_>, start: Start) -> Result<Sample> {
        let repo = place.onward.repo(place.repo);
        let rig = Rig::open(place.onward, place.repo, Strategy::Onward).await?;
        start.given("ready").await?;
        let before = rig.before();
        let watch = clock::Stopwatch::start();
        let begun = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..self.writers)
            .map(|_| tokio::spawn(merge_all(repo.clone(), Arc::clone(&begun), self)))
            .collect();
        let mut sample = Sample::new();
        for task in tasks {
            let merged = task.await;
            let ended = |error| Error::internal("a merger ended early").with_source(error);
            sample.add(&merged.map_err(ended)?);
        }
        sample.seconds = watch.elapsed().as_secs_f64();
        sample.asked = rig.since(&before);
        Ok(sample)
    }
}

async fn branch(repo: &Repository, number: u64, changes: u64) -> Result<()> {
    let branch = repo.branch(format!("b{number}"));
    branch.create(&RefExpr::plain("main")).await?;
    fill(&branch, &format!("branch={number:06}"), number, changes).await
}

/// One commit of `count` puts below `dir`.
pub async fn fill(branch: &Branch, dir: &str, seed: u64, count: u64) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut change = branch.change().message(format!("{count} files"));
    for number in 0..count {
        let path = filled_path(dir, number);
        let entry =
            Entry::new(format!("s3://bench/{path}"), seed + number, format!("{number:032x}"));
        let change_of =
            PathChange { path: path.parse()?, change: Change::Put(entry), condition: None };
        change.push(change_of)?;
    }
    made(change.commit().await?).map(drop)
}

/// The path of put `number` below `dir`.
pub fn filled_path(dir: &str, number: u64) -> String {
    format!("{dir}/part={:03}/{number:09}.parquet", number % 100)
}

async fn merge_all(repo: Repository, begun: Arc<AtomicU64>, merging: Merging) -> Sample {
    let mut sample = Sample::new();
    let mut merged = 0;
    loop {
        let number = merging.first + begun.fetch_add(1, Ordering::Relaxed) * merging.step;
        if number >= merging.count {
            break;
        }
        let watch = clock::Stopwatch::start();
        let merge = repo.branch("main").merge(RefExpr::plain(format!("b{number}")));
        match merge.commit().await.and_then(made) {
            Ok(made) => {
                sample.note(&made, watch.elapsed());
                merged += 1;
            }
            Err(error) => sample.fail(error.to_string()),
        }
    }
    sample.commits = vec![merged];
    sample
}
