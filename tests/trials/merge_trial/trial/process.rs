//! The processes: each does what its stdin asks for, line by line, and says what became of it.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onward::internals::clock;
use onward::internals::repo::Branch;
use onward::{CommitId, Config, Error, Onward, OpId, Outcome, RefExpr, Result, Strategy};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Barrier;

use super::plan::{Change, Plan, stamp};
use super::setup::{head, path_changes};
use super::{MAIN, Place, REPO};

/// The variable that makes a process a worker: Redis and storage, as JSON.
pub const JOB: &str = "ONWARD_TRIAL_WORKER";

/// Begins each line that a worker says, since others may write to its stdout too.
const MARK: &str = "trial: ";

/// Processes that make plain commits meanwhile.
const WRITERS: usize = 2;

/// Plain commits of one of them, at most.
const COMMITS_MAX: usize = 120;

/// What a worker is asked for.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    /// A merge of a branch.
    Merge { branch: String, strategy: Strategy, squash: bool },
    /// A commit of changes: path, and content or none.
    Commit { message: String, changes: Vec<(String, Option<u64>)> },
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
enum Say {
    Ready,
    Done(Box<Told>),
    Ended { bytes_wasted: u64 },
}

/// What became of one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// Its op.
    pub op_id: OpId,
    /// The outcome's name.
    pub outcome: String,
    /// Why, where it did not end well.
    pub reason: Option<String>,
    /// Its ticket, if it was queued.
    pub ticket: Option<u64>,
    /// The commit.
    pub commit: Option<CommitId>,
    /// Conflicting paths, and how many of them were listed.
    pub conflicts: u64,
    /// How many of them were listed.
    pub listed: u64,
    /// The listed paths, as [`digest`] makes it.
    pub digest: u64,
    /// Heads of the main branch before it was asked for and after its end.
    pub window: (CommitId, CommitId),
    /// Rounds, and their bound.
    pub rounds: (u64, u64),
}

/// What all processes said.
#[derive(Debug, Default)]
pub struct AllTold {
    /// Of each branch's merge.
    pub merges: Vec<Told>,
    /// Of plain commits: writer, number.
    pub plain: Vec<(usize, usize, Told)>,
    /// Bytes that the processes wrote for nothing.
    pub bytes_wasted: u64,
}

/// A number for a sorted list of paths.
pub fn digest<'a>(paths: impl Iterator<Item = &'a str>) -> u64 {
    stamp(&paths.collect::<Vec<_>>().join("\n"))
}

/// What a worker process does: what stdin asks for, until its end.
pub async fn worker(job: &str) -> Result<()> {
    let (redis, storage): (String, String) = serde_json::from_str(job)
        .map_err(|error| Error::invalid(format!("{JOB} is not a job")).with_source(error))?;
    let config = Config::new(redis, storage).committer("trial").short_lived();
    let onward = Onward::connect(config).await?;
    let main = onward.repo(REPO).branch(MAIN);
    say(&Say::Ready)?;
    while let Some(line) = next_ask().await? {
        let ask = serde_json::from_str(&line).map_err(|error| cut(error.into()))?;
        let before = head(&main).await?;
        let outcome = carry_out(&main, ask).await?;
        let told = told(&outcome, (before, head(&main).await?));
        say(&Say::Done(Box::new(told)))?;
    }
    onward.close().await;
    say(&Say::Ended { bytes_wasted: onward.counters().bytes_wasted })
}

/// The next line of stdin; `None` at its end.
async fn next_ask() -> Result<Option<String>> {
    let read = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose());
    read.await.map_err(|error| cut(error.into()))?.map_err(cut)
}

fn say(what: &Say) -> Result<()> {
    let text = serde_json::to_string(what).map_err(|error| cut(error.into()))?;
    println!("{MARK}{text}");
    Ok(())
}

fn cut(error: std::io::Error) -> Error {
    Error::unavailable("the talk with a process of the trial was cut short").with_source(error)
}

async fn carry_out(main: &Branch, ask: Ask) -> Result<Outcome> {
    match ask {
        Ask::Merge { branch, strategy, squash } => {
            main.merge(RefExpr::plain(branch)).strategy(strategy).squash(squash).commit().await
        }
        Ask::Commit { message, changes } => {
            let changes: Vec<Change> =
                changes.into_iter().map(|(path, stamp)| Change { path, stamp }).collect();
            let mut builder = main.change().message(message);
            for change in path_changes(&changes) {
                builder.push(change?)?;
            }
            builder.commit().await
        }
    }
}

fn told(outcome: &Outcome, window: (CommitId, CommitId)) -> Told {
    let (conflicts, listed, digest) = match outcome {
        Outcome::Conflict { paths, total, .. } => {
            (*total, paths.len() as u64, digest(paths.iter().map(|c| c.path.as_str())))
        }
        _ => (0, 0, 0),
    };
    let details = outcome.details();
    Told {
        op_id: details.op_id,
        outcome: outcome.name().to_owned(),
        reason: match outcome {
            Outcome::StillQueued { cause, .. } => cause.clone(),
            Outcome::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        },
        ticket: outcome.ticket().map(|ticket| ticket.0),
        commit: outcome.commit(),
        conflicts,
        listed,
        digest,
        window,
        rounds: (outcome.rounds(), details.rounds_bound),
    }
}

