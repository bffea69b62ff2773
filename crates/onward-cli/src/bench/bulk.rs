//! One commit, or one merge, of very many changes, by a process that does nothing else: how long
//! from its start to the acknowledgement, and how much memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt};
use onward::internals::clock;
use onward::internals::repo::Branch;
use onward::{Change, Entry, Error, Onward, Outcome, PathChange, RefExpr, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::commit::read_changes;
use super::super::out::human_bytes;
use super::super::session::blocking;
use super::Bench;
use super::merges::fill;
use super::processes::alone;
use super::rig::made;
use super::server::{SlowLog, peak_memory};

/// Changes in one staging call.
const STAGED_TOGETHER: u64 = 500;

/// Staging calls at the same time.
const STAGING_CALLS: usize = 4;

/// Commits that overtake a merge while it is worked out.
const OVERTAKING: u64 = 10;

/// How long such a merge has been under way when they begin.
const OVERTAKING_AFTER: Duration = Duration::from_millis(100);

/// How long a commit of a hundred million changes may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How the changes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// As a file of JSON lines
    File,
    /// Through the staging area
    Staging,
    /// As a merge of another branch, which ten commits overtake
    Merge,
}

#[derive(Debug, clap::Args)]
pub struct BulkArgs {
    /// Changes of the commit
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = super::entries)]
    changes: u64,
    /// Entries of the branch beforehand
    #[arg(long, value_name = "M", default_value_t = 0, value_parser = super::entries)]
    entries: u64,
    /// How the changes come; each is measured
    #[arg(
        long,
        value_name = "WAY[,WAY…]",
        value_delimiter = ',',
        default_value = "file,staging,merge"
    )]
    by: Vec<By>,
}

/// The job of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Bulk {
    /// Commit a file.
    File(PathBuf),
    /// Stage so many puts and commit them.
    Stage(u64),
    /// Merge a branch.
    Merge(String),
}

/// What such a process measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    /// From the beginning to the acknowledgement.
    seconds: f64,
    /// Of these, the time behind the acceptance: waiting for the turn, and being decided.
    deciding_seconds: f64,
    /// The most memory of the process.
    peak_memory: Option<u64>,
    bytes_written: u64,
    redis_calls: u64,
}

impl Bulk {
    /// Does it.
    pub async fn run(self, onward: &Onward, repo: &str) -> Result<Measured> {
        let branch = onward.repo(repo).branch("main");
        let watch = clock::Stopwatch::start();
        let mut handle = match self {
            Self::File(file) => {
                let change = branch.change();
                blocking(move || read_changes(change, &file)).await?.submit().await?
            }
            Self::Stage(count) => {
                stage(&branch, count).await?;
                branch.commit_staged().submit().await?
            }
            Self::Merge(source) => {
                let merge = branch.merge(RefExpr::plain(source)).submit();
                let (merge, ()) = tokio::try_join!(merge, overtake(&branch))?;
                merge
            }
        };
        let accepted = watch.elapsed();
        match handle.wait(PATIENCE).await? {
            Outcome::Committed { .. } => {}
            other => return Err(Error::internal(format!("a commit ended as {}", other.name()))),
        }
        let done = watch.elapsed();
        let coordinator = onward.coordinator();
        Ok(Measured {
            seconds: done.as_secs_f64(),
            deciding_seconds: (done - accepted).as_secs_f64(),
            peak_memory: peak_memory(),
            bytes_written: coordinator.objects().counters().bytes_written,
            redis_calls: coordinator.lanes().calls().values().sum(),
        })
    }
}

async fn stage(branch: &Branch, count: u64) -> Result<()> {
    let calls = (0..count.div_ceil(STAGED_TOGETHER)).map(|call| {
        let numbers = call * STAGED_TOGETHER..count.min((call + 1) * STAGED_TOGETHER);
        let branch = branch.clone();
        async move {
            let changes: Result<Vec<PathChange>> = numbers.map(change).collect();
            branch.stage(&changes?).await
        }
    });
    futures::stream::iter(calls).buffer_unordered(STAGING_CALLS).try_collect().await
}

