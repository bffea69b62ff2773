//! One repository in the object store: its log, its tree, and the caches over both.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::measures;
use crate::model::commit::Commit;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BranchUid, CommitId, RangeId, RunId, Ticket};
use crate::model::name::RepoName;
use crate::objects::{Created, Objects, layout};
use crate::tree::{InlineAddress, InlineRun, Metarange, Span, Tree, TreeOptions, TreeStore};

use super::entry::LogEntry;
use crate::commit::merge::graph::Node;
use crate::commit::merge::prepared::MergeLimits;

/// Log entries read at the same time, at most.
const READS: usize = 16;

/// Ranges looked at before a commit is given a name, at most.
const LOOKS_MAX: usize = 64;

/// Log entries held while a log is read, at most.
const READ_AHEAD: usize = 64;

/// Sizes of the caches.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// Decoded log entries, in bytes of memory, roughly.
    pub log_bytes: u64,
    /// The tree's own limits.
    pub tree: TreeOptions,
    /// Up to where merges are kept in memory and in ops.
    pub merge: MergeLimits,
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            log_bytes: 64 * 1024 * 1024,
            tree: TreeOptions::default(),
            merge: MergeLimits::default(),
        }
    }
}

/// A repository's immutable part. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
    tree: Tree,
    merge: MergeLimits,
}

struct Inner {
    repo: RepoName,
    objects: Objects,
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

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("repo", &self.inner.repo).finish_non_exhaustive()
    }
}

impl Lake {
    /// The repository `repo` in `objects`.
    pub fn new(repo: RepoName, objects: Objects, options: LakeOptions) -> Self {
        let entries = Cache::with_weighter(4096, options.log_bytes, EntryWeight);
        let inner = Arc::new(Inner { repo, objects, entries });
        let tree = Tree::new(Arc::new(Store(Arc::clone(&inner))), options.tree);
        Self { inner, tree, merge: options.merge }
    }

    /// The repository's name.
    pub fn repo(&self) -> &RepoName {
        &self.inner.repo
    }

    /// The object store.
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// The tree over this repository's runs and ranges.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Up to where merges are kept in memory and in ops.
    pub fn merge_limits(&self) -> MergeLimits {
        self.merge
    }

    /// The log entry of branch `uid` that starts at `first`; `None` when there is none (yet).
    pub async fn entry(&self, uid: BranchUid, first: Ticket) -> Result<Option<Arc<LogEntry>>> {
        Ok(self.inner.cached(uid, first).await?.map(|cached| cached.entry))
    }

    /// The log entry that somebody else has decided at a place of the log, if there is one, safe to
    /// act upon.
    pub async fn decided(&self, uid: BranchUid, first: Ticket) -> Result<Option<Arc<LogEntry>>> {
        let found = self.entry(uid, first).await?;
        if found.is_some() {
            self.outlasts_power(uid, first).await?;
        }
        Ok(found)
    }

    /// Makes sure that a log entry that was read, and with it those before it, outlives a power
    /// failure: its writer may not have come so far.
    pub async fn outlasts_power(&self, uid: BranchUid, first: Ticket) -> Result<()> {
        self.inner.objects.ensure_durable(&layout::log_entry(&self.inner.repo, uid, first)).await
    }

    /// The log entry that must be there because something names it.
    pub async fn known_entry(&self, uid: BranchUid, first: Ticket) -> Result<Arc<LogEntry>> {
        self.entry(uid, first).await?.ok_or_else(|| self.inner.missing(uid, first))
    }

    /// Decides: creates `entry` if its place in the log is free. Returns what is there afterwards,
    /// and whether it is the given one.
    pub async fn decide(&self, entry: LogEntry) -> Result<(Arc<LogEntry>, bool)> {
        let (uid, first) = (entry.uid, entry.first);
        let key = layout::log_entry(&self.inner.repo, uid, first);
        let bytes = entry.encode()?;
        match self.inner.objects.create(&key, bytes.clone()).await? {
            Created::Written => {
                let cached = CachedEntry::new(entry, bytes.len());
                self.inner.entries.insert((uid, first), cached.clone());
                Ok((cached.entry, true))
            }
            Created::Found(theirs) => {
                self.inner.objects.ensure_durable(&key).await?;
                let theirs = self.inner.decode(uid, first, &theirs)?;
                self.inner.entries.insert((uid, first), theirs.clone());
                Ok((theirs.entry, false))
            }
        }
    }

