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

/// Leaves the processor to others for a moment: servers that watch each other by the clock share the
/// machine with those who make work for them.
pub async fn breathe() {
    tokio::time::sleep(Duration::from_millis(10)).await;
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
