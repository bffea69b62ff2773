//! `ingest`: a directory tree, committed by many writers at once.

pub mod entry;
mod report;
mod walk;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use onward::internals::model::address::Address;
use onward::{Error, Onward, Result};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::Out;
use super::progress::Progress;
use super::session::{ask_checks, branch_above, config, prefix_of};
use super::signals::Signals;
use entry::Checksum;
use report::Report;
use writer::{Plan, Writer};

pub use report::quantile;
pub use walk::{Found, Skipped, walk};

/// How the bytes get into the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChecksumArg {
    /// The MD5 of the content: reads every byte.
    Md5,
    /// Size and modification time: reads nothing, but notices less.
    None,
}

#[derive(Debug, clap::Args)]
pub struct IngestArgs {
    /// The directory
    pub dir: PathBuf,
    /// REPO/BRANCH[/PREFIX]
    pub address: Address,
    /// Writers at once
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub writers: u16,
    /// Files of one commit
    #[arg(long, default_value_t = 100, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub files_per_commit: u32,
    /// Commit where the files lie; nothing is copied (the default)
    #[arg(long, conflicts_with = "upload")]
    pub link: bool,
    /// Copy the files into the repository
    #[arg(long)]
    pub upload: bool,
    /// What a linked file is recognised by
    #[arg(long, value_enum, default_value = "md5", value_name = "KIND")]
    pub checksum: ChecksumArg,
    /// At most so many files
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Between two pictures of the progress.
const PICTURE: Duration = Duration::from_millis(100);

/// Ingests a tree.
pub async fn run(global: &Global, out: &Out, args: IngestArgs) -> Done {
    let dir =
        std::fs::canonicalize(&args.dir).ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
            Error::not_found(format!(
                "'{}' is not a directory that can be read",
                args.dir.display()
            ))
        })?;
    let onward = Onward::connect(config(global).await?).await?;
    ask_checks(&onward)?;
    let done = ingest(&onward, out, args, dir).await;
    onward.close().await;
    done
}

async fn ingest(onward: &Onward, out: &Out, args: IngestArgs, dir: PathBuf) -> Done {
    let branch = branch_above(onward, &args.address)?;
    branch.show().await?;
    let prefix = prefix_of(&args.address);
    let how = match (args.upload, args.checksum) {
        (true, _) => Plan::Upload,
        (false, ChecksumArg::Md5) => Plan::Link(Checksum::Md5),
        (false, ChecksumArg::None) => Plan::Link(Checksum::SizeAndTime),
    };
    let signals = Signals::listen(*out)?;
    let (stop, stopped) = watch::channel(false);
    let report = Arc::new(Report::new());
    let (batches, work) = mpsc::channel(usize::from(args.writers) * 2);
    if out.shows_progress() {
        count(dir.clone(), args.limit.unwrap_or(u64::MAX), Arc::clone(&report), stopped.clone());
    }
    let walking = {
        let (report, stopped) = (Arc::clone(&report), stopped.clone());
        let per_commit = args.files_per_commit as usize;
        let limit = args.limit.unwrap_or(u64::MAX);
        tokio::task::spawn_blocking(move || {
            walk(&dir, &prefix, limit, per_commit, &report.skipped, |batch| {
                !*stopped.borrow() && batches.blocking_send(batch).is_ok()
            })
        })
    };
    let work = Arc::new(tokio::sync::Mutex::new(work));
    let mut writers = JoinSet::new();
    for number in 1..=args.writers {
        let writer = Writer {
            number,
            branch: branch.clone(),
            plan: how,
            report: Arc::clone(&report),
            stopped: stopped.clone(),
        };
        writers.spawn(writer.run(Arc::clone(&work)));
    }
    // Only the writers hold the queue of work: when the last is gone, the walk ends.
    drop(work);
    let result = watch_over(out, &report, &mut writers, &stop, signals).await;
    let walked = walking
        .await
        .map_err(|error| Error::internal("the walk was cut short").with_source(error))?;
    report.tell(out, *stop.borrow())?;
    result?;
    walked?;
    let exit = if *stop.borrow() { Exit::Unexpected } else { Exit::Done };
    Ok(exit.unless_missed(report.skipped.missed()))
}

/// Files between two looks at whether the counting goes on.
const COUNTED_AT_ONCE: usize = 1000;

/// Counts what there is to take, beside those who take it: for people who watch. It walks the tree by itself,
/// because the walk that finds the work is never far ahead of it.
fn count(dir: PathBuf, limit: u64, report: Arc<Report>, stopped: watch::Receiver<bool>) {
    tokio::task::spawn_blocking(move || {
        let mut files = 0;
        let walked = walk(&dir, "", limit, COUNTED_AT_ONCE, &Skipped::default(), |batch| {
            files += batch.len() as u64;
            !*stopped.borrow()
        });
        // Who takes the files tells what is wrong with the tree.
        if walked.is_ok() {
            report.counted(files);
        }
    });
}

/// Waits for the writers; the first error, or Ctrl-C, lets all finish what is under way.
async fn watch_over(
    out: &Out,
    report: &Report,
    writers: &mut JoinSet<Result<()>>,
    stop: &watch::Sender<bool>,
    mut signals: Signals,
) -> Result<()> {
    let mut picture = tokio::time::interval(PICTURE);
    let progress = Progress::new(out);
    let mut result = Ok(());
    loop {
        tokio::select! {
            ended = writers.join_next() => match ended {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    result = result.and(Err(error));
                    stop.send_replace(true);
                }
                Some(Err(error)) => {
                    let error = Error::internal("a writer ended early").with_source(error);
                    result = result.and(Err(error));
                    stop.send_replace(true);
                }
            },
            () = signals.caught(), if !*stop.borrow() => {
                out.note("stopping after the commits under way (Ctrl-C again: at once); run it again to go on");
                stop.send_replace(true);
            }
            _ = picture.tick() => progress.show(|| report.line()),
        }
    }
    progress.end();
    result
}
