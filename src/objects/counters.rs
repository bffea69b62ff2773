//! Counts what is asked of the store, for metrics and for tests that state a cost.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one [`Objects`](super::Objects) and its clones asked of the store so far. Attempts count,
/// successful or not; requests that the client of a cloud store repeats by itself count once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectCounters {
    /// Reads of whole objects, spans and streams, read-backs after a create included.
    pub gets: u64,
    /// Writes that may replace an object; each part of a multipart upload is one.
    pub puts: u64,
    /// Writes that may not replace an object.
    pub creates: u64,
    /// Listings, however many pages each took.
    pub lists: u64,
    /// Objects asked to be deleted.
    pub deletes: u64,
    /// Bytes of objects read.
    pub bytes_read: u64,
    /// Bytes of objects written, lost races included.
    pub bytes_written: u64,
}

/// The running counts behind [`ObjectCounters`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    gets: AtomicU64,
    puts: AtomicU64,
    creates: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    // Relaxed: a statistic orders nothing.
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Meter {
    pub(super) fn get(&self) {
        add(&self.gets, 1);
    }

    pub(super) fn put(&self, len: usize) {
        add(&self.puts, 1);
        add(&self.bytes_written, len);
    }

    pub(super) fn create(&self, len: usize) {
        add(&self.creates, 1);
        add(&self.bytes_written, len);
    }

    pub(super) fn list(&self) {
        add(&self.lists, 1);
    }

    pub(super) fn deletes(&self, count: usize) {
        add(&self.deletes, count);
    }

    pub(super) fn read(&self, len: usize) {
        add(&self.bytes_read, len);
    }

    pub(super) fn snapshot(&self) -> ObjectCounters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ObjectCounters {
            gets: load(&self.gets),
            puts: load(&self.puts),
            creates: load(&self.creates),
            lists: load(&self.lists),
            deletes: load(&self.deletes),
            bytes_read: load(&self.bytes_read),
            bytes_written: load(&self.bytes_written),
        }
    }
}
