//! Waiting for a condition instead of for a time. The only place, with the other support modules,
//! where a test sleeps.

use std::future::Future;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; panics with `what` if it never does.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As [`until`], for conditions that await.
pub async fn until_async<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How long a fault lasts, or a worker rests between two ops. Not a way to wait for anything.
pub async fn hold(length: Duration) {
    tokio::time::sleep(length).await;
}
