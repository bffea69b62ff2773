//! `gc`: removes what nothing can reach any more.

use std::time::Duration;

use onward::RepoName;
use onward::internals::repo::gc::{GRACE, GcEvent, GcOptions, GcReport, Tally};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::exit::{Done, Exit};
use super::out::{Out, human_bytes};
use super::progress::Progress;
use super::session::{repo_of, with};

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
}

/// Collects the garbage of a repository.
pub async fn run(global: &Global, out: &Out, args: GcArgs) -> Done {
    with(global, async |onward| {
        let progress = Progress::new(out);
        let mut told = Ok(());
        let options = GcOptions {
            grace: args.grace.unwrap_or(GRACE),
            exclusive: args.exclusive,
            dry_run: args.dry_run,
            list: global.verbose > 0 || out.is_json(),
            ..GcOptions::default()
        };
        let collected = repo_of(&onward, &args.repo)
            .gc(&options, &mut |event| match event {
                GcEvent::Marked { entries, runs, ranges } => progress
                    .show(|| format!("{entries} log entries, {runs} runs, {ranges} ranges in use")),
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
        out.data(|| report_json(&report), || report_text(&report))?;
        Ok(Exit::Done)
    })
    .await
}

fn kinds(report: &GcReport) -> [(&'static str, Tally); 4] {
    [
        ("ranges", report.ranges),
        ("runs", report.runs),
        ("data", report.data),
        ("checkpoints", report.checkpoints),
    ]
}

fn report_json(report: &GcReport) -> Value {
    let mut shape = json!({
        "dry_run": report.dry_run, "entries": report.entries,
        "seconds": report.took.as_secs_f64(),
    });
    for (kind, tally) in kinds(report) {
        let tally = json!({
            "kept": tally.kept, "kept_bytes": tally.kept_bytes, "young": tally.young,
            "removed": tally.removed, "removed_bytes": tally.removed_bytes,
        });
        super::shape::add(&mut shape, kind, tally);
    }
    shape
}

fn report_text(report: &GcReport) -> String {
    let done = if report.dry_run { "would go" } else { "removed" };
    let mut text = String::new();
    for (kind, tally) in kinds(report) {
        text += &format!(
            "{kind:<12} {} {done} ({}), {} kept ({})",
            tally.removed,
            human_bytes(tally.removed_bytes),
            tally.kept,
            human_bytes(tally.kept_bytes)
        );
        if tally.young > 0 {
            text += &format!(", {} of them unused but too young", tally.young);
        }
        text.push('\n');
    }
    text + &format!("{:<12} {:.1} s", "time", report.took.as_secs_f64())
}
