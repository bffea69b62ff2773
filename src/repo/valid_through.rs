//! Up to which time a branch has everything, as its commits say: for jobs that begin when their input is
//! complete.
//!
//! Whoever ingests says so by a pair in the metadata of a commit ([`VALID_THROUGH_KEY`]), as the Kafka sink
//! does. Nothing is kept for it besides the commits.

use std::time::Duration;

use futures::TryStreamExt;

use crate::clock::{self, Deadline};
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;

use super::handles::Branch;
use super::log::LogRequest;

/// The pair of a commit that says, in RFC 3339, up to which time everything is on the branch.
pub const VALID_THROUGH_KEY: &str = "onward.kafka.valid-through";

/// The pair of a commit that names the consumer group that made it.
pub const GROUP_KEY: &str = "onward.kafka.group";

/// The newest commits that are looked through for a time.
const COMMITS_MAX: usize = 1_000;

/// Between two looks at the head of a branch.
const PAUSE: Duration = Duration::from_millis(250);

/// Up to which time a branch has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidThrough {
    /// That time, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The commit that says so.
    pub commit: CommitId,
}

impl Branch {
    /// Up to which time the branch has everything: what the newest commit says that says so, of those that
    /// lead to its head. With `group` only commits of that consumer group count; several groups on one
    /// branch each say what they know of their own topics.
    ///
    /// Costs one read for each log entry up to that commit, which has up to 1,024 commits, and ends after
    /// 1,000 commits: `None` where none of them says so.
    pub async fn valid_through(&self, group: Option<&str>) -> Result<Option<ValidThrough>> {
        let head = format!("{}@", self.branch_name()?).parse()?;
        let mut commits = self.repo.log(&head, &LogRequest::default()).await?;
        for _ in 0..COMMITS_MAX {
            let Some(info) = commits.try_next().await? else { break };
            let said = |key: &str| info.commit.metadata.get(key).map(String::as_str);
            let is_meant = group.is_none() || group == said(GROUP_KEY);
            // What is no time was put there by somebody else, and says nothing.
            let time = said(VALID_THROUGH_KEY).filter(|_| is_meant);
            if let Some(time_ms) = time.and_then(clock::ms_of_rfc3339) {
                return Ok(Some(ValidThrough { time_ms, commit: info.id }));
            }
        }
        Ok(None)
    }

    /// Waits until the branch has everything up to a time, and at most for `timeout`. Returns what was known
    /// last: `time_ms` says whether it is enough. Never goes back from what it has seen, whoever commits.
    ///
    /// Asks Redis for the head four times a second, and looks as [`Self::valid_through`] does where that has
    /// moved. Goes on through outages.
    pub async fn valid_through_wait(
        &self,
        time_ms: i64,
        group: Option<&str>,
        timeout: Duration,
    ) -> Result<Option<ValidThrough>> {
        let deadline = Deadline::after(timeout);
        let head = format!("{}@", self.branch_name()?).parse()?;
        let (mut known, mut seen) = (None::<ValidThrough>, None);
        loop {
            let looked = async {
                let now = self.repo.commit_of(&head).await?;
                if now.is_some() && now != seen {
                    let said = self.valid_through(group).await?;
                    known = known.into_iter().chain(said).max_by_key(|said| said.time_ms);
                    seen = now;
                }
                Ok::<_, Error>(())
            };
            match looked.await {
                Err(error) if !error.is_retryable() || deadline.is_over() => return Err(error),
                _ => {}
            }
            if known.is_some_and(|known| known.time_ms >= time_ms) || deadline.is_over() {
                return Ok(known);
            }
            tokio::time::sleep(clock::jittered(PAUSE).min(deadline.left())).await;
        }
    }
}
