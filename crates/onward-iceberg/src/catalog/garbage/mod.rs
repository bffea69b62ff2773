//! Garbage of tables: files in the folders of a repository's tables that no commit needs which can be reached.
//!
//! 1. A notice says that files are being removed (`notice.rs`).
//! 2. Everything there is is listed (`sweep.rs`): what is written from here on is not judged.
//! 3. Each entry that a branch, tag, commit, staging area or queue names is told by the collection of the repository,
//!    and followed to the files that its table needs (`follow.rs`), wherever these lie (`roots.rs`).
//! 4. What was listed, is old and needed by nothing goes, unless it lies in a folder where something cannot be read
//!    (`graph.rs`).

mod due;
mod follow;
mod graph;
mod marks;
mod notice;
mod roots;
mod spool;
mod sweep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use onward::internals::repo::gc::{Beside, GRACE_MIN, Need, Told, Uploaded};
use onward::{Entry, Error, Onward, Result};

use super::entry::{pointed, unknown_in};
use super::warehouse::Warehouse;
use due::Said;
use follow::Follower;
use notice::Notice;
use roots::Roots;
use sweep::{Listing, Sweep};

pub use graph::Unread;
pub use marks::Read;
pub use sweep::Folder;

/// How old a file of a table must be to go, unless told otherwise: longer than the longest job that writes files and
/// commits them at its end.
pub const TABLES_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How to collect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarbageOptions {
    /// How old a file must be to go; at least 25 h, unless `exclusive`.
    pub grace: Duration,
    /// The caller's word that nobody else works on the repository before this is done.
    pub exclusive: bool,
    /// Whether files go at all, and are not only counted.
    pub removes: bool,
    /// The caller's word that no other deployment keeps tables where these lie, if not in the deployment's own storage.
    pub sole: bool,
    /// Whether each file that goes is told.
    pub list: bool,
    /// The time that counts as the start, in ms of the epoch; by default that of the storage.
    pub now_ms: Option<i64>,
}

impl Default for GarbageOptions {
    fn default() -> Self {
        let (exclusive, removes, list, sole) = (false, false, false, false);
        Self { grace: TABLES_GRACE, exclusive, removes, list, sole, now_ms: None }
    }
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GarbageReport {
    /// Folders with files, by their location.
    pub folders: Vec<Folder>,
    /// Files that were read.
    pub read: Read,
    /// What could not be read, the first hundred.
    pub unread: Vec<Unread>,
    /// Why nothing was removed.
    pub halted: Option<String>,
    /// Whether files went, and were not only counted.
    pub removed: bool,
}

/// A collection of the files of a repository's tables, beside that of the repository.
pub struct Garbage {
    roots: Roots,
    options: GarbageOptions,
    follower: Follower,
    onward: Onward,
    work: tokio::sync::Mutex<Work>,
    report: Mutex<GarbageReport>,
}

#[derive(Default)]
struct Work {
    notice: Option<Notice>,
    listing: Option<Listing>,
    /// Whether anything may go.
    removes: bool,
}

impl Garbage {
    /// Of the tables that lie in `own`, the deployment's own storage, and in `elsewhere`.
    ///
    /// # Errors
    ///
    /// Where the grace period is too short, or there is no room for temporary files.
    pub(super) fn new(
        own: Warehouse,
        elsewhere: Option<Warehouse>,
        options: GarbageOptions,
        onward: Onward,
    ) -> Result<Arc<Self>> {
        if options.grace < GRACE_MIN && !options.exclusive {
            return Err(Error::invalid(format!(
                "a grace period of tables below {} h could take away what a job under way has written: give a longer one, or --exclusive if nobody else works on the repository now",
                GRACE_MIN.as_secs() / 3600
            )));
        }
        let warehouses: Vec<Warehouse> = std::iter::once(own).chain(elsewhere).collect();
        let roots = Roots::of(&warehouses, 0);
        Ok(Arc::new(Self {
            follower: Follower::new(roots.clone())?,
            roots,
            options,
            onward,
            work: tokio::sync::Mutex::default(),
            report: Mutex::default(),
        }))
    }

    /// What was done so far.
    pub fn report(&self) -> GarbageReport {
        self.reported().clone()
    }

