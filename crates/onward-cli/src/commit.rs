//! `commit`: of what is staged, or of a file of changes, read line by line in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use onward::internals::model::address::Address;
use onward::internals::repo::change_file::{LINE_MAX, parse_line};
use onward::internals::repo::{ChangeBuilder, TicketHandle};
use onward::{Error, ErrorKind, OpId, Outcome, Result};

use super::args::{Global, OnConflict, duration, pair};
use super::exit::Done;
use super::out::Out;
use super::session::{blocking, branch_of, decided, ref_in, with};
use super::tell::{Asked, ended};

#[derive(Debug, clap::Args)]
pub struct CommitArgs {
    /// REPO/BRANCH
    pub branch: Address,
    /// Why
    #[arg(short, long, value_name = "MSG")]
    pub message: String,
    /// A pair for the commit's metadata; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
    /// Commit the changes of this file (- for stdin) instead of what is staged
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,
    /// The commit the changes were made against
    #[arg(long, value_name = "REF", requires = "changes")]
    pub base: Option<String>,
    /// Paths changed on both sides since --base
    #[arg(long, alias = "on-conflict", value_name = "STRATEGY", default_value = "fail")]
    pub strategy: OnConflict,
    /// The op's id: the same id again is the same commit
    #[arg(long, value_name = "UUID")]
    pub op_id: Option<OpId>,
    /// The producer this commit belongs to
    #[arg(long, value_name = "NAME", requires_all = ["epoch", "sequence"])]
    pub producer: Option<String>,
    /// The producer's incarnation; a higher one fences lower ones
    #[arg(long, value_name = "N", requires = "producer")]
    pub epoch: Option<u64>,
    /// The number of the commit in the producer's sequence
    #[arg(long, value_name = "N", requires = "producer")]
    pub sequence: Option<u64>,
    /// Commit even if nothing changes
    #[arg(long)]
    pub allow_empty: bool,
    /// Return once it is accepted
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Wait at most so long, such as 30s or 5m [default: 5m]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// How long a commit is waited for, unless it says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(300);

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
            .on_conflict(args.strategy.into())
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
        let outcome = match waits(args.no_wait, args.timeout) {
            Some(timeout) => decided(out, timeout, change.timeout(timeout).commit()).await,
            None => not_waited_for(change.submit()).await,
        };
        let changes = args.changes.map(|file| file.display().to_string());
        let asked = Asked::Commit { based: args.base.is_some(), changes };
        ended(out, outcome, &asked, &args.branch.to_string(), args.no_wait, &[])
    })
    .await
}

/// For how long the flags say to go on and wait, if at all.
pub fn waits(no_wait: bool, timeout: Option<Duration>) -> Option<Duration> {
    Some(timeout.unwrap_or(TIMEOUT)).filter(|timeout| !no_wait && !timeout.is_zero())
}

/// What is known of an op once it is queued.
pub async fn not_waited_for(
    submission: impl Future<Output = Result<TicketHandle>>,
) -> Result<Outcome> {
    submission.await?.wait(Duration::ZERO).await
}

/// Gives every line of a change file to the builder. A broken line ends it before anything is
/// submitted.
pub(super) fn read_changes(mut change: ChangeBuilder, file: &Path) -> Result<ChangeBuilder> {
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
            change
                .push_line(number, parsed)
                .map_err(|e| within(e.context(format!("line {number}"))))?;
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
