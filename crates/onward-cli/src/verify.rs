//! `verify`: whether everything that can be reached is there and whole.

use onward::RepoName;
use onward::internals::repo::verify::{Finding, VerifyEvent, VerifyOptions, VerifySummary};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, human_bytes, printable};
use super::progress::Progress;
use super::session::{repo_of, with};

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The repository
    pub repo: RepoName,
    /// Look for every uploaded object, too
    #[arg(long)]
    pub data: bool,
}

/// Verifies a repository; findings are told as they are made.
pub async fn run(global: &Global, out: &Out, args: VerifyArgs) -> Done {
    with(global, async |onward| {
        let progress = Progress::new(out);
        let mut told = Ok(());
        let options = VerifyOptions { data: args.data };
        let summary = repo_of(&onward, &args.repo)
            .verify(options, &mut |event| match event {
                VerifyEvent::Finding(finding) if told.is_ok() => {
                    told = progress.aside(|| {
                        out.data(|| finding_json(finding), || finding_text(out, finding))
                    });
                }
                VerifyEvent::Progress(summary) => progress.show(|| counts(summary)),
                // Told already that it cannot be told, or nothing to show.
                _ => {}
            })
            .await;
        progress.end();
        let summary = summary?;
        told?;
        out.data(|| summary_json(&summary), || summary_text(out, &summary))?;
        Ok(if summary.findings == 0 { Exit::Done } else { Exit::Unexpected })
    })
    .await
}

fn counts(summary: &VerifySummary) -> String {
    let mut text = format!(
        "{} log entries, {} commits, {} runs, {} ranges, {} records ({})",
        summary.entries,
        summary.commits,
        summary.runs,
        summary.ranges,
        summary.records,
        human_bytes(summary.bytes)
    );
    if summary.objects > 0 {
        text += &format!(", {} names of uploaded objects", summary.objects);
    }
    text
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "finding": finding.kind.name(), "key": finding.key, "meaning": finding.meaning,
        "ref": finding.reference, "commit": finding.commit, "advice": finding.advice,
    })
}

fn finding_text(out: &Out, finding: &Finding) -> String {
    let mut text = format!(
        "{}  {}\n  {}",
        out.red(finding.kind.name()),
        printable(&finding.key),
        printable(&finding.meaning)
    );
    match (&finding.reference, &finding.commit) {
        (Some(name), Some(commit)) => text += &format!("\n  needed by {name}, commit {commit}"),
        (Some(name), None) => text += &format!("\n  needed by {name}"),
        (None, _) => {}
    }
    text + &format!("\n  {}", finding.advice)
}

fn summary_json(summary: &VerifySummary) -> Value {
    json!({
        "entries": summary.entries, "commits": summary.commits, "runs": summary.runs,
        "ranges": summary.ranges, "records": summary.records, "bytes": summary.bytes,
        "objects": summary.objects, "findings": summary.findings,
    })
}

fn summary_text(out: &Out, summary: &VerifySummary) -> String {
    let verdict = match summary.findings {
        0 => out.green("sound"),
        1 => out.red("1 finding"),
        n => out.red(&format!("{n} findings")),
    };
    format!("{verdict}: {}", counts(summary))
}
