//! Lookups and listings by many tasks at once, at the head and in history, by a process that has
//! read nothing yet and by one that has.

use std::time::Duration;

use clap::ValueEnum;
use onward::internals::clock;
use onward::internals::clock::{Deadline, Stopwatch};
use onward::internals::repo::Repository;
use onward::internals::tree::ListRequest;
use onward::{Error, Onward, RefExpr, Result};

use super::merges::{fill, filled_path};
use super::rig::{Rig, Strategy, Until, drive};
use super::run::{Bench, entries, writers};
use super::sample::{Made, Point, Sample};

/// Entries of a page of a listing.
const PAGE: usize = 1000;

/// Commits between the head and the state in history that is read.
const LATER_COMMITS: u64 = 100;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// What a path names
    Get,
    /// 1,000 entries in order
    List,
}

#[derive(Debug, clap::Args)]
pub struct ReadArgs {
    /// Entries of the branch
    #[arg(long, value_name = "M", default_value_t = 1_000_000, value_parser = entries)]
    entries: u64,
    /// Readers at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = writers)]
    tasks: usize,
    /// How long each point is measured
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "3s")]
    duration: Duration,
    /// Memory for decoded blocks, in MiB: what a process has unless it is told otherwise is 64
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    cache_mib: u64,
    /// What is read; each is measured
    #[arg(long, value_name = "WHAT[,WHAT…]", value_delimiter = ',', default_value = "get,list")]
    what: Vec<What>,
}

/// Measures each kind at the head and in history, cold and warm.
pub async fn run(bench: &Bench<'_>, args: &ReadArgs) -> Result<bool> {
    let name = bench.repo().await?;
    fill(&bench.onward.repo(&name).branch("main"), "main", 0, args.entries.max(1)).await?;
    let past = bench.onward.repo(&name).require_commit(&RefExpr::plain("main")).await?;
    let rig = Rig::open(bench.onward, &name, Strategy::Onward).await?;
    drive(&rig, 0, 8, Until::Count(LATER_COMMITS)).await?;
    let mut sound = true;
    for what in &args.what {
        for (at, reference) in [("head", "main".to_owned()), ("history", past.to_string())] {
            let scenario = match (what, at) {
                (What::Get, "head") => "get-head",
                (What::Get, _) => "get-history",
                (What::List, "head") => "list-head",
                (What::List, _) => "list-history",
            };
            let reference = RefExpr::plain(reference);
            let onward = bench.connect_anew(args.cache_mib * 1024 * 1024).await?;
            for cache in ["cold", "warm"] {
                let sample = readers(&onward, &name, &reference, *what, args).await?;
                let point = Point {
                    scenario,
                    strategy: cache,
                    writers: args.tasks,
                    processes: 1,
                    entries: args.entries,
                    sample,
                };
                sound &= bench.tell_point(&point)?;
            }
            onward.close().await;
        }
    }
    Ok(sound)
}

async fn readers(
    onward: &Onward,
    name: &str,
    reference: &RefExpr,
    what: What,
    args: &ReadArgs,
) -> Result<Sample> {
    let rig = Rig::open(onward, name, Strategy::Onward).await?;
    let before = rig.before();
    let (watch, deadline) = (Stopwatch::start(), Deadline::after(args.duration));
    let tasks: Vec<_> = (0..args.tasks)
        .map(|_| {
            let (repo, reference) = (onward.repo(name), reference.clone());
            let entries = args.entries.max(1);
            tokio::spawn(async move {
                let mut sample = Sample::new();
                let mut reads = 0;
                while !deadline.is_over() {
                    let one = Stopwatch::start();
                    match read(&repo, &reference, what, clock::random_u64() % entries).await {
                        Ok(()) => {
                            reads += 1;
                            sample.note(&Made::default(), one.elapsed());
                        }
                        Err(error) => sample.fail(error.to_string()),
                    }
                    // What is read from memory alone never waits: without this the first readers
                    // would leave no processor to the others.
                    tokio::task::yield_now().await;
                }
                sample.commits = vec![reads];
                sample
            })
        })
        .collect();
    let mut all = Sample::new();
    for task in tasks {
        let sample = task.await;
        all.add(&sample.map_err(|e| Error::internal("a reader ended early").with_source(e))?);
    }
    all.seconds = watch.elapsed().as_secs_f64();
    all.asked = rig.since(&before);
    Ok(all)
}

async fn read(repo: &Repository, reference: &RefExpr, what: What, number: u64) -> Result<()> {
    let path = filled_path("main", number);
    match what {
        What::Get => repo.stat(reference, &path.parse()?).await.map(drop),
        What::List => {
            let request = ListRequest { after: Some(path), amount: PAGE, ..ListRequest::default() };
            repo.list(reference, &request).await.map(drop)
        }
    }
}
