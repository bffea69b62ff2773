//! Examinations of the deployment, as `onward doctor` makes them: one at a time, and not often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::Onward;
use onward::internals::clock;
use onward::internals::repo::doctor::{Check, examine_parts};

/// How long what was found stands for what another would find.
const FRESH_MS: i64 = 60_000;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// When it was found, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What was looked at.
    pub checks: Arc<[Check]>,
    /// Whether it was all that there is to look at: not where it took too long.
    pub is_whole: bool,
}

/// The examination that was made last.
#[derive(Default)]
pub struct Checkup {
    last: Mutex<Option<Findings>>,
    /// Held by who makes one.
    turn: tokio::sync::Mutex<()>,
}

impl Checkup {
    /// What was found last, if the deployment was examined since this sidecar started.
    pub fn last(&self) -> Option<Findings> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Examines the deployment, unless that was done within a minute: about 60 small calls to Redis and the
    /// storage.
    pub async fn make(&self, onward: &Onward) {
        let _turn = self.turn.lock().await;
        if self.last().is_some_and(|last| clock::now_ms().saturating_sub(last.at_ms) < FRESH_MS) {
            return;
        }
        let (lanes, objects) = (onward.coordinator().lanes(), onward.coordinator().objects());
        let mut checks = Vec::new();
        let mut tell = |check| checks.push(check);
        let examined =
            tokio::time::timeout(PATIENCE, examine_parts(lanes, objects, &mut tell)).await;
        let found =
            Findings { at_ms: clock::now_ms(), checks: checks.into(), is_whole: examined.is_ok() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }
}