/// Commits beside a merge that is being worked out, of paths that lie between its own.
async fn overtake(branch: &Branch) -> Result<()> {
    tokio::time::sleep(OVERTAKING_AFTER).await;
    for number in 0..OVERTAKING {
        let path = format!("main/part={number:03}/overtaking.parquet");
        let entry = Entry::new(format!("s3://bench/{path}"), 1, format!("{number:032x}"));
        made(branch.change().put(path, entry).commit().await?)?;
    }
    Ok(())
}

/// Change `number` of a commit: a new path.
fn change(number: u64) -> Result<PathChange> {
    let path = format!("bulk/part={:03}/{number:09}.parquet", number % 100);
    let entry = Entry::new(format!("s3://bench/{path}"), number, format!("{number:032x}"));
    Ok(PathChange { path: path.parse()?, change: Change::Put(entry), condition: None })
}

/// The same changes as a file, in the order in which a job that lists partitions gives them.
fn write_file(file: &Path, count: u64) -> Result<()> {
    let failed = |error| Error::unavailable("the change file cannot be written").with_source(error);
    let mut out = BufWriter::new(File::create(file).map_err(failed)?);
    for number in 0..count {
        let PathChange { path, change, .. } = change(number)?;
        let Change::Put(entry) = change else { continue };
        let line = json!({"put": {
            "path": path.as_str(), "address": entry.address, "checksum": entry.checksum,
            "size": entry.size,
        }});
        writeln!(out, "{line}").map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// Measures every way.
pub async fn run(bench: &Bench<'_>, args: &BulkArgs) -> Result<bool> {
    for by in &args.by {
        let name = bench.repo().await?;
        let repo = bench.onward.repo(&name);
        fill(&repo.branch("main"), "main", 0, args.entries).await?;
        let folder = tempfile::tempdir()
            .map_err(|error| Error::unavailable("no temporary folder").with_source(error))?;
        let bulk = match by {
            By::File => {
                let file = folder.path().join("changes.jsonl");
                let (path, changes) = (file.clone(), args.changes);
                blocking(move || write_file(&path, changes)).await?;
                Bulk::File(file)
            }
            By::Staging => Bulk::Stage(args.changes),
            By::Merge => {
                let source = repo.branch("source");
                source.create(&RefExpr::plain("main")).await?;
                fill(&source, "main", args.entries + 1, args.changes).await?;
                Bulk::Merge("source".into())
            }
        };
        let slow = SlowLog::watch(bench.onward.coordinator().lanes()).await;
        let measured: Result<Measured> = alone(bench, &name, bulk).await;
        let longest_ms = match slow {
            Some(slow) => Some(slow.longest_ms().await?),
            None => None,
        };
        let measured = measured?;
        tell(bench, args, *by, &measured, longest_ms)?;
    }
    Ok(true)
}

fn tell(
    bench: &Bench<'_>,
    args: &BulkArgs,
    by: By,
    measured: &Measured,
    longest_ms: Option<f64>,
) -> Result<()> {
    let by = by.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let json = || {
        json!({
            "scenario": "bulk",
            "by": by,
            "changes": args.changes,
            "entries": args.entries,
            "seconds": measured.seconds,
            "deciding_seconds": measured.deciding_seconds,
            "peak_memory": measured.peak_memory,
            "bytes_written": measured.bytes_written,
            "redis_calls": measured.redis_calls,
            "redis_longest_ms": longest_ms,
        })
    };
    let line = || {
        let memory = measured.peak_memory.map_or("?".into(), human_bytes);
        let longest = longest_ms.map_or("not told".into(), |ms| match ms {
            0.0 => "below 0.5 ms".into(),
            ms => format!("{ms:.1} ms"),
        });
        format!(
            "bulk     {by:<8} {} changes on {} entries  {:>7.2} s, deciding {:.3} s  memory {memory}  written {}  longest command of Redis {longest}",
            args.changes,
            args.entries,
            measured.seconds,
            measured.deciding_seconds,
            human_bytes(measured.bytes_written),
        )
    };
    bench.tell(json, line)
}
