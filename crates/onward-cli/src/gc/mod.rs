//! `gc`: removes what nothing can reach any more.

mod tables;

use std::time::Duration;

use onward::RepoName;
use onward::internals::repo::gc::{GRACE, GcEvent, GcOptions, GcReport, Tally};
use onward_server::tables::{Collected, Collecting};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::exit::{Done, Exit};
use super::out::{Out, human_bytes, printable};
use super::progress::Progress;
use super::session::{repo_of, with};
use super::tables::TablesArgs;

#[derive(Debug, clap::Args)]
pub struct GcArgs {
    /// The repository
    pub repo: RepoName,
    /// Keep what is younger, such as 25h or 7d [default: 48h]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,
    /// Only tell what would be removed; -v lists it
    #[arg(long)]
    pub dry_run: bool,
    /// Nobody else works on this repository now: allows a grace period below 25h
    #[arg(long)]
    pub exclusive: bool,
    /// Remove the files of Iceberg tables too that no commit needs; without this they are only counted
    #[arg(long)]
    pub tables: bool,
    /// Keep files of tables that are younger: longer than the longest job that writes them [default: 7d]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub tables_grace: Option<Duration>,
    /// No other deployment, and no copy of this one, keeps tables below --iceberg-warehouse
    #[arg(long)]
    pub sole_owner: bool,
    #[command(flatten)]
    pub warehouse: TablesArgs,
}

/// Collects the garbage of a repository.
pub async fn run(global: &Global, out: &Out, args: GcArgs) -> Done {
    with(global, async |onward| {
        let progress = Progress::new(out);
        let mut told = Ok(());
        let mut in_use = InUse::default();
        let options = GcOptions {
            grace: args.grace.unwrap_or(GRACE),
            exclusive: args.exclusive,
            dry_run: args.dry_run,
            list: global.verbose > 0 || out.is_json(),
            ..GcOptions::default()
        };
        let tables =
            args.warehouse.open(&onward)?.garbage(&args.repo, &args.collecting(&options))?;
        let collected = repo_of(&onward, &args.repo)
            .gc_beside(&options, tables.beside(), &mut |event| match event {
                GcEvent::Marked { entries, runs, ranges } => {
                    in_use = InUse { entries, runs, ranges };
                    progress.show(|| in_use.text());
                }
                GcEvent::Followed { read, named } => {
                    progress.show(|| format!("{read} files of tables read, {named} named"));
                }
                GcEvent::Removed { key, bytes } if told.is_ok() => {
                    told = progress.aside(|| {
                        out.data(
                            || json!({"key": key, "bytes": bytes, "removed": !args.dry_run}),
                            || format!("{key}\t{}", human_bytes(bytes)),
                        )
                    });
                }
                // Told already that it cannot be told, or nothing to show.
                _ => {}
            })
            .await;
        progress.end();
        let report = collected?;
        told?;
        let of_tables = tables.collected();
        let text = || {
            report_text(
                &report,
                in_use,
                &tables::text(&of_tables, args.dry_run, global.verbose > 0),
            )
        };
        out.data(|| report_json(&report, in_use, &of_tables), text)?;
        Ok(args.exit(&of_tables, out))
    })
    .await
}

impl GcArgs {
    /// No success where nothing of tables goes that was to go: whoever runs this by the clock has to see it.
    fn exit(&self, of_tables: &Collected, out: &Out) -> Exit {
        match &of_tables.halted {
            Some(why) if self.tables => {
                if !out.is_json() {
                    out.error(&format!("nothing of tables goes: {}", printable(why)));
                }
                Exit::Unexpected
            }
            _ => Exit::Done,
        }
    }

    fn collecting(&self, options: &GcOptions) -> Collecting {
        Collecting {
            grace: self.tables_grace,
            exclusive: self.exclusive,
            removes: self.tables && !self.dry_run,
            sole: self.sole_owner,
            // What only is counted is listed where all is.
            list: options.list && (self.tables || self.dry_run),
        }
    }
}

/// What refs, staging areas and queues reach, counted as `verify` counts it: a short run lies in its log entry
/// and is no object of its own.
#[derive(Debug, Clone, Copy, Default)]
struct InUse {
    entries: u64,
    runs: u64,
    ranges: u64,
}

impl InUse {
    fn text(self) -> String {
        let Self { entries, runs, ranges } = self;
        format!("{entries} log entries, {runs} runs, {ranges} ranges in use")
    }
}

/// Kinds of objects: how programs and people call them.
fn kinds(report: &GcReport) -> [(&'static str, &'static str, Tally); 4] {
    [
        ("ranges", "ranges", report.ranges),
        ("runs", "long runs", report.runs),
        ("data", "uploaded", report.data),
        ("checkpoints", "checkpoints", report.checkpoints),
    ]
}

fn report_json(report: &GcReport, in_use: InUse, of_tables: &Collected) -> Value {
    let mut shape = json!({
        "dry_run": report.dry_run, "entries": report.entries,
        "in_use": {"entries": in_use.entries, "runs": in_use.runs, "ranges": in_use.ranges},
        "seconds": report.took.as_secs_f64(),
    });
    for (kind, _, tally) in kinds(report) {
        super::shape::add(&mut shape, kind, tables::tally(tally));
    }
    super::shape::add(&mut shape, "tables", tables::json(of_tables));
    shape
}

fn report_text(report: &GcReport, in_use: InUse, of_tables: &str) -> String {
    let mut text = in_use.text() + "\n";
    for (_, kind, tally) in kinds(report) {
        text += &format!("{kind:<12} {}\n", tables::counted(tally, !report.dry_run));
    }
    text += of_tables;
    text + &format!("{:<12} {:.1} s", "time", report.took.as_secs_f64())
}
