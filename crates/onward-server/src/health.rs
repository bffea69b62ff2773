//! Whether Redis and the object store answer: looked at once a second, however many ask.

use std::time::Duration;

use tokio::sync::Mutex;

use onward::internals::clock::Stopwatch;
use onward::{Onward, Result};

/// How long an answer is waited for: who asks does so again and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether something answers in time. Why not is for the log: anybody may ask this.
async fn answers(what: &str, call: impl Future<Output = Result<()>>) -> bool {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "not ready: {what} does not answer as it should"),
        Err(_) => tracing::warn!("not ready: {what} does not answer in time"),
    }
    false
}

/// How long what was found holds for others who ask: anybody may, as often as he likes.
const FRESH: Duration = Duration::from_secs(1);

/// What Redis and the object store answered last. Who asks meanwhile waits for the same answers.
#[derive(Default)]
pub struct Health(Mutex<Option<Found>>);

/// What was found a moment ago.
#[derive(Clone, Copy)]
pub struct Found {
    at: Stopwatch,
    /// Whether Redis answered.
    pub redis: bool,
    /// Whether the object store did.
    pub storage: bool,
}

impl Health {
    /// What is so now, or was within the last second.
    pub async fn look(&self, onward: &Onward) -> Found {
        let mut found = self.0.lock().await;
        if let Some(found) = found.filter(|found| found.at.elapsed() < FRESH) {
            return found;
        }
        let (redis, storage) = tokio::join!(
            answers("Redis", onward.reach_redis()),
            answers("the storage", onward.reach_storage()),
        );
        *found.insert(Found { at: Stopwatch::start(), redis, storage })
    }
}