    /// A commit, by its id: one read of one log entry.
    pub async fn commit(&self, id: &CommitId) -> Result<Commit> {
        self.entry_of(id).await?.commit(id).cloned()
    }

    /// The log entry that has commit `id`, unless the id is made up.
    pub async fn entry_of(&self, id: &CommitId) -> Result<Arc<LogEntry>> {
        self.entry(id.uid(), id.first_ticket())
            .await?
            .ok_or_else(|| Error::not_found(format!("there is no commit {id}")))
    }

    /// A commit's place in the graph. It is not compared with its id: for ids that other commits
    /// name as their parents.
    pub async fn node(&self, id: &CommitId) -> Result<Node> {
        let entry = self.known_entry(id.uid(), id.first_ticket()).await?;
        let op = entry.ops.get(usize::from(id.index()));
        let commit = op.and_then(|op| op.commit.as_ref()).ok_or_else(|| {
            Error::corrupt(format!("commit {id} is named as a parent and is not in its log"))
        })?;
        Ok(Node::new(*id, commit.generation, commit.created_ms, commit.parents.clone()))
    }

    /// The content of a commit.
    pub async fn metarange(&self, id: &CommitId) -> Result<Metarange> {
        let entry = self.entry_of(id).await?;
        entry.commit(id)?;
        Ok(entry.metarange(id.index()))
    }

    /// The content of a commit, or of the state before the first one.
    pub async fn content(&self, commit: Option<CommitId>) -> Result<Metarange> {
        match commit {
            Some(id) => self.metarange(&id).await,
            None => Ok(Metarange::default()),
        }
    }

    /// Checks that the content of a commit is still there, before a name is given to it: nothing
    /// keeps what no branch or tag reaches. Looks at the lists of its runs and at 64 ranges at most.
    pub async fn require_content(&self, id: &CommitId) -> Result<()> {
        let gone = |what: String| {
            Error::not_found(format!(
                "the content of commit {id} is gone ({what}): no branch or tag led to it, and garbage collection has taken it, or it was damaged"
            ))
        };
        let mut keys = Vec::new();
        for level in &self.metarange(id).await?.levels {
            let ranges = self.tree.ranges_of(&level.run).await;
            let ranges = ranges.map_err(|error| match error.kind() {
                ErrorKind::Corrupt => gone(error.to_string()),
                _ => error,
            })?;
            keys.extend(ranges.iter().map(|range| layout::range(&self.inner.repo, range.id)));
        }
        keys.truncate(LOOKS_MAX);
        futures::stream::iter(keys)
            .map(|key| async move {
                let there = self.inner.objects.size(&key).await?.is_some();
                if there { Ok(()) } else { Err(gone(format!("object '{key}' is missing"))) }
            })
            .buffer_unordered(READS)
            .try_collect()
            .await
    }

    /// First tickets of the log entries of `uid` behind `after`, in order.
    pub async fn log_tickets(&self, uid: BranchUid, after: Ticket) -> Result<Vec<Ticket>> {
        let prefix = layout::log_dir(&self.inner.repo, uid);
        let after_key = layout::log_entry(&self.inner.repo, uid, after);
        let mut tickets: Vec<Ticket> = self
            .inner
            .objects
            .list(&prefix, Some(&after_key))
            .try_filter_map(|listed| async move {
                Ok(layout::parse_log_entry(&listed.key).map(|(_, first)| first))
            })
            .try_collect()
            .await?;
        tickets.sort_unstable();
        tickets.retain(|ticket| *ticket > after);
        Ok(tickets)
    }

    /// The log from the entry at `next` on, in order, to its end. The listing that it starts from
    /// need not be complete: names of entries follow from the entries before them.
    pub async fn log_from(&self, uid: BranchUid, next: Ticket) -> Result<LogTail> {
        let listed = self.log_tickets(uid, Ticket(next.0.saturating_sub(1))).await?;
        Ok(LogTail { lake: self.clone(), uid, next, listed: listed.into(), ahead: VecDeque::new() })
    }

    /// Reads log entries in parallel, in the order given.
    pub async fn entries(&self, uid: BranchUid, firsts: &[Ticket]) -> Result<Vec<Arc<LogEntry>>> {
        futures::stream::iter(firsts.iter().copied())
            .map(|first| self.known_entry(uid, first))
            .buffered(READS)
            .try_collect()
            .await
    }
}

/// A log being read to its end.
#[derive(Debug)]
pub struct LogTail {
    lake: Lake,
    uid: BranchUid,
    next: Ticket,
    listed: VecDeque<Ticket>,
    ahead: VecDeque<Arc<LogEntry>>,
}

