//! Garbage collection: removes runs, ranges and uploaded objects that nothing can reach any more.
//!
//! 1. Queues are finished (`drain.rs`), so that no undecided batch can name what goes.
//! 2. What the heads, tags, staging areas and queues reach is marked (`look.rs`, `mark.rs`).
//! 3. What is not marked and older than the grace period is a candidate (`sweep.rs`).
//! 4. If there are any: queues are finished again, and what they brought is marked, too.
//! 5. What is then not marked and old is removed, uploaded objects last. So are old files of local
//!    storage that were never finished.
//!
//! Who keeps files beside the repository that entries lead to takes part in all of it (`beside.rs`).
//!
//! Log entries, records of branches and tags, and checkpoints of live branches always stay.

mod beside;
mod drain;
mod look;
mod mark;
mod names;
mod report;
mod sweep;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use crate::clock::{Deadline, Stopwatch};
use crate::commit::Coordinator;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::{BranchRecord, RepoRecord, RepoState};
use crate::commit::op::request::PREPARED_MAX;
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::RepoName;
use crate::objects::layout;

use super::handles::Repository;
use super::lives;
use super::reach::{Needed, Reach, Step};
use super::removal::remove_strays;
use look::Seen;
use mark::Marks;
use sweep::Sweep;

pub use beside::{Beside, Need, Uploaded};
pub use names::{Names, PARTS, part_of};
pub use report::{GcEvent, GcReport, Tally, Told};

/// How old something must be to go, unless told otherwise.
pub const GRACE: Duration = Duration::from_secs(48 * 3600);

/// The shortest grace period while others may work on the repository: what is older than
/// [`PREPARED_MAX`] cannot become part of a commit any more, and clocks differ by an hour at most.
pub const GRACE_MIN: Duration = Duration::from_secs(PREPARED_MAX.as_secs() + 3600);

/// Branches looked at, or helped, at the same time, at most.
const BRANCHES: usize = 16;

/// How to collect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcOptions {
    /// How old something that nothing names must be at the start to be removed; at least
    /// [`GRACE_MIN`], unless `exclusive`.
    pub grace: Duration,
    /// The caller's word that nobody else works on the repository before this is done.
    pub exclusive: bool,
    /// Only tell what would be removed.
    pub dry_run: bool,
    /// Whether each object that is removed is told.
    pub list: bool,
    /// How long the queue of a branch may take to empty; by default the connection's timeout.
    pub timeout: Option<Duration>,
    /// The time that counts as the start, in milliseconds since the Unix epoch. By default it is
    /// asked of the store, whose clock says how old objects are.
    pub now_ms: Option<i64>,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            grace: GRACE,
            exclusive: false,
            dry_run: false,
            list: false,
            timeout: None,
            now_ms: None,
        }
    }
}

struct Collection<'a> {
    repo: RepoLife,
    coordinator: &'a Coordinator,
    lake: Lake,
    timeout: Duration,
    /// What is younger stays, named or not.
    cutoff_ms: i64,
    reach: Reach,
    marks: Marks,
    entries: u64,
    beside: Option<Arc<dyn Beside>>,
}

/// The branches of a repository at one moment.
struct Branches {
    live: Vec<BranchRecord>,
    ended: HashSet<BranchUid>,
}

