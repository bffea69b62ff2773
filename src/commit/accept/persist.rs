//! Going on through an outage of Redis, until the caller's deadline.

use std::time::Duration;

use crate::clock::Deadline;
use crate::model::error::Result;

/// Pauses between attempts. Each attempt has the patience of a call to Redis of its own.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Makes `attempt` again while Redis cannot be reached, until `deadline`; once, without one.
pub async fn persist<T, F: Future<Output = Result<T>>>(
    deadline: Option<Deadline>,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut pause = PAUSE_FIRST;
    let mut refused = true;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        refused &= error.is_refused();
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.left());
        if !error.is_outage() || left <= pause {
            return Err(if refused { error } else { error.in_doubt() });
        }
        tracing::info!(%error, left_s = left.as_secs(), "Redis is away; going on until the deadline");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
