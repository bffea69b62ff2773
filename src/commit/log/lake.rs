//! One repository in the object store: its log, its tree, and the caches over both.

use std::sync::Arc;

use crate::model::error::Result;
use crate::model::ids::{BranchUid, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::RepoName;
use crate::objects::{Created, Objects, layout};
use crate::tree::{Tree, TreeOptions};

use super::cache::EntryCache;
use super::entry::LogEntry;
use super::format::Encoded;
use super::pieces::Pieces;
use crate::commit::op::merge::MergeLimits;

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
    pub(super) entries: Arc<EntryCache>,
    tree: Tree,
    merge: MergeLimits,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("repo", &self.entries.repo).finish_non_exhaustive()
    }
}

impl Lake {
    /// The life `repo` of a repository in `objects`.
    pub fn new(repo: RepoLife, objects: Objects, options: LakeOptions) -> Self {
        let entries = Arc::new(EntryCache::new(repo, objects, options.log_bytes));
        let tree = Tree::new(Arc::new(Pieces(Arc::clone(&entries))), options.tree);
        Self { entries, tree, merge: options.merge }
    }

    /// The repository's name.
    pub fn repo(&self) -> &RepoName {
        self.entries.repo.name()
    }

    /// Which life of the repository it is.
    pub fn life(&self) -> &RepoLife {
        &self.entries.repo
    }

    /// The object store.
    pub fn objects(&self) -> &Objects {
        &self.entries.objects
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
        self.entries.get(uid, first).await
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
        self.entries
            .objects
            .ensure_durable(&layout::log_entry(&self.entries.repo, uid, first))
            .await
    }

    /// The log entry that must be there because something names it.
    pub async fn known_entry(&self, uid: BranchUid, first: Ticket) -> Result<Arc<LogEntry>> {
        self.entries.require(uid, first).await
    }

    /// The repository as if `entry` were decided, for what is prepared on top of it meanwhile: its tree
    /// reads the runs inside that entry. Everybody else sees it when it is.
    #[must_use]
    pub fn supposing(&self, entry: &LogEntry) -> Self {
        let tree = self.tree.supposing(entry.uid, entry.first, entry.runs.clone());
        Self { entries: Arc::clone(&self.entries), tree, merge: self.merge }
    }

    /// Decides: creates the entry if its place in the log is free. Returns what is there afterwards, and
    /// whether it is the given one.
    pub async fn decide(&self, encoded: &Encoded) -> Result<(Arc<LogEntry>, bool)> {
        let Encoded { entry, bytes } = encoded;
        let (uid, first) = (entry.uid, entry.first);
        let key = layout::log_entry(&self.entries.repo, uid, first);
        match self.entries.objects.create_hedged(&key, bytes.clone()).await? {
            Created::Written => {
                self.entries.keep(entry, bytes.len());
                Ok((Arc::clone(entry), true))
            }
            Created::Found(theirs) => {
                self.entries.objects.ensure_durable(&key).await?;
                Ok((self.entries.read(uid, first, &theirs)?, false))
            }
        }
    }
}