impl Repository {
    /// Collects garbage. Safe while others work on the repository, unless `exclusive` is claimed
    /// wrongly; safe to end at any moment and to run again.
    ///
    /// Costs a read of every log entry, run and range that can be reached, and two listings of the
    /// repository. Memory: 16 bytes and some for each distinct run and range (at most 2^26), 10 for
    /// each log entry, and one part in 256 of the names of uploaded objects; all of these names go
    /// to a temporary file, 16 bytes each.
    ///
    /// Fails before anything is removed: with [`crate::ErrorKind::InvalidInput`] when the grace
    /// period is too short, with [`crate::ErrorKind::Corrupt`] when something that can be reached
    /// is missing or damaged, and with [`crate::ErrorKind::Unavailable`] when a queue does not empty
    /// in time.
    pub async fn gc(
        &self,
        options: &GcOptions,
        told: &mut (dyn FnMut(GcEvent<'_>) + Send),
    ) -> Result<GcReport> {
        self.gc_beside(options, None, told).await
    }

    /// As [`Repository::gc`], with those who keep files of their own that entries lead to. Of a repository that was
    /// deleted, whose entries are gone, only they have anything to remove.
    #[doc(hidden)]
    pub async fn gc_beside(
        &self,
        options: &GcOptions,
        beside: Option<Arc<dyn Beside>>,
        told: &mut (dyn FnMut(GcEvent<'_>) + Send),
    ) -> Result<GcReport> {
        if options.grace < GRACE_MIN && !options.exclusive {
            return Err(Error::invalid(format!(
                "a grace period below {} h could take away what a commit under way has written: give a longer one, or --exclusive if nobody else works on the repository now",
                GRACE_MIN.as_secs() / 3600
            )));
        }
        let collected = match self.live().await {
            Ok((repo, _)) => self.collect(repo, options, beside.clone(), told).await,
            Err(error) => match &beside {
                Some(beside) if self.was_removed().await? => {
                    self.collect_removed(options, beside, told).await
                }
                _ => return Err(error),
            },
        };
        if let Some(beside) = beside {
            beside.end().await;
        }
        collected
    }

    async fn was_removed(&self) -> Result<bool> {
        let objects = self.onward.coordinator().objects();
        let newest = RepoRecord::newest(objects, &self.name()?).await?;
        Ok(newest.is_some_and(|(_, record)| record.state == RepoState::Removed))
    }

    async fn collect_removed(
        &self,
        options: &GcOptions,
        beside: &Arc<dyn Beside>,
        told: &mut (dyn FnMut(GcEvent<'_>) + Send),
    ) -> Result<GcReport> {
        let since = Stopwatch::start();
        beside.begin(!options.dry_run).await?;
        beside.follow(&|_| Ok(()), told).await?;
        beside.sweep(!options.dry_run, told).await?;
        let dry_run = options.dry_run;
        Ok(GcReport { dry_run, took: since.elapsed(), ..GcReport::default() })
    }

    async fn collect(
        &self,
        repo: RepoLife,
        options: &GcOptions,
        beside: Option<Arc<dyn Beside>>,
        told: &mut (dyn FnMut(GcEvent<'_>) + Send),
    ) -> Result<GcReport> {
        let since = Stopwatch::start();
        let coordinator = self.onward.coordinator();
        let now_ms = match options.now_ms {
            Some(now_ms) => now_ms,
            None => coordinator.objects().store_now_ms().await?,
        };
        let grace_ms = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
        let cutoff_ms = now_ms.saturating_sub(grace_ms);
        if let Some(beside) = &beside {
            beside.begin(!options.dry_run).await?;
        }
        // A lake of its own: what is cached elsewhere may be gone from the store.
        let objects = coordinator.objects().clone();
        let lake = Lake::new(repo.clone(), objects, coordinator.options().lake.clone());
        let mut collection = Collection {
            repo: repo.clone(),
            coordinator,
            timeout: options.timeout.unwrap_or(self.onward.inner.timeout),
            cutoff_ms,
            reach: Reach::new(lake.clone()),
            marks: Marks::new(lake.clone(), beside.clone())?,
            lake,
            entries: 0,
            beside,
        };
        let branches = collection.mark(self, told).await?;
        let mut sweep = Sweep {
            repo: &repo,
            objects: coordinator.objects(),
            cutoff_ms,
            removes: false,
            tells: options.dry_run && options.list,
            ended: &branches.ended,
        };
        if !options.dry_run {
            remove_strays(coordinator.objects(), &repo).await?;
        }
        let (mut report, mut besides) = collection.sweep(&sweep, told).await?;
        if report.removed() + besides > 0 && !options.dry_run {
            if !options.exclusive {
                collection.fence(&branches, cutoff_ms).await?;
            }
            collection.mark(self, told).await?;
            sweep.removes = true;
            sweep.tells = options.list;
            (report, besides) = collection.sweep(&sweep, told).await?;
        }
        tracing::debug!(besides, "removed beside the repository");
        report.entries = collection.entries;
        report.dry_run = options.dry_run;
        report.took = since.elapsed();
        Ok(report)
    }
}

/// Says that a collection ended before it removed anything.
fn stopped(repo: &RepoName, error: Error) -> Error {
    if !error.is_damage() {
        return error;
    }
    Error::corrupt(format!(
        "nothing was removed, because something that is needed is missing or damaged: {error}; run `onward verify {repo}` and restore what it names first"
    ))
}

impl Collection<'_> {
    /// Finishes all queues, then marks everything that can be reached and was not marked before, and what that leads
    /// to beside the repository.
    async fn mark(&mut self, repository: &Repository, told: Told<'_>) -> Result<Branches> {
        let marked = self.mark_own(repository, told).await;
        let branches = marked.map_err(|error| stopped(self.repo.name(), error))?;
        self.coordinator.faults().pass("gc-marked").await?;
        if let Some(beside) = self.beside.clone() {
            let objects = self.marks.objects.clone();
            beside.follow(&move |address| objects.address(address), told).await?;
        }
        Ok(branches)
    }

    /// Goes through what there is, beside the repository last.
    async fn sweep(&self, sweep: &Sweep<'_>, told: Told<'_>) -> Result<(GcReport, u64)> {
        let report = sweep.all(&self.marks, told).await?;
        let besides = match &self.beside {
            Some(beside) => beside.sweep(sweep.removes, told).await?,
            None => 0,
        };
        Ok((report, besides))
    }

    async fn mark_own(&mut self, repository: &Repository, told: Told<'_>) -> Result<Branches> {
        let branches = self.branches().await?;
        self.finish(&branches).await?;
        for tag in repository.tags().await? {
            self.reach.add(tag.commit, Needed::by(tag.name.as_str()));
        }
        for (record, seen) in self.look(&branches).await? {
            let needed = Needed::by(record.name.as_str());
            for commit in
                seen.commits.iter().chain(seen.head.as_ref().and_then(|h| h.commit.as_ref()))
            {
                self.reach.add(*commit, needed.clone());
            }
            for run in &seen.runs {
                self.marks.run(run).await?;
            }
            for level in seen.head.iter().flat_map(|head| &head.metarange.levels) {
                self.marks.level(level).await?;
            }
        }
        self.walk(false, told).await?;
        self.recent(&branches.ended).await?;
        self.walk(true, told).await?;
        Ok(branches)
    }

    /// Marks what the commits that were added lead to; leniently, what is there of it.
    async fn walk(&mut self, lenient: bool, told: Told<'_>) -> Result<()> {
        self.marks.be_lenient(lenient);
        while let Some(step) = self.reach.next().await? {
            let reached = match step {
                Step::Reached(reached) => reached,
                Step::Lost(_) if lenient => continue,
                Step::Lost(lost) => return Err(lost.error),
            };
            self.entries += 1;
            for (_, level) in reached.levels() {
                self.marks.level(level).await?;
            }
            let (runs, ranges) = (self.marks.runs.len() as u64, self.marks.ranges.len() as u64);
            told(GcEvent::Marked { entries: self.entries, runs, ranges });
        }
        self.marks.settle().await?;
        self.marks.be_lenient(false);
        Ok(())
    }

    /// What was a head within the grace period stays reachable, though its branch has ended or was
    /// reset since: a merge of it may be on its way, or a branch or tag be made of it. Some of it
    /// may be gone already.
    async fn recent(&mut self, ended: &HashSet<BranchUid>) -> Result<()> {
        let needed = Needed::by("a head of late");
        let mut listed = self.lake.objects().list(&layout::logs_dir(&self.repo), None);
        while let Some(listed) = listed.try_next().await? {
            let place = layout::parse_log_entry(&listed.key);
            let Some((uid, first)) = place.filter(|_| listed.modified_ms >= self.cutoff_ms) else {
                continue;
            };
            let entry = match self.lake.entry(uid, first).await {
                // What nobody can read any more was ended for it, and leads nowhere.
                Err(error) if error.is_damage() && ended.contains(&uid) => continue,
                entry => entry?,
            };
            let Some(entry) = entry else { continue };
            let heads = [entry.parent, entry.last_commit()?];
            for commit in heads.into_iter().flatten() {
                self.reach.add(commit, needed.clone());
            }
        }
        Ok(())
    }

    /// All branches. A record that is missing or damaged is an error: its branch would seem dead.
    async fn branches(&self) -> Result<Branches> {
        let mut logs = lives::logs(&self.lake).await?;
        let mut branches = Branches { live: Vec::new(), ended: HashSet::new() };
        for life in lives::all(&self.lake).await? {
            let record = life.record?;
            logs.remove(&record.uid);
            if life.live {
                branches.live.push(record);
            } else {
                branches.ended.insert(record.uid);
            }
        }
        for uid in logs {
            if let Some(first) = self.lake.log_tickets(uid, Ticket(0)).await?.first() {
                return Err(Error::corrupt(format!(
                    "there is a log entry '{}', but no branch has its uid",
                    layout::log_entry(&self.repo, uid, *first)
                )));
            }
        }
        Ok(branches)
    }

    async fn finish(&self, branches: &Branches) -> Result<()> {
        futures::stream::iter(&branches.live)
            .map(Ok)
            .try_for_each_concurrent(BRANCHES, |record| async move {
                let context = self.coordinator.context(&self.repo, &record.name, record.uid);
                drain::finish(self.coordinator, &context, Deadline::after(self.timeout)).await
            })
            .await
    }

    async fn look(&self, branches: &Branches) -> Result<Vec<(BranchRecord, Seen)>> {
        futures::stream::iter(&branches.live)
            .map(|record| async move {
                let context = self.coordinator.context(&self.repo, &record.name, record.uid);
                let objects = &self.marks.objects;
                let seen = look::look(&self.lake, record, &context, objects).await?;
                Ok((record.clone(), seen))
            })
            .buffered(BRANCHES)
            .try_collect()
            .await
    }

    /// Adds an op to every log whose newest entry is so old that a helper which stopped before it
    /// could decide the next one may have written what is about to be removed.
    async fn fence(&self, branches: &Branches, cutoff_ms: i64) -> Result<()> {
        futures::stream::iter(&branches.live)
            .map(Ok)
            .try_for_each_concurrent(BRANCHES, |record| async move {
                let last = self.lake.log_tickets(record.uid, Ticket(0)).await?.last().copied();
                let newest = match last {
                    Some(first) => {
                        let key = layout::log_entry(&self.repo, record.uid, first);
                        self.coordinator.objects().look(&key).await?
                    }
                    None => None,
                };
                if newest.is_some_and(|newest| newest.modified_ms >= cutoff_ms) {
                    return Ok(());
                }
                let context = self.coordinator.context(&self.repo, &record.name, record.uid);
                drain::fence(self.coordinator, &context, Deadline::after(self.timeout)).await
            })
            .await
    }
}