    fn reported(&self) -> MutexGuard<'_, GarbageReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listing(&self) -> Result<Listing> {
        let cutoffs_ms = self.cutoffs_ms().await?;
        Listing::of(&self.roots, &self.follower, cutoffs_ms).await
    }

    /// Nothing of tables goes, and all else goes on.
    fn halt(&self, why: String) {
        self.reported().halted = Some(why.clone());
        self.follower.marks().halted.get_or_insert(why);
    }

    /// Of each root, the time from which on files are young, by the clock of its storage.
    async fn cutoffs_ms(&self) -> Result<Vec<i64>> {
        let grace_ms = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        let mut cutoffs_ms = Vec::new();
        for root in self.roots.all() {
            let now_ms = match self.options.now_ms {
                Some(now_ms) => now_ms,
                None => root.objects.store_now_ms().await?,
            };
            cutoffs_ms.push(now_ms.saturating_sub(grace_ms));
        }
        Ok(cutoffs_ms)
    }
}

#[async_trait]
impl Beside for Garbage {
    async fn begin(&self, removes: bool) -> Result<()> {
        let mut work = self.work.lock().await;
        work.removes = removes && self.options.removes;
        if work.removes {
            work.notice = Some(Notice::begin(&self.roots).await?);
        }
        if work.removes && !self.options.sole && self.roots.all().len() > 1 {
            let why = "another deployment, or a copy of this one, could have tables below the same warehouse, which this one knows nothing of: say --sole-owner if none has";
            self.follower.marks().halted.get_or_insert(why.to_owned());
        }
        match self.listing().await {
            Ok(listing) => work.listing = Some(listing),
            Err(error) => self.halt(format!(
                "their files cannot be listed, as where a key has an empty segment (//): {error}"
            )),
        }
        Ok(())
    }

    fn entry(&self, path: &str, entry: &Entry, need: Need) -> Result<()> {
        if let Some(unknown) = unknown_in(entry) {
            let why = format!(
                "'{path}' was written by a newer program ({unknown}), and this one cannot tell what it needs: use a newer one"
            );
            self.follower.marks().halted.get_or_insert(why);
            return Ok(());
        }
        let Some((uuid, lost)) = pointed(entry) else {
            let mut named = std::iter::once(&entry.address).chain(entry.metadata.values());
            return named.try_for_each(|location| self.follower.file(location));
        };
        if let Some(lost) = lost {
            self.follower.lost(lost, (&entry.address, uuid), path, need)?;
        }
        let (checksum, uuid) = (entry.checksum.clone(), uuid.to_owned());
        let said = Said { checksum, uuid, size: entry.size };
        self.follower.metadata(&entry.address, &said, path, need)
    }

    async fn follow(&self, uploaded: Uploaded<'_>, told: Told<'_>) -> Result<()> {
        match self.follower.follow(uploaded, told).await {
            Err(error) if !self.options.removes => {
                self.halt(format!("they cannot be counted: {error}"));
                Ok(())
            }
            followed => followed,
        }
    }

    async fn sweep(&self, removes: bool, told: Told<'_>) -> Result<u64> {
        let work = self.work.lock().await;
        let Some(listing) = &work.listing else { return Ok(0) };
        let halted = self.follower.marks().halted.clone();
        let goes = removes && work.removes && halted.is_none();
        let sweep = Sweep {
            roots: &self.roots,
            follower: &self.follower,
            listing,
            notice: work.notice.as_ref(),
            // Told once: when it goes, or where nothing is to go at all.
            tells: self.options.list && halted.is_none() && (goes || !work.removes),
            onward: &self.onward,
        };
        let folders = sweep.all(goes, told).await?;
        let would_go = folders.iter().map(|folder| folder.files.removed).sum();
        let marks = self.follower.marks();
        *self.reported() = GarbageReport {
            folders,
            read: marks.read,
            unread: marks.graph.unread().to_vec(),
            halted: halted.clone(),
            removed: goes,
        };
        Ok(if work.removes && halted.is_none() { would_go } else { 0 })
    }

    async fn end(&self) {
        if let Some(notice) = self.work.lock().await.notice.take() {
            notice.end().await;
        }
    }
}
