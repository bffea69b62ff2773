//! The writers: each appends to the one table over and over, by what the catalog says, or by optimistic retry as
//! clients of other catalogs do.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use onward::internals::clock::{self, Deadline, Stopwatch};
use onward::internals::objects::Objects;
use onward::{Error, Result};
use onward_iceberg::table::Append;
use tokio::sync::Notify;

use super::super::sample::Latencies;
use super::api::{Catalog, Head, Table, Told};

/// How often a commit is tried again, and how long is waited before: Iceberg's own, `commit.retry.num-retries` and
/// `commit.retry.min-wait-ms`, which is twice as long each time.
const RETRIES: u32 = 4;
const WAIT_MIN: Duration = Duration::from_millis(100);

/// What all writers of one table share.
pub struct Shared {
    catalogs: Vec<Catalog>,
    objects: Objects,
    table: Table,
    newest: Mutex<(i64, i64)>,
    next_id: AtomicI64,
    begun: AtomicU64,
    watch: Stopwatch,
    found: Mutex<Found>,
    landed: Notify,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Found {
    /// When each commit had landed, since the beginning.
    pub landed_at: Vec<Duration>,
    /// How long each took.
    pub latencies: Latencies,
    /// Commits that were given up.
    pub failed: u64,
    /// Tries that were told that others were first.
    pub stale: u64,
    /// Why the first was given up.
    pub error: Option<String>,
}

/// How a writer commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Appends that the server brings onto the head.
    Rebase,
    /// Load, write, commit; again where others were first. The server tells it at once.
    Optimistic,
    /// The same with something that is never rebased, and the server's door.
    Overwrite,
}

impl Shared {
    /// Writers of a new table with a snapshot: a stale append to nothing is not brought onto the head.
    pub async fn new(catalogs: Vec<Catalog>, objects: &Objects, table: Table) -> Result<Arc<Self>> {
        let shared = Self {
            catalogs,
            objects: objects.clone(),
            table,
            newest: Mutex::new((0, 0)),
            next_id: AtomicI64::new(1),
            begun: AtomicU64::new(0),
            watch: Stopwatch::start(),
            found: Mutex::new(Found {
                landed_at: Vec::new(),
                latencies: Latencies::new(),
                failed: 0,
                stale: 0,
                error: None,
            }),
            landed: Notify::new(),
        };
        let first = shared.append(None);
        shared.write_files(&first, None).await?;
        match shared.catalog(0)?.commit(&shared.table, None, &first.commit("append")).await? {
            Told::Landed(newest) => *lock(&shared.newest) = newest,
            told => return Err(Error::internal(format!("the first append: {told:?}"))),
        }
        Ok(Arc::new(shared))
    }

