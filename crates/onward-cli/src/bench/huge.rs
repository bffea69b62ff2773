//! One commit, or one merge, of very many changes, as the process makes it that does nothing else.

use std::path::PathBuf;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use onward::internals::clock;
use onward::internals::repo::Branch;
use onward::{Change, Entry, Error, Onward, Outcome, PathChange, RefExpr, Result};
use serde::{Deserialize, Serialize};

use super::super::commit::read_changes;
use super::super::session::blocking;
use super::processes::{Place, Start, Work};
use super::rig::made;
use super::server::peak_memory;

/// Changes in one staging call.
const STAGED_TOGETHER: u64 = 500;

/// Staging calls at the same time.
const STAGING_CALLS: usize = 4;

/// Commits that overtake a merge while it is worked out.
const OVERTAKING: u64 = 10;

/// How long such a merge has been under way when they begin.
const OVERTAKING_AFTER: Duration = Duration::from_millis(100);

/// How long a commit of a hundred million changes may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The job of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Bulk {
    /// Commit a file.
    File(PathBuf),
    /// Stage so many puts and commit them.
    Stage(u64),
    /// Merge a branch.
    Merge(String),
}

/// What such a process measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    /// From the beginning to the acknowledgement.
    pub seconds: f64,
    /// Of these, the time behind the acceptance: waiting for the turn, and being decided.
    pub deciding_seconds: f64,
    /// The most memory of the process.
    pub peak_memory: Option<u64>,
    /// Bytes written to the storage.
    pub bytes_written: u64,
    /// Calls of Redis.
    pub redis_calls: u64,
}

impl Work for Bulk {
    const NAME: &'static str = "bulk";
    type Found = Measured;

    async fn run(self, place: Place<'_>, start: Start) -> Result<Measured> {
        start.given("ready").await?;
        self.measured(place.onward, place.repo).await
    }
}

impl Bulk {
    async fn measured(self, onward: &Onward, repo: &str) -> Result<Measured> {
        let branch = onward.repo(repo).branch("main");
        let watch = clock::Stopwatch::start();
        let mut handle = match self {
            Self::File(file) => {
                let change = branch.change();
                blocking(move || read_changes(change, &file)).await?.submit().await?
            }
            Self::Stage(count) => {
                stage(&branch, count).await?;
                branch.commit_staged().submit().await?
            }
            Self::Merge(source) => {
                let merge = branch.merge(RefExpr::plain(source)).submit();
                let (merge, ()) = tokio::try_join!(merge, overtake(&branch))?;
                merge
            }
        };
        let accepted = watch.elapsed();
        match handle.wait(PATIENCE).await? {
            Outcome::Committed { .. } => {}
            other => return Err(Error::internal(format!("a commit ended as {}", other.name()))),
        }
        let done = watch.elapsed();
        let coordinator = onward.coordinator();
        Ok(Measured {
            seconds: done.as_secs_f64(),
            deciding_seconds: (done - accepted).as_secs_f64(),
            peak_memory: peak_memory(),
            bytes_written: coordinator.objects().counters().bytes_written,
            redis_calls: coordinator.lanes().calls().values().sum(),
        })
    }
}

async fn stage(branch: &Branch, count: u64) -> Result<()> {
    let calls = (0..count.div_ceil(STAGED_TOGETHER)).map(|call| {
        let numbers = call * STAGED_TOGETHER..count.min((call + 1) * STAGED_TOGETHER);
        let branch = branch.clone();
        async move {
            let changes: Result<Vec<PathChange>> = numbers.map(change).collect();
            branch.stage(&changes?).await
        }
    });
    futures::stream::iter(calls).buffer_unordered(STAGING_CALLS).try_collect().await
}

/// Commits beside a merge that is being worked out, of paths that lie between its own.
async fn overtake(branch: &Branch) -> Result<()> {
    tokio::time::sleep(OVERTAKING_AFTER).await;
    for number in 0..OVERTAKING {
        let path = format!("main/part={number:03}/overtaking.parquet");
        let entry = Entry::new(format!("s3://bench/{path}"), 1, format!("{number:032x}"));
        made(branch.change().put(path, entry).commit().await?)?;
    }
    Ok(())
}

/// Change `number` of a commit: a new path.
pub fn change(number: u64) -> Result<PathChange> {
    let path = format!("bulk/part={:03}/{number:09}.parquet", number % 100);
    let entry = Entry::new(format!("s3://bench/{path}"), number, format!("{number:032x}"));
    Ok(PathChange { path: path.parse()?, change: Change::Put(entry), condition: None })
}
