//! Lookups and listings by many tasks at once, at the head and in history, by a process that has
//! read nothing yet and by one that has.

use std::time::Duration;

use clap::ValueEnum;
use onward::internals::clock;
use onward::internals::clock::{Deadline, Stopwatch};
use onward::internals::repo::Repository;
use onward::internals::tree::ListRequest;
use onward::{Error, Onward, RefExpr, Result};
use serde::{Deserialize, Serialize};

use super::super::args::duration;
use super::merges::{fill, filled_path};
use super::processes::{Place, Start, Work, share, spread};
use super::rig::{Rig, Strategy, Until, drive};
use super::run::{Bench, entries, processes, writers};
use super::sample::{Made, Point, Sample};

/// Entries of a page of a listing.
const PAGE: usize = 1000;

/// Commits between the head and the state in history that is read.
const LATER_COMMITS: u64 = 100;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
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
    /// Spread them over so many processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processes)]
    processes: usize,
    /// How long each point is measured
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "3s")]
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
    bench.teller.begin(|| format!("preparing {} entries", args.entries));
    let name = bench.repo().await?;
    fill(&bench.onward.repo(&name).branch("main"), "main", 0, args.entries.max(1)).await?;
    let past = bench.onward.repo(&name).require_commit(&RefExpr::plain("main")).await?;
    let rig = Rig::open(bench.onward, &name, Strategy::Onward).await?;
    drive(&rig, 0, 8, Until::Count(LATER_COMMITS)).await?;
    let processes = args.processes.min(args.tasks).max(1);
    let mut sound = true;
    for what in &args.what {
        for (at, reference) in [("head", "main".to_owned()), ("history", past.to_string())] {
            let scenario = match (what, at) {
                (What::Get, "head") => "get-head",
                (What::Get, _) => "get-history",
                (What::List, "head") => "list-head",
                (What::List, _) => "list-history",
            };
            bench.teller.begin(|| format!("{scenario}, {} readers", args.tasks));
            let shares = (0..processes).map(|process| Reading {
                reference: reference.clone(),
                what: *what,
                entries: args.entries.max(1),
                tasks: share(args.tasks, process, processes),
                duration: args.duration,
                cache_bytes: args.cache_mib * 1024 * 1024,
            });
            let [mut cold, mut warm] = [Sample::new(), Sample::new()];
            for [cold_share, warm_share] in spread(bench, &name, shares.collect()).await? {
                cold.add(&cold_share);
                warm.add(&warm_share);
            }
            for (cache, sample) in [("cold", cold), ("warm", warm)] {
                let point = Point {
                    processes,
                    entries: args.entries,
                    ..Point::new(scenario, cache, args.tasks, sample)
                };
                sound &= bench.tell_point(&point)?;
            }
        }
    }
    Ok(sound)
}

/// Being some of the readers, first with nothing read yet, then with what that has left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reading {
    reference: String,
    what: What,
    entries: u64,
    tasks: usize,
    duration: Duration,
    cache_bytes: u64,
}

impl Work for Reading {
    const NAME: &'static str = "read";
    type Found = [Sample; 2];

    async fn run(self, place: Place<'_>, start: Start) -> Result<[Sample; 2]> {
        // Of its own, because this process may have read something.
        let onward = place.connect_anew(self.cache_bytes).await?;
        start.given("ready").await?;
        let cold = self.measured(&onward, place.repo).await?;
        let warm = self.measured(&onward, place.repo).await?;
        onward.close().await;
        Ok([cold, warm])
    }
}

impl Reading {
    async fn measured(&self, onward: &Onward, name: &str) -> Result<Sample> {
        let rig = Rig::open(onward, name, Strategy::Onward).await?;
        let before = rig.before();
        let (watch, deadline) = (Stopwatch::start(), Deadline::after(self.duration));
        let reference = RefExpr::plain(&self.reference);
        let tasks: Vec<_> = (0..self.tasks)
            .map(|_| {
                let (repo, reference) = (onward.repo(name), reference.clone());
                tokio::spawn(read_until(deadline, repo, reference, self.what, self.entries))
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
}

async fn read_until(
    deadline: Deadline,
    repo: Repository,
    reference: RefExpr,
    what: What,
    entries: u64,
) -> Sample {
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