    /// Writes the files of so many appends, so that only commits are measured behind this.
    pub async fn prepare(self: &Arc<Self>, many: u64, at_once: usize) -> Result<Vec<i64>> {
        let left = Arc::new(AtomicU64::new(many));
        let writer = |shared: Arc<Self>, left: Arc<AtomicU64>| async move {
            let mut ids = Vec::new();
            let take = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let append = shared.append(None);
                shared.write_files(&append, None).await?;
                ids.push(append.snapshot_id);
            }
            Ok::<_, Error>(ids)
        };
        let tasks: Vec<_> = (0..at_once)
            .map(|_| tokio::spawn(writer(Arc::clone(self), Arc::clone(&left))))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.map_err(ended)??);
        }
        Ok(all)
    }

    /// Lets a writer of prepared appends work until there is none left.
    pub async fn commit_prepared(self: Arc<Self>, ids: Arc<Vec<i64>>, writer: usize) -> Result<()> {
        loop {
            let nth = self.begun.fetch_add(1, Ordering::Relaxed);
            let Some(id) = usize::try_from(nth).ok().and_then(|nth| ids.get(nth)) else {
                return Ok(());
            };
            self.rebased(*id, writer).await?;
        }
    }

    /// Lets a writer work until the time is over; returns how many of its commits landed.
    pub async fn work(self: Arc<Self>, way: Way, writer: usize, until: Deadline) -> Result<u64> {
        let mut landed = 0;
        while !until.is_over() {
            landed += u64::from(match way {
                Way::Rebase => {
                    let append = self.append(None);
                    self.write_files(&append, None).await?;
                    self.rebased(append.snapshot_id, writer).await?
                }
                Way::Optimistic => self.retried("append", Some("optimistic"), writer).await?,
                Way::Overwrite => self.retried("overwrite", None, writer).await?,
            });
        }
        Ok(landed)
    }

    /// Waits until so many have landed, or nobody works any more.
    pub async fn until(&self, many: u64) {
        loop {
            let next = self.landed.notified();
            if lock(&self.found).landed_at.len() as u64 >= many {
                return;
            }
            next.await;
        }
    }

    /// Since the writers were made.
    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// What was measured so far.
    pub fn found(&self) -> Found {
        lock(&self.found).clone()
    }

    async fn rebased(&self, id: i64, writer: usize) -> Result<bool> {
        let began = Stopwatch::start();
        let parent = *lock(&self.newest);
        let append = Append { snapshot_id: id, ..self.append(Some(parent)) };
        let wanted = append.commit("append");
        let told = self.catalog(writer)?.commit(&self.table, None, &wanted).await?;
        Ok(self.note(told, &began))
    }

    /// Commits as a client does that keeps Iceberg's rules: its list is made anew on every head.
    async fn retried(&self, operation: &str, mode: Option<&str>, writer: usize) -> Result<bool> {
        let began = Stopwatch::start();
        let mut append = self.append(None);
        let catalog = self.catalog(writer)?;
        loop {
            let Head { snapshot, list } = catalog.load(&self.table).await?;
            append.parent = snapshot;
            let list = match &list {
                Some(list) => Some(self.read(list).await?),
                None => None,
            };
            self.write_files(&append, list.as_ref()).await?;
            match catalog.commit(&self.table, mode, &append.commit(operation)).await? {
                Told::Stale if append.attempt < RETRIES => {
                    lock(&self.found).stale += 1;
                    tokio::time::sleep(WAIT_MIN * 2u32.pow(append.attempt)).await;
                    append.attempt += 1;
                }
                told => return Ok(self.note(told, &began)),
            }
        }
    }

    /// Takes an outcome down; whether it is a commit.
    fn note(&self, told: Told, began: &Stopwatch) -> bool {
        let mut found = lock(&self.found);
        let why = match told {
            Told::Landed(newest) => {
                found.landed_at.push(self.watch.elapsed());
                found.latencies.record(began.elapsed());
                let mut known = lock(&self.newest);
                if newest.1 > known.1 {
                    *known = newest;
                }
                self.landed.notify_waiters();
                return true;
            }
            Told::Stale => "others were first, again and again".to_owned(),
            Told::Refused(why) => why,
        };
        found.failed += 1;
        found.error.get_or_insert(why);
        false
    }

    fn append(&self, parent: Option<(i64, i64)>) -> Append<'_> {
        Append {
            location: &self.table.location,
            snapshot_id: self.next_id.fetch_add(1, Ordering::Relaxed),
            parent,
            attempt: 0,
            rows: 1,
            total_rows: None,
            now_ms: clock::now_ms(),
        }
    }

    async fn write_files(&self, append: &Append<'_>, parents: Option<&Bytes>) -> Result<()> {
        let wrong = |error| Error::internal("a manifest cannot be made").with_source(error);
        let manifest = append.manifest().map_err(wrong)?;
        let list = append.list(manifest.len(), parents).map_err(wrong)?;
        if append.attempt == 0 {
            self.objects.put(&self.key(&append.manifest_location())?, manifest).await?;
        }
        self.objects.put(&self.key(&append.list_location())?, list).await
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let found = self.objects.get(&self.key(location)?).await?;
        found.ok_or_else(|| Error::internal(format!("'{location}' is not there")))
    }

    fn key(&self, location: &str) -> Result<String> {
        let key = self.objects.key_of(location);
        key.map(str::to_owned).ok_or_else(|| {
            Error::invalid("tables lie outside of the deployment's own storage".to_owned())
        })
    }

    fn catalog(&self, writer: usize) -> Result<&Catalog> {
        let nth = writer % self.catalogs.len().max(1);
        self.catalogs.get(nth).ok_or_else(|| Error::internal("there is no sidecar"))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ended by a fault of ours.
pub fn ended(error: tokio::task::JoinError) -> Error {
    Error::internal("a writer ended early").with_source(error)
}
