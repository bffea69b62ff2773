//! Looks after queues that stand: ops that were accepted for jobs that are gone, on branches that nobody
//! commits to.

#[cfg(feature = "page")]
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::Onward;
#[cfg(feature = "page")]
use onward::{BranchName, RepoName};

/// Between two looks at all branches. With the longest time that somebody can keep a turn without
/// deciding anything, a queue that stands is helped on within a minute.
const EVERY: Duration = Duration::from_secs(20);

/// The branches in whose queues something was when all were looked at last. Clones are the same.
#[cfg(feature = "page")]
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<Vec<(RepoName, BranchName)>>>);

#[cfg(feature = "page")]
impl Waiting {
    /// What was found last.
    pub fn last(&self) -> Vec<(RepoName, BranchName)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, found: &[(RepoName, BranchName)]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found.to_vec();
    }
}

/// Looks at all branches at once, and again and again, until it is dropped.
pub async fn look_after_all(onward: Onward, #[cfg(feature = "page")] waiting: Waiting) {
    let mut watch = onward.watch();
    loop {
        match watch.step().await {
            Ok(watched) => {
                #[cfg(feature = "page")]
                waiting.tell(watch.waiting());
                tracing::debug!(
                    branches = watched.branches,
                    standing = watched.standing,
                    "looked at all queues"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "the queues could not be looked at; the next look is in {EVERY:?}")
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
