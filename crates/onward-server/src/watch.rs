//! Looks after queues that stand: ops that were accepted for jobs that are gone, on branches that nobody
//! commits to.

use std::time::Duration;

use onward::Onward;

/// Between two looks at all branches. With the longest time that somebody can keep a turn without
/// deciding anything, a queue that stands is helped on within a minute.
const EVERY: Duration = Duration::from_secs(20);

/// Looks at all branches at once, and again and again, until it is dropped.
pub async fn look_after_all(onward: Onward) {
    let mut watch = onward.watch();
    loop {
        match watch.step().await {
            Ok(watched) => {
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
