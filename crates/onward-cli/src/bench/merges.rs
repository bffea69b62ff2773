//! Many branches merged into one at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt};
use onward::internals::clock;
use onward::internals::repo::{Branch, Repository};
use onward::{Change, Entry, Error, PathChange, RefExpr, Result};

use super::rig::{Rig, Strategy, made};
use super::run::{Bench, entries, writers};
use super::sample::{Point, Sample};

/// Branches prepared at the same time.
const PREPARED: usize = 32;

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Merges at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = writers)]
    writers: usize,
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
    let branches = (0..args.count).map(|number| branch(&repo, number, args.changes));
    futures::stream::iter(branches).buffer_unordered(PREPARED).try_collect::<Vec<()>>().await?;

    let rig = Rig::open(bench.onward, &name, Strategy::Onward).await?;
    let before = rig.before();
    let watch = clock::Stopwatch::start();
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..args.writers)
        .map(|_| tokio::spawn(merge_all(repo.clone(), Arc::clone(&next), args.count)))
        .collect();
    let mut sample = Sample::new();
    for task in tasks {
        let merged = task.await;
        sample.add(&merged.map_err(|e| Error::internal("a merger ended early").with_source(e))?);
    }
    sample.seconds = watch.elapsed().as_secs_f64();
    sample.asked = rig.since(&before);
    let point = Point {
        scenario: "merge",
        strategy: Strategy::Onward.name(),
        writers: args.writers,
        processes: 1,
        entries: args.entries,
        sample,
    };
    bench.tell_point(&point)
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

async fn merge_all(repo: Repository, next: Arc<AtomicU64>, count: u64) -> Sample {
    let mut sample = Sample::new();
    let mut merged = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
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
