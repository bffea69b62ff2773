//! A writer process of the demo: commits the files of its list and says on stdout what became of
//! each commit.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use onward::internals::clock;
use onward::internals::model::address::Address;
use onward::internals::repo::{Branch, ChangeBuilder};
use onward::{Error, ObjectPath, Onward, Outcome, Result};

use super::super::args::Global;
use super::super::exit::{Done, Exit};
use super::super::ingest::entry::{Checksum, link};
use super::super::session::{blocking, branch_of, config};
use super::cast::{Acknowledged, File, Submitted, Told};

#[derive(Debug, clap::Args)]
pub struct WriterArgs {
    /// REPO/BRANCH
    pub branch: Address,
    /// Which of the writers this is
    #[arg(long)]
    pub number: usize,
    /// Files of one commit
    #[arg(long)]
    pub files_per_commit: usize,
    /// JSON lines of [file, path]
    #[arg(long)]
    pub list: PathBuf,
    /// After so many commits: submit one more and freeze, to be killed
    #[arg(long)]
    pub stop_dead_after: Option<usize>,
}

/// Runs it, on one thread: when that freezes, nothing of this process can make progress.
pub async fn run(global: &Global, args: WriterArgs) -> Done {
    let global = global.clone();
    blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("no runtime").with_source(error))?;
        runtime.block_on(write(&global, &args))
    })
    .await?;
    Ok(Exit::Done)
}

async fn write(global: &Global, args: &WriterArgs) -> Result<()> {
    let committer = format!("writer-{}", args.number);
    let onward = Onward::connect(config(global).await?.committer(committer)).await?;
    let branch = branch_of(&onward, &args.branch)?;
    let files = read_list(&args.list)?;
    for (index, batch) in files.chunks(args.files_per_commit).enumerate() {
        let (change, files) = change(&branch, batch)?;
        if args.stop_dead_after == Some(index) {
            let handle = change.submit().await?;
            let ticket = handle.ticket().unwrap_or_default();
            say(&Told::Submitted(Submitted { op_id: handle.op_id(), ticket, files }))?;
            // The only thread stands still from here on. Whoever started us kills us; if it dies
            // itself, the end of stdin ends us.
            let _ = std::io::stdin().lock().read(&mut [0]);
            std::process::exit(1);
        }
        commit(args.number, change, files).await?;
    }
    let helped = onward.counters().helped;
    onward.close().await;
    say(&Told::Ended { helped })
}

fn change(branch: &Branch, batch: &[(PathBuf, ObjectPath)]) -> Result<(ChangeBuilder, Vec<File>)> {
    let mut change = branch.change();
    let mut files = Vec::with_capacity(batch.len());
    for (file, path) in batch {
        // A file that vanishes meanwhile is none of ours.
        let Ok(entry) = link(file, Checksum::Md5) else { continue };
        files.push(File {
            path: path.to_string(),
            checksum: entry.checksum.clone(),
            size: entry.size,
        });
        change = change.put(path.as_str(), entry);
    }
    Ok((change.message(format!("{} files", files.len())), files))
}

async fn commit(writer: usize, change: ChangeBuilder, files: Vec<File>) -> Result<()> {
    let watch = clock::Stopwatch::start();
    match change.commit().await? {
        Outcome::Committed { commit, ticket, details } => say(&Told::Committed(Acknowledged {
            writer,
            op_id: details.op_id,
            commit,
            ticket,
            rounds: details.rounds,
            rounds_bound: details.rounds_bound,
            wait_us: u32::try_from(watch.elapsed().as_micros()).unwrap_or(u32::MAX),
            files,
        })),
        other => Err(Error::internal(format!("a commit of the demo ended as {}", other.name()))),
    }
}

fn say(told: &Told) -> Result<()> {
    let failed = |error: std::io::Error| Error::unavailable("nobody listens").with_source(error);
    let mut line = serde_json::to_vec(told).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&line).and_then(|()| stdout.flush()).map_err(failed)
}

fn read_list(list: &std::path::Path) -> Result<Vec<(PathBuf, ObjectPath)>> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("list '{}' cannot be read", list.display())).with_source(error)
    };
    let reader = BufReader::new(std::fs::File::open(list).map_err(failed)?);
    reader
        .lines()
        .map(|line| serde_json::from_str(&line.map_err(failed)?).map_err(|e| failed(e.into())))
        .collect()
}
