//! The writer processes: started, listened to, one killed, one paused.

use std::io::Write;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onward::{CommitId, Error, OpId, Result, Ticket};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::super::ingest::Found;

/// Writer processes.
pub const WRITERS: usize = 8;

/// The writer that is killed, and after how many commits of its own it stops for that.
pub const DOOMED: usize = 3;
const DOOMED_AFTER: usize = 3;

/// The writer that is paused.
pub const PAUSED: usize = 7;

/// Files of one commit, at most.
const FILES_PER_COMMIT_MAX: usize = 2;

/// What a writer says on its stdout, one JSON object per line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A commit was acknowledged.
    Committed(Acknowledged),
    /// An op was accepted, and the writer has stopped dead.
    Submitted(Submitted),
    /// It is done.
    Ended {
        /// Ops of others that it decided.
        helped: u64,
    },
    /// Its stdout has closed.
    Gone,
}

/// A commit that a writer was told of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    pub writer: usize,
    pub op_id: OpId,
    pub commit: CommitId,
    pub ticket: Ticket,
    pub rounds: u64,
    pub rounds_bound: u64,
    pub wait_us: u32,
    pub files: Vec<File>,
}

/// An op whose writer was not told its outcome.
#[derive(Debug, Serialize, Deserialize)]
pub struct Submitted {
    pub op_id: OpId,
    pub ticket: Ticket,
    pub files: Vec<File>,
}

/// A file as it was committed.
#[derive(Debug, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    pub checksum: String,
    pub size: u64,
}

/// All of them. Dropped, it ends them.
pub struct Cast {
    writers: Vec<Option<Child>>,
    /// The lists of files; gone with the cast.
    _lists: Vec<NamedTempFile>,
}

impl Cast {
    /// Starts the writers on their shares of `files`; what they say comes through `tell`.
    pub fn start(
        repo: &str,
        files: Vec<Found>,
        environment: &[(&str, &str)],
        tell: mpsc::Sender<(usize, Told)>,
    ) -> Result<Self> {
        let failed = |error| {
            Error::unavailable("a writer process cannot be started; check memory and /tmp")
                .with_source(error)
        };
        // Enough commits for each writer that all of them overlap.
        let per_commit = (files.len() / (WRITERS * 5)).clamp(1, FILES_PER_COMMIT_MAX);
        let program = std::env::current_exe().map_err(failed)?;
        let lists = deal(&files).map_err(failed)?;
        let mut writers = Vec::with_capacity(WRITERS);
        for (number, list) in (1..).zip(&lists) {
            let mut command = Command::new(&program);
            command
                .arg("demo-writer")
                .arg(format!("{repo}/main"))
                .args(["--number", &number.to_string()])
                .args(["--files-per-commit", &per_commit.to_string()])
                .arg("--list")
                .arg(list.path())
                .envs(environment.iter().copied())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true);
            if number == DOOMED {
                command.args(["--stop-dead-after", &DOOMED_AFTER.to_string()]);
            }
            let mut child = command.spawn().map_err(failed)?;
            if let Some(stdout) = child.stdout.take() {
                tokio::spawn(listen(number, BufReader::new(stdout), tell.clone()));
            }
            writers.push(Some(child));
        }
        Ok(Self { writers, _lists: lists })
    }

    fn writer(&mut self, number: usize) -> Option<&mut Child> {
        self.writers.get_mut(number - 1)?.as_mut()
    }

    /// Ends a writer with SIGKILL.
    pub async fn kill(&mut self, number: usize) -> Result<()> {
        let Some(child) = self.writer(number) else { return Ok(()) };
        child.kill().await.map_err(|error| {
            Error::unavailable("a writer process cannot be killed").with_source(error)
        })
    }

    /// A writer's stdout has closed: it must have ended well, or been killed by us.
    pub async fn gone(&mut self, number: usize) -> Result<()> {
        let Some(mut child) = self.writers.get_mut(number - 1).and_then(Option::take) else {
            return Ok(());
        };
        let status = child.wait().await.map_err(|error| {
            Error::unavailable("a writer process cannot be waited for").with_source(error)
        })?;
        if status.success() || number == DOOMED {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "writer {number} ended with {status}; its message is above"
        )))
    }

    fn signal(&mut self, number: usize, signal: Signal) -> Result<()> {
        let pid = self.writer(number).and_then(|child| child.id());
        let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else { return Ok(()) };
        kill(Pid::from_raw(pid), signal).map_err(|error| {
            Error::unavailable(format!("{signal} cannot be sent")).with_source(error)
        })
    }

    /// Stops the paused writer with SIGSTOP.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(PAUSED, Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(PAUSED, Signal::SIGCONT)
    }

    /// Whether all others have ended.
    pub fn only_paused_left(&self) -> bool {
        (1..).zip(&self.writers).all(|(number, writer)| (number == PAUSED) == writer.is_some())
    }
}

/// A list of files for each writer, dealt out like cards.
fn deal(files: &[Found]) -> std::io::Result<Vec<NamedTempFile>> {
    let mut lists = Vec::with_capacity(WRITERS);
    for number in 0..WRITERS {
        let mut list = NamedTempFile::with_prefix("onward-demo-")?;
        let mut text = Vec::new();
        for found in files.iter().skip(number).step_by(WRITERS) {
            serde_json::to_writer(&mut text, &(&found.file, &found.path))?;
            text.push(b'\n');
        }
        list.write_all(&text)?;
        lists.push(list);
    }
    Ok(lists)
}

async fn listen(
    number: usize,
    stdout: BufReader<tokio::process::ChildStdout>,
    tell: mpsc::Sender<(usize, Told)>,
) {
    let mut lines = stdout.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(told) => {
                if tell.send((number, told)).await.is_err() {
                    return;
                }
            }
            // Cut off by the kill: not acknowledged.
            Err(error) => tracing::debug!(number, %error, "an unreadable line of a writer"),
        }
    }
    let _ = tell.send((number, Told::Gone)).await;
}
