//! Something that one task at a time tries for all who need it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Attempts at one thing. Those who waited while somebody else's failed share that failure instead
/// of making an attempt each, one after the other.
#[derive(Debug)]
pub(super) struct Attempts<E> {
    failed: AtomicU64,
    /// Why the last one failed.
    last: Mutex<Option<E>>,
}

impl<E> Default for Attempts<E> {
    fn default() -> Self {
        Self { failed: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<E: Clone> Attempts<E> {
    /// What `there` finds, by now or after waiting for others; else makes the attempt.
    pub(super) async fn share<T>(
        &self,
        there: impl Fn() -> Option<T>,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Some(found) = there() {
            return Ok(found);
        }
        let failed = self.failed.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some(found) = there() {
            return Ok(found);
        }
        if self.failed.load(Ordering::Acquire) != failed
            && let Some(error) = &*last
        {
            return Err(error.clone());
        }
        attempt.await.inspect_err(|error| {
            *last = Some(error.clone());
            self.failed.fetch_add(1, Ordering::AcqRel);
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_an_attempt_share_its_failure() {
        let attempts = Arc::new(Attempts::<u64>::default());
        let made = Arc::new(AtomicU64::new(0));
        let attempt = || {
            let (attempts, made) = (Arc::clone(&attempts), Arc::clone(&made));
            async move {
                let fail = async {
                    tokio::task::yield_now().await;
                    Err::<(), u64>(made.fetch_add(1, Ordering::AcqRel))
                };
                attempts.share(|| None, fail).await
            }
        };
        let all = futures::future::join_all((0..100).map(|_| attempt())).await;
        assert!(all.iter().all(|result| *result == Err(0)), "{all:?}");
        assert_eq!(attempt().await, Err(1), "who comes later makes one of its own");
    }
}
