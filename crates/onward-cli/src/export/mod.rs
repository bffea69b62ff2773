//! `export`: listings, history and differences as tables.

mod target;

use std::path::PathBuf;

use clap::Subcommand;
use futures::TryStreamExt;
use onward::internals::model::address::Address;
use onward::{Error, Onward, Result};
use onward_export::{CommitsRequest, Format, Table};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::log::WalkArgs;
use super::out::Out;
use super::pair::compared;
use super::session::{repo_of, with};
use super::signals::Signals;
use target::Target;

#[derive(Debug, Subcommand)]
pub enum ExportVerb {
    /// All objects at a ref, by path; on a branch, staged changes count (BRANCH@: without them)
    #[command(
        after_help = "Examples:\n  onward export ls lake/main -o objects.parquet\n  onward export ls lake/v1/orders/ --format csv > orders.csv"
    )]
    Ls {
        /// REPO/REF[/PREFIX]
        address: Address,
        #[command(flatten)]
        to: ToArgs,
    },
    /// The commits that lead to a ref, newest first
    #[command(
        after_help = "Examples:\n  onward export log lake/main --since 30days --counts -o log.parquet\n  onward export log lake/main/orders/ --format jsonl | head"
    )]
    Log {
        #[command(flatten)]
        walk: WalkArgs,
        /// Count what each commit added, removed and changed; takes reading that, commit by commit
        #[arg(long)]
        counts: bool,
        #[command(flatten)]
        to: ToArgs,
    },
    /// What merging the second ref into the first would bring; --two-dot: what differs
    #[command(
        after_help = "Examples:\n  onward export diff lake/main dev -o changes.parquet\n  onward export diff lake/main~1 main --two-dot --format csv"
    )]
    Diff {
        /// What would be merged into: REPO/REF[/PREFIX]
        left: Address,
        /// What would be merged: REPO/REF, or a REF of the same repository
        right: String,
        /// Compare the two as they are, instead of what the second would bring into the first
        #[arg(long)]
        two_dot: bool,
        #[command(flatten)]
        to: ToArgs,
    },
}

/// Where a table goes, and how it is written.
#[derive(Debug, clap::Args)]
pub struct ToArgs {
    /// parquet, csv or jsonl [default: as FILE ends; jsonl with --json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The file, which is there when it is whole; - for stdout, which is the default
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl ToArgs {
    fn format(&self, out: &Out) -> Result<Format> {
        let end = self.output.as_ref().and_then(|file| file.extension()?.to_str());
        let by_end = || Format::ALL.into_iter().find(|format| end == Some(format.name()));
        let by_out = || (self.output.is_none() && out.is_json()).then_some(Format::JsonLines);
        self.format.or_else(by_end).or_else(by_out).ok_or_else(|| {
            Error::invalid(
                "give --format parquet, csv or jsonl, or -o a FILE whose name ends like one of them",
            )
        })
    }
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: ExportVerb) -> Done {
    let (ExportVerb::Ls { to, .. } | ExportVerb::Log { to, .. } | ExportVerb::Diff { to, .. }) =
        &verb;
    let format = to.format(out)?;
    let mut target = Target::open(to.output.as_deref(), format)?;
    let mut signals = Signals::listen(*out)?;
    with(global, async |onward| {
        let written = async {
            let table = table(&onward, &verb).await?;
            write(out, table, format, &mut target).await
        };
        let (rows, bytes) = tokio::select! {
            written = written => written?,
            // What was begun of a file goes with it.
            () = signals.caught() => return Err(Failure::Interrupted),
        };
        let Some(file) = target.keep().await? else { return Ok(Exit::Done) };
        let file = file.display().to_string();
        if out.is_json() {
            let told =
                || json!({"file": file, "format": format.name(), "rows": rows, "bytes": bytes});
            out.data(told, String::new)?;
        }
        out.note(&format!("{rows} rows in {file}"));
        Ok(Exit::Done)
    })
    .await
}

async fn table(onward: &Onward, verb: &ExportVerb) -> Result<Table> {
    match verb {
        ExportVerb::Ls { address, .. } => {
            let repo = repo_of(onward, &address.repo);
            let prefix = address.path.as_deref().unwrap_or_default();
            onward_export::objects(&repo, address.require_ref()?, prefix).await
        }
        ExportVerb::Log { walk, counts, .. } => {
            let repo = repo_of(onward, &walk.address.repo);
            let request = CommitsRequest { log: walk.request()?, counts: *counts };
            let table =
                onward_export::commits(&repo, walk.address.require_ref()?, &request).await?;
            Ok(table.limited(walk.limit))
        }
        ExportVerb::Diff { left, right, two_dot, .. } => {
            let repo = repo_of(onward, &left.repo);
            let prefix = left.path.as_deref().unwrap_or_default();
            let right = compared(left, right)?;
            let refs = (left.require_ref()?, right.require_ref()?);
            onward_export::changes(&repo, refs, prefix, *two_dot).await
        }
    }
}

/// Writes a table as it comes. How many rows and bytes it was.
async fn write(
    out: &Out,
    table: Table,
    format: Format,
    target: &mut Target,
) -> Result<(u64, u64), Failure> {
    let mut pieces = table.encoded(format)?;
    let (mut rows, mut bytes) = (0, 0);
    while let Some(piece) = pieces.try_next().await? {
        rows += piece.rows;
        bytes += piece.bytes.len() as u64;
        target.write(out, piece.bytes).await?;
    }
    Ok((rows, bytes))
}
