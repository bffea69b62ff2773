//! One commit, or one merge, of very many changes, by a process that does nothing else: how long
//! from its start to the acknowledgement, and how much memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use onward::{Change, Error, PathChange, RefExpr, Result};
use serde_json::json;

use super::super::out::human_bytes;
use super::super::session::blocking;
use super::huge::{Bulk, Measured, change};
use super::merges::fill;
use super::processes::alone;
use super::run::{Bench, entries};
use super::server::SlowLog;

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
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = entries)]
    changes: u64,
    /// Entries of the branch beforehand
    #[arg(long, value_name = "M", default_value_t = 0, value_parser = entries)]
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
