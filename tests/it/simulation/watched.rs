//! A value that tasks wait on, and are woken in the order in which they came.
//!
//! The watch channel of tokio spreads its waiters over eight lists by a chance of its own, so that
//! who is woken first would not follow from the seed.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// A value with tasks that wait for what becomes of it. Clones are the same one.
#[derive(Clone)]
pub struct Watched<T> {
    inner: Arc<(Mutex<T>, Notify)>,
}

impl<T: Copy> Watched<T> {
    pub fn new(value: T) -> Self {
        Self { inner: Arc::new((Mutex::new(value), Notify::new())) }
    }

    fn value(&self) -> MutexGuard<'_, T> {
        self.inner.0.lock().unwrap()
    }

    pub fn get(&self) -> T {
        *self.value()
    }

    /// Changes the value and wakes everybody.
    pub fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value());
        self.inner.1.notify_waiters();
    }

    /// Waits until `holds` does.
    pub async fn wait_for(&self, holds: impl Fn(T) -> bool) {
        loop {
            let changed = self.inner.1.notified();
            if holds(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
