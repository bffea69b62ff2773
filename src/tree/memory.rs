//! A [`TreeStore`] in memory that counts what is asked of it: for tests, examples and tools.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::inline::InlineRun;
use super::run::InlineAddress;
use super::store::{Span, TreeStore};
use crate::model::error::{Error, Result};
use crate::model::ids::{RangeId, RunId};

/// A store that keeps everything in memory, without limit.
#[derive(Debug, Default)]
pub struct MemoryStore {
    ranges: Mutex<HashMap<RangeId, Bytes>>,
    runs: Mutex<HashMap<RunId, Bytes>>,
    inlines: Mutex<HashMap<InlineAddress, Arc<InlineRun>>>,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many reads of ranges and run lists were answered.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How many bytes those reads returned.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// How many ranges and run lists were written, repeats included.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Makes an inline run readable at `at`.
    pub fn put_inline(&self, at: InlineAddress, run: Arc<InlineRun>) {
        lock(&self.inlines).insert(at, run);
    }

    /// The whole file of a range, if it was written.
    pub fn range_file(&self, id: RangeId) -> Option<Bytes> {
        lock(&self.ranges).get(&id).cloned()
    }

    /// Bytes of all range files together.
    pub fn range_bytes(&self) -> u64 {
        lock(&self.ranges).values().map(|bytes| bytes.len() as u64).sum()
    }

    fn count(&self, found: Option<Bytes>, what: &str) -> Result<Bytes> {
        let bytes = found.ok_or_else(|| Error::corrupt(format!("{what} is not in the store")))?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// The maps stay whole even if a holder of the lock died: every change is one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cut(file: &Bytes, span: Span) -> Bytes {
    let len = file.len();
    let clamp = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).min(len);
    match span {
        Span::From { offset, len } => {
            file.slice(clamp(offset)..clamp(offset.saturating_add(len)).max(clamp(offset)))
        }
        Span::Last(count) => file.slice(len - clamp(count)..),
    }
}

impl TreeStore for MemoryStore {
    fn read_range(&self, id: RangeId, span: Span) -> BoxFuture<'_, Result<Bytes>> {
        let found = lock(&self.ranges).get(&id).map(|file| cut(file, span));
        let result = self.count(found, &format!("range {id}"));
        async move { result }.boxed()
    }

    fn write_range(&self, id: RangeId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        lock(&self.ranges).insert(id, bytes);
        async { Ok(()) }.boxed()
    }

    fn read_run(&self, id: RunId) -> BoxFuture<'_, Result<Bytes>> {
        let found = lock(&self.runs).get(&id).cloned();
        let result = self.count(found, &format!("list of run {id}"));
        async move { result }.boxed()
    }

    fn write_run(&self, id: RunId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        lock(&self.runs).insert(id, bytes);
        async { Ok(()) }.boxed()
    }

    fn read_inline(&self, at: InlineAddress) -> BoxFuture<'_, Result<Arc<InlineRun>>> {
        let found = lock(&self.inlines).get(&at).cloned();
        let result =
            found.ok_or_else(|| Error::corrupt(format!("inline run {at:?} is not in the store")));
        async move { result }.boxed()
    }
}
