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
use super::table::Cell;

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

impl By {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
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
        bench.teller.begin(|| format!("{} changes by {}", args.changes, by.name()));
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
        let measured = alone(bench, &name, &bulk).await;
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
    let by = by.name();
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
    let row = || {
        let longest = longest_ms.map_or("?".into(), |ms| match ms {
            0.0 => "<0.5".into(),
            ms => format!("{ms:.1}"),
        });
        vec![
            Cell::words("by", 7, by.as_str()),
            Cell::number("changes", 9, args.changes),
            Cell::number("entries", 9, args.entries),
            Cell::number("seconds", 8, format!("{:.2}", measured.seconds)),
            Cell::number("deciding", 8, format!("{:.3}", measured.deciding_seconds)),
            Cell::number("memory", 10, measured.peak_memory.map_or("?".into(), human_bytes)),
            Cell::number("written", 10, human_bytes(measured.bytes_written)),
            // The longest time that one command kept Redis busy.
            Cell::number("redis ms", 8, longest),
        ]
    };
    bench.teller.tell(json, row)
}
