//! Asks processes about Parquet files, a few at a time, and takes whatever becomes of one as no answer.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::frame::{ANSWER_LEN_MAX, Answer, Asked, COLUMNS_MAX, READ_LEN_MAX, Shown};

/// Files that are looked at together: each takes 9 MiB of the sidecar's memory.
const PLACES: usize = 2;

/// How long a process has for an answer, and how long a file waits for a place.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads Parquet files by processes of their own.
pub struct Reader {
    command: Option<PathBuf>,
    places: Semaphore,
}

/// A file's place among those that are looked at.
pub struct Place<'a> {
    command: &'a Path,
    _held: SemaphorePermit<'a>,
}

impl Reader {
    /// By the command that is there, or none.
    pub fn new(command: Option<PathBuf>) -> Self {
        Self { command, places: Semaphore::new(PLACES) }
    }

    /// Takes a place for a file, or says why it cannot.
    pub async fn place(&self) -> Result<Place<'_>, String> {
        let needed = || "a preview of Parquet needs the command `onward`".to_owned();
        let command = self.command.as_deref().ok_or_else(needed)?;
        let held = timeout(PATIENCE, self.places.acquire()).await.ok().and_then(Result::ok);
        let held = held.ok_or("others are being looked at, try again")?;
        Ok(Place { command, _held: held })
    }
}

impl Place<'_> {
    /// Where the columns begin that are shown of a file of `size` bytes with this end:
    /// [`COLUMNS_MAX`] and [`READ_LEN_MAX`] bytes at most.
    pub async fn parts(&self, size: u64, tail: &Bytes) -> Result<Vec<Range<u64>>, String> {
        let asked = Asked { size, tail_len: tail.len(), part_lens: None };
        match self.ask(&asked, std::slice::from_ref(tail)).await? {
            // What is fetched is bounded here, whatever was answered.
            Answer::Parts(parts)
                if parts.len() <= COLUMNS_MAX && len_of(&parts) <= READ_LEN_MAX =>
            {
                Ok(parts)
            }
            Answer::Refused(why) => Err(why),
            _ => Err(failed()),
        }
    }

    /// What is shown of it, with the bytes of its parts.
    pub async fn shown(&self, size: u64, tail: &Bytes, parts: Vec<Bytes>) -> Result<Shown, String> {
        let part_lens = Some(parts.iter().map(Bytes::len).collect());
        let asked = Asked { size, tail_len: tail.len(), part_lens };
        let bytes: Vec<Bytes> = std::iter::once(tail.clone()).chain(parts).collect();
        match self.ask(&asked, &bytes).await? {
            Answer::Shown(shown) => Ok(shown),
            Answer::Refused(why) => Err(why),
            Answer::Parts(_) => Err(failed()),
        }
    }

    async fn ask(&self, asked: &Asked, bytes: &[Bytes]) -> Result<Answer, String> {
        let answer = timeout(PATIENCE, run(self.command, asked, bytes)).await;
        let answer = answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        answer.map_err(|error| {
            tracing::debug!(%error, "a process that reads a Parquet file gave no answer");
            failed()
        })
    }
}

/// All that is said of a process without an answer: what became of it is the file's doing.
fn failed() -> String {
    "what reads Parquet did not get through this one".to_owned()
}

fn len_of(parts: &[Range<u64>]) -> u64 {
    let len = |part: &Range<u64>| part.end.saturating_sub(part.start);
    parts.iter().map(len).fold(0, u64::saturating_add)
}

/// Runs one process. It is killed where this is dropped before it has ended.
async fn run(command: &Path, asked: &Asked, bytes: &[Bytes]) -> std::io::Result<Answer> {
    let mut child = Command::new(command)
        .arg("look-at-parquet")
        // It needs none of the sidecar's variables, some of which are secrets.
        .env_clear()
        // Memory that its allocator would keep for later counts for the limit.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let no_pipe = || std::io::Error::other("no pipe");
    let mut stdin = child.stdin.take().ok_or_else(no_pipe)?;
    let stdout = child.stdout.take().ok_or_else(no_pipe)?;
    let mut line = serde_json::to_vec(asked)?;
    line.push(b'\n');
    let tell = async move {
        // One that ends before it has read all may have answered.
        let _ = stdin.write_all(&line).await;
        for part in bytes {
            let _ = stdin.write_all(part).await;
        }
        Ok(())
    };
    let hear = async {
        let mut answer = Vec::new();
        stdout.take(ANSWER_LEN_MAX as u64 + 1).read_to_end(&mut answer).await?;
        match answer.len() > ANSWER_LEN_MAX {
            true => Err(std::io::Error::other("its answer is too long")),
            false => Ok(answer),
        }
    };
    let ((), answer) = tokio::try_join!(tell, hear)?;
    match child.wait().await?.success() {
        true => Ok(serde_json::from_slice(&answer)?),
        false => Err(std::io::Error::other("it failed")),
    }
}
