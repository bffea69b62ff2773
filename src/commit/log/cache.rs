//! The log entries of one repository, by place, through a cache: an entry never changes once it is
//! there.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, Ticket};
use crate::model::life::RepoLife;
use crate::objects::{Objects, layout};

use super::entry::LogEntry;

/// The log entries of a repository.
pub(super) struct EntryCache {
    pub(super) repo: RepoLife,
    pub(super) objects: Objects,
    entries: Cache<(BranchUid, Ticket), CachedEntry, EntryWeight>,
}

/// A decoded entry and what it takes in memory, roughly.
#[derive(Clone)]
struct CachedEntry {
    entry: Arc<LogEntry>,
    weight: u64,
}

#[derive(Clone)]
struct EntryWeight;

impl Weighter<(BranchUid, Ticket), CachedEntry> for EntryWeight {
    fn weight(&self, _: &(BranchUid, Ticket), value: &CachedEntry) -> u64 {
        value.weight
    }
}

impl EntryCache {
    /// Those of `repo` in `objects`; `bytes` of them are held, roughly.
    pub(super) fn new(repo: RepoLife, objects: Objects, bytes: u64) -> Self {
        Self { repo, objects, entries: Cache::with_weighter(4096, bytes, EntryWeight) }
    }

    /// The entry of branch `uid` that starts at `first`, if there is one.
    pub(super) async fn get(&self, uid: BranchUid, first: Ticket) -> Result<Option<Arc<LogEntry>>> {
        if let Some(cached) = self.entries.get(&(uid, first)) {
            return Ok(Some(cached.entry));
        }
        let key = layout::log_entry(&self.repo, uid, first);
        let Some(bytes) = self.objects.get(&key).await? else {
            return Ok(None);
        };
        self.read(uid, first, &bytes).map(Some)
    }

    /// The entry that must be there because something names it.
    pub(super) async fn require(&self, uid: BranchUid, first: Ticket) -> Result<Arc<LogEntry>> {
        self.get(uid, first).await?.ok_or_else(|| self.missing(uid, first))
    }

    /// Reads the bytes of an entry.
    pub(super) fn read(
        &self,
        uid: BranchUid,
        first: Ticket,
        bytes: &Bytes,
    ) -> Result<Arc<LogEntry>> {
        let key = layout::log_entry(&self.repo, uid, first);
        let entry = LogEntry::decode(&key, bytes)?;
        if entry.uid != uid || entry.first != first {
            return Err(Error::corrupt(format!(
                "log entry '{key}' says it is entry {} of branch {}: restore the object from a copy",
                entry.first, entry.uid
            )));
        }
        let entry = Arc::new(entry);
        self.keep(&entry, bytes.len());
        Ok(entry)
    }

    /// Remembers an entry that takes so many bytes in the object store.
    pub(super) fn keep(&self, entry: &Arc<LogEntry>, encoded_len: usize) {
        let runs_len: usize = entry.runs.iter().map(|run| run.encoded_len()).sum();
        // Decoded commits and records take a few times the room of their compressed form.
        let weight = (encoded_len * 4 + runs_len * 2 + 512) as u64;
        let cached = CachedEntry { entry: Arc::clone(entry), weight };
        self.entries.insert((entry.uid, entry.first), cached);
    }

    /// The error of an entry that must be there and is not.
    pub(super) fn missing(&self, uid: BranchUid, first: Ticket) -> Error {
        Error::corrupt(format!(
            "object '{}' is missing from {}: restore it from a copy; where the storage as a whole was put back from an older one, `onward recover {}` goes on from what is there",
            layout::log_entry(&self.repo, uid, first),
            self.objects.url(),
            self.repo.name()
        ))
    }
}
