//! What has landed, for those who ask once more because a reply was lost: snapshots are known by their ids also when
//! the table has trimmed them meanwhile.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onward::internals::clock::Stopwatch;

/// How long something is remembered: as long as clients may repeat a request.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 60);

/// Things of the last half hour, and no more of them than a limit.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, (Stopwatch, V)>,
    order: VecDeque<(Stopwatch, K)>,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    /// Remembers so many at most: beyond them the oldest are forgotten.
    pub fn new(most: usize) -> Self {
        Self { most, inner: Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new() }) }
    }

    /// Remembers a value, or a newer one under its key.
    pub fn insert(&self, key: K, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // First what is over, so that a key which comes again is remembered anew.
        while inner.order.front().is_some_and(|(since, _)| since.elapsed() >= REMEMBERED) {
            inner.forget_oldest();
        }
        let now = Stopwatch::start();
        if inner.values.insert(key.clone(), (now, value)).is_none() {
            inner.order.push_back((now, key));
        }
        if inner.order.len() > self.most {
            inner.forget_oldest();
        }
    }

    /// What is remembered under a key.
    pub fn get(&self, key: &K) -> Option<V> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = inner.values.get(key)?;
        (since.elapsed() < REMEMBERED).then(|| value.clone())
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.pop_front() {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_old_or_too_much_is_forgotten() {
        let recent = Recent::new(2);
        for key in [1, 2, 3] {
            recent.insert(key, key * 10);
        }
        assert_eq!([1, 2, 3].map(|key| recent.get(&key)), [None, Some(20), Some(30)]);
        tokio::time::advance(REMEMBERED / 2).await;
        recent.insert(4, 40);
        tokio::time::advance(REMEMBERED / 2).await;
        assert_eq!([3, 4].map(|key| recent.get(&key)), [None, Some(40)]);
        recent.insert(4, 41);
        assert_eq!(recent.get(&4), Some(41));
        tokio::time::advance(REMEMBERED).await;
        recent.insert(4, 42);
        assert_eq!(recent.get(&4), Some(42), "what comes again is remembered anew");
    }
}