/// A worker process; killed with the value.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(place: &Place, mut command: Command) -> Result<Self> {
        let job = serde_json::json!([place.redis, place.storage]).to_string();
        let mut child = command
            .env(JOB, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Error::unavailable("a process of the trial cannot be started; check memory")
                    .with_source(error)
            })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("a process of the trial has no pipes"));
        };
        Ok(Self { child, stdin: Some(stdin), lines: BufReader::new(stdout).lines() })
    }

    async fn hear(&mut self) -> Result<Say> {
        while let Some(line) = self.lines.next_line().await.map_err(cut)? {
            if let Some((_, said)) = line.split_once(MARK) {
                return serde_json::from_str(said).map_err(|error| cut(error.into()));
            }
        }
        let status = self.child.wait().await.map_err(cut)?;
        Err(Error::unavailable(format!("a process of the trial ended with {status}")))
    }

    async fn ready(&mut self) -> Result<()> {
        match self.hear().await? {
            Say::Ready => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Told> {
        let mut line = serde_json::to_vec(ask).map_err(|error| cut(error.into()))?;
        line.push(b'\n');
        if let Some(stdin) = &mut self.stdin {
            stdin.write_all(&line).await.map_err(cut)?;
        }
        match self.hear().await? {
            Say::Done(told) => Ok(*told),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets it end; the bytes it wrote for nothing.
    async fn end(mut self) -> Result<u64> {
        self.stdin = None;
        match self.hear().await? {
            Say::Ended { bytes_wasted } => Ok(bytes_wasted),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(said: &Say) -> Error {
    Error::internal(format!("a process of the trial said {said:?} out of turn"))
}

/// Merges all branches from a process each, at the same moment, while others commit. Also: how
/// long that took, in seconds.
pub async fn all_at_once(
    place: &Place,
    plan: &Plan,
    command: &dyn Fn() -> Command,
) -> Result<(AllTold, f64)> {
    let start = Arc::new(Barrier::new(plan.branches.len() + WRITERS + 1));
    let merging = Arc::new(AtomicUsize::new(plan.branches.len()));
    let mut merges = Vec::new();
    for branch in &plan.branches {
        let process = Process::start(place, command())?;
        let (branch, strategy, squash) = (branch.name.clone(), branch.strategy, branch.squash);
        let ask = Ask::Merge { branch, strategy, squash };
        merges.push(tokio::spawn(merge(process, ask, Arc::clone(&start), Arc::clone(&merging))));
    }
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let process = Process::start(place, command())?;
        let asks = (0..COMMITS_MAX).map(|n| plain(plan, writer, n)).collect();
        writers.push(tokio::spawn(write(process, asks, Arc::clone(&start), Arc::clone(&merging))));
    }
    start.wait().await;
    let watch = clock::Stopwatch::start();
    let mut all = AllTold::default();
    for merge in merges {
        let (told, wasted) = merge.await.map_err(|error| cut(error.into()))??;
        all.merges.push(told);
        all.bytes_wasted += wasted;
    }
    for (number, writer) in writers.into_iter().enumerate() {
        let (told, wasted) = writer.await.map_err(|error| cut(error.into()))??;
        all.plain.extend(told.into_iter().enumerate().map(|(n, told)| (number, n, told)));
        all.bytes_wasted += wasted;
    }
    Ok((all, watch.elapsed().as_secs_f64()))
}

fn plain(plan: &Plan, writer: usize, n: usize) -> Ask {
    let changes = plan.plain(writer, n).into_iter().map(|change| (change.path, change.stamp));
    Ask::Commit { message: format!("writer {writer}, commit {n}"), changes: changes.collect() }
}

async fn merge(
    mut process: Process,
    ask: Ask,
    start: Arc<Barrier>,
    merging: Arc<AtomicUsize>,
) -> Result<(Told, u64)> {
    let ready = process.ready().await;
    start.wait().await;
    let told = match ready {
        Ok(()) => process.ask(&ask).await,
        Err(error) => Err(error),
    };
    merging.fetch_sub(1, Ordering::AcqRel);
    Ok((told?, process.end().await?))
}

/// Commits as long as there are merges.
async fn write(
    mut process: Process,
    asks: Vec<Ask>,
    start: Arc<Barrier>,
    merging: Arc<AtomicUsize>,
) -> Result<(Vec<Told>, u64)> {
    let ready = process.ready().await;
    start.wait().await;
    ready?;
    let mut all = Vec::new();
    for ask in &asks {
        if merging.load(Ordering::Acquire) == 0 {
            break;
        }
        all.push(process.ask(ask).await?);
    }
    Ok((all, process.end().await?))
}