impl LogTail {
    /// The next entry; `None` at the end of the log. Fails where an entry is missing in the middle.
    pub async fn next(&mut self) -> Result<Option<Arc<LogEntry>>> {
        if self.ahead.is_empty() {
            let count = self.listed.len().min(READ_AHEAD);
            let firsts: Vec<Ticket> = self.listed.drain(..count).collect();
            self.ahead = self.lake.entries(self.uid, &firsts).await?.into();
        }
        let is_next = self.ahead.front().is_some_and(|entry| entry.first == self.next);
        let read_ahead = if is_next { self.ahead.pop_front() } else { None };
        let entry = match read_ahead {
            Some(entry) => entry,
            None => match self.lake.entry(self.uid, self.next).await? {
                Some(entry) => entry,
                None if self.ahead.is_empty() => return Ok(None),
                None => return Err(self.lake.inner.missing(self.uid, self.next)),
            },
        };
        self.next = entry.last().next();
        Ok(Some(entry))
    }
}

impl CachedEntry {
    fn new(entry: LogEntry, encoded_len: usize) -> Self {
        let runs_len: usize = entry.runs.iter().map(|run| run.encoded_len()).sum();
        // Decoded commits and records take a few times the room of their compressed form.
        let weight = (encoded_len * 4 + runs_len * 2 + 512) as u64;
        Self { entry: Arc::new(entry), weight }
    }
}

impl Inner {
    async fn cached(&self, uid: BranchUid, first: Ticket) -> Result<Option<CachedEntry>> {
        if let Some(cached) = self.entries.get(&(uid, first)) {
            return Ok(Some(cached));
        }
        let key = layout::log_entry(&self.repo, uid, first);
        let Some(bytes) = self.objects.get(&key).await? else {
            return Ok(None);
        };
        let cached = self.decode(uid, first, &bytes)?;
        self.entries.insert((uid, first), cached.clone());
        Ok(Some(cached))
    }

    fn decode(&self, uid: BranchUid, first: Ticket, bytes: &Bytes) -> Result<CachedEntry> {
        let key = layout::log_entry(&self.repo, uid, first);
        let entry = LogEntry::decode(&key, bytes)?;
        if entry.uid != uid || entry.first != first {
            return Err(Error::corrupt(format!(
                "log entry '{key}' says it is entry {} of branch {}: restore the object from a copy",
                entry.first, entry.uid
            )));
        }
        Ok(CachedEntry::new(entry, bytes.len()))
    }

    fn missing(&self, uid: BranchUid, first: Ticket) -> Error {
        Error::corrupt(format!(
            "object '{}' is missing from {}: restore it from a copy",
            layout::log_entry(&self.repo, uid, first),
            self.objects.url()
        ))
    }
}

/// The tree's view of the repository.
struct Store(Arc<Inner>);

impl Store {
    async fn required(&self, key: String, span: Option<Span>) -> Result<Bytes> {
        let found = match span {
            Some(span) => self.0.objects.get_span(&key, span).await?,
            None => self.0.objects.get(&key).await?,
        };
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!(
                    "object '{key}' is missing from {}: restore it from a copy",
                    self.0.objects.url()
                ),
            )
        })
    }
}

impl TreeStore for Store {
    fn read_range(&self, id: RangeId, span: Span) -> BoxFuture<'_, Result<Bytes>> {
        self.required(layout::range(&self.0.repo, id), Some(span)).boxed()
    }

    fn write_range(&self, id: RangeId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        measures::range_written();
        async move { self.0.objects.put(&layout::range(&self.0.repo, id), bytes).await }.boxed()
    }

    fn read_run(&self, id: RunId) -> BoxFuture<'_, Result<Bytes>> {
        self.required(layout::run(&self.0.repo, id), None).boxed()
    }

    fn write_run(&self, id: RunId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move { self.0.objects.put(&layout::run(&self.0.repo, id), bytes).await }.boxed()
    }

    fn read_inline(&self, at: InlineAddress) -> BoxFuture<'_, Result<Arc<InlineRun>>> {
        async move {
            let cached = self
                .0
                .cached(at.uid, at.first)
                .await?
                .ok_or_else(|| self.0.missing(at.uid, at.first))?;
            cached.entry.runs.get(usize::from(at.segment)).cloned().ok_or_else(|| {
                Error::corrupt(format!(
                    "log entry {} of branch {} has no run {}",
                    at.first, at.uid, at.segment
                ))
            })
        }
        .boxed()
    }
}
