//! `commit`: of what is staged, or of a file of changes, read line by line in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use onward::commit::verdict::ConflictPath;
use onward::repo::ChangeBuilder;
use onward::repo::change_file::{LINE_MAX, parse_line};
use onward::tree::{Decision, decide};
use onward::{Entry, Error, ErrorKind, Outcome, Result};

use super::args::{CommitArgs, Global};
use super::exit::{Done, Exit, Failure, millis};
use super::out::{Out, human_bytes, printable};
use super::session::{blocking, branch_of, ref_in, with};
use super::shape;

/// How long a commit is waited for, unless it says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Characters of a checksum shown to people.
const CHECKSUM_SHOWN: usize = 12;

/// Conflicting paths shown to people; JSON has more.
const CONFLICTS_SHOWN: usize = 10;

/// Commits.
pub async fn run(global: &Global, out: &Out, args: CommitArgs) -> Done {
    with(global, async |onward| {
        let branch = branch_of(&onward, &args.branch)?;
        let mut change = match args.changes.clone() {
            None => branch.commit_staged(),
            Some(file) => {
                let change = branch.change();
                blocking(move || read_changes(change, &file)).await?
            }
        };
        change = change
            .message(args.message.as_str())
            .on_conflict(args.on_conflict.into())
            .allow_empty(args.allow_empty);
        for (key, value) in &args.meta {
            change = change.meta(key, value);
        }
        if let Some(op_id) = args.op_id {
            change = change.op_id(op_id);
        }
        if let Some(base) = &args.base {
            change = change.base(ref_in(&args.branch.repo, base)?);
        }
        if let (Some(producer), Some(epoch), Some(sequence)) =
            (args.producer.as_deref(), args.epoch, args.sequence)
        {
            change = change.producer(producer, epoch, sequence);
        }
        let timeout = if args.no_wait { Duration::ZERO } else { args.timeout.unwrap_or(TIMEOUT) };
        let outcome = submit(change, timeout).await;
        if let Err(error) = &outcome
            && let ErrorKind::Overloaded { retry_after } = error.kind()
            && out.is_json()
        {
            out.data(|| shape::overloaded(millis(retry_after)), String::new)?;
        }
        let outcome = outcome?;
        let accepted = args.no_wait && matches!(outcome, Outcome::StillQueued { .. });
        let exit = tell(out, &outcome, &args.branch.to_string(), Some(args.base.is_some()))?;
        Ok(if accepted { Exit::Done } else { exit })
    })
    .await
}

async fn submit(change: ChangeBuilder, timeout: Duration) -> Result<Outcome> {
    change.submit().await?.wait(timeout).await
}

/// Tells the outcome, and what it means for the exit code. On stdout people get the commit's id.
/// `has_base`: whether the commit was made against a base, if known.
pub fn tell(
    out: &Out,
    outcome: &Outcome,
    branch: &str,
    has_base: Option<bool>,
) -> Result<Exit, Failure> {
    if out.is_json() {
        out.data(|| shape::outcome(outcome), String::new)?;
        return Ok(Exit::of_outcome(outcome));
    }
    let op_id = outcome.details().op_id;
    match outcome {
        Outcome::Committed { commit, ticket, rounds, details } => {
            out.data(|| commit.to_string().into(), || commit.to_string())?;
            let others = match details.batch {
                0 | 1 => String::new(),
                batch => format!(" in a batch of {batch}"),
            };
            out.note(&format!(
                "committed as ticket {ticket}{others} after {} ms; rounds of this process: {rounds}",
                millis(details.waited)
            ));
        }
        Outcome::NoChanges { .. } => out.error(&format!(
            "nothing to commit on '{branch}': stage something, or add --allow-empty"
        )),
        Outcome::Conflict { paths, total, .. } => {
            out.error(&format!(
                "{} {total} paths were changed by others, or a condition did not hold; nothing was changed:",
                out.red("conflict:")
            ));
            for conflict in paths.iter().take(CONFLICTS_SHOWN) {
                let path = printable(conflict.path.as_str());
                out.error(&format!("  {path}: {}", why(conflict, has_base)));
            }
            out.error("look at the branch and decide: commit with another --base or --on-conflict");
        }
        Outcome::Failed { reason, .. } => {
            out.error(&format!("{} {reason}; nothing was changed", out.red("failed:")));
        }
        Outcome::Cancelled { .. } => out.error("cancelled before its turn; nothing was changed"),
        Outcome::Fenced { reason, earlier, .. } => {
            let earlier = earlier.map(|id| format!(" (its commit: {id})")).unwrap_or_default();
            out.error(&format!("{} {reason}{earlier}", out.red("fenced:")));
        }
        Outcome::StillQueued { ticket, cause, .. } => {
            out.data(|| op_id.to_string().into(), || op_id.to_string())?;
            let cause = cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
            out.note(&format!(
                "accepted as ticket {ticket} and queued{cause}; `onward ticket wait {branch} {op_id}` tells the outcome"
            ));
        }
    }
    Ok(Exit::of_outcome(outcome))
}

/// Why a path is in conflict. Without a base it can only be a condition; with one, a path that the
/// three-way rule would have let pass was stopped by its condition.
fn why(conflict: &ConflictPath, has_base: Option<bool>) -> String {
    let (base, source, dest) =
        (conflict.base.as_ref(), conflict.source.as_ref(), conflict.dest.as_ref());
    let both_changed = decide(base, source, dest) == Decision::Conflict;
    let three_ways = || {
        format!(
            "changed on both sides: base {}, this commit {}, the branch {}",
            short(base),
            short(source),
            short(dest)
        )
    };
    match (both_changed, has_base) {
        (true, Some(true)) => three_ways(),
        // A condition is told without a base, so what has one was compared with it.
        (true, None) if base.is_some() => three_ways(),
        (true, None) => {
            format!("{}; or its condition did not hold", three_ways())
        }
        _ => format!("its condition did not hold: the branch has {}", short(dest)),
    }
}

/// What a path names, in a few characters.
fn short(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "nothing".to_owned() };
    let checksum: String = printable(&entry.checksum).chars().take(CHECKSUM_SHOWN).collect();
    format!("{checksum} ({})", human_bytes(entry.size))
}

/// Gives every line of a change file to the builder. A broken line ends it before anything is
/// submitted.
fn read_changes(mut change: ChangeBuilder, file: &Path) -> Result<ChangeBuilder> {
    let (name, reader): (PathBuf, Box<dyn Read>) = match file.as_os_str() == "-" {
        true => ("stdin".into(), Box::new(io::stdin())),
        false => (file.to_owned(), Box::new(File::open(file).map_err(|e| unreadable(file, e))?)),
    };
    let within = |error: Error| {
        error.context(format!("change file '{}', nothing was submitted", name.display()))
    };
    let mut reader = BufReader::with_capacity(256 * 1024, reader);
    let mut line = Vec::with_capacity(1024);
    for number in 1.. {
        line.clear();
        // One byte over the limit and the end of the line is enough to see that it is too long.
        let read = reader
            .by_ref()
            .take(LINE_MAX as u64 + 2)
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(&name, error))?;
        if read == 0 {
            break;
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if let Some(parsed) = parse_line(number, &line).map_err(within)? {
            change.push(parsed).map_err(|e| within(e.context(format!("line {number}"))))?;
        }
    }
    Ok(change)
}

fn unreadable(file: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(
        kind,
        format!("change file '{}' cannot be read: nothing was submitted", file.display()),
    )
    .with_source(error)
}
