//! What a collection asks of those who keep files of their own that entries of branches lead to, as Iceberg's tables
//! do: it tells them every entry that something names, and when they may look and remove.
//!
//! Who keeps such files lists them before anything is marked, so that what is judged was there already when the first
//! entry was told; and follows entries to files when all are told. Should anything go, all of that is done once more
//! for what was named meanwhile, as it is for the repository's own objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::model::entry::Entry;
use crate::model::error::Result;

use super::report::Told;

/// Whether something may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A branch or tag reaches it.
    Needed,
    /// It was a head within the grace period: some of it may be gone already.
    Recent,
}

/// Tells that an address is named, which may be that of an object of the repository.
pub type Uploaded<'a> = &'a (dyn Fn(&str) -> Result<()> + Send + Sync);

/// Who keeps files of their own, which entries lead to.
#[async_trait]
pub trait Beside: Send + Sync {
    /// Nothing is marked yet: lists what there is. `removes` says whether anything may go.
    async fn begin(&self, removes: bool) -> Result<()>;

    /// An entry of this path is named. Comes from several tasks, and again and again for the same one.
    fn entry(&self, path: &str, entry: &Entry, need: Need) -> Result<()>;

    /// Everything that is named was told: follows it. What of it may lie in the repository is told to `uploaded`.
    async fn follow(&self, uploaded: Uploaded<'_>, told: Told<'_>) -> Result<()>;

    /// Judges what was listed by what was followed, and removes it or only counts it. Returns how many went, or
    /// would.
    async fn sweep(&self, removes: bool, told: Told<'_>) -> Result<u64>;

    /// The collection is over, whatever came of it.
    async fn end(&self);
}

/// How marked entries reach whom they concern.
#[derive(Clone, Default)]
pub(super) struct Entries {
    beside: Option<Arc<dyn Beside>>,
    is_recent: Arc<AtomicBool>,
}

impl Entries {
    pub(super) fn of(beside: Option<Arc<dyn Beside>>) -> Self {
        Self { beside, is_recent: Arc::default() }
    }

    /// From here on, whether what is told may be missing in part.
    pub(super) fn be_recent(&self, recent: bool) {
        self.is_recent.store(recent, Ordering::SeqCst);
    }

    pub(super) fn tell(&self, path: &str, entry: &Entry) -> Result<()> {
        let Some(beside) = &self.beside else { return Ok(()) };
        let need = match self.is_recent.load(Ordering::SeqCst) {
            true => Need::Recent,
            false => Need::Needed,
        };
        beside.entry(path, entry, need)
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("told", &self.beside.is_some()).finish_non_exhaustive()
    }
}
