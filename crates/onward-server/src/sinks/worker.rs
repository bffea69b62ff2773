//! One sink in this process: waits until it may deliver it, then goes on where the last one stopped.
//!
//! The lease keeps two processes from doing the same; that nothing is lost where it fails to is seen to by the
//! record of the progress, which is replaced only as it was read: whoever takes over writes it first, and what a
//! process writes that slept through its lease is refused.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use metrics::counter;
use onward::internals::clock::{self, Stopwatch, jittered, now_ms};
use onward::internals::coord::append::stream_key;
use onward::internals::coord::lease::Lease;
use onward::internals::model::ids::BranchUid;
use onward::internals::model::life::RepoLife;
use onward::internals::repo::sinks::progress::ProgressRecord;
use onward::internals::repo::sinks::{Followed, Progress, Sink, SinkView, Target};
use onward::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::retry::Retry;
use super::service::{Sinks, State};
use super::turn::{BRANCHES, Parts, Turn, TurnEnd};
use crate::metrics::{SINK_EVENTS, SINK_FAILURES};

/// How long a lease lasts that its holder does not keep.
const LEASE: Duration = Duration::from_secs(6);

/// How often it is kept.
const KEPT_EVERY: Duration = Duration::from_secs(2);

/// Between two looks at whether there is something to deliver.
const LOOK: Duration = Duration::from_millis(200);

/// For each branch that is looked at, a look takes so long at the least: 200 small calls a second.
const LOOK_AT_ONE: Duration = Duration::from_millis(5);

/// Between two looks at the names of branches.
const NAMES_EVERY: Duration = Duration::from_secs(1);

/// Between two surveys, if names give no reason for one.
const SURVEY_EVERY: Duration = Duration::from_secs(60);

/// Between two looks into the logs themselves, which know more than a Redis that lost something: of so many branches.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Branches whose logs are looked into at once.
const PROBED: usize = 16;

/// A survey is so many times as far from the last one as that took.
const SURVEY_REST: u32 = 10;

/// How long a worker rests whose target cannot be opened.
const BLOCKED: Duration = Duration::from_secs(15);

/// How often progress is saved, at most, unless there is much of it.
const SAVED_EVERY: Duration = Duration::from_secs(1);

/// So many events are saved at once.
const SAVED_AT: u64 = 256;

/// How long a worker rests after an error, and while another process has the lease.
const REST: Duration = Duration::from_secs(1);

/// One sink in this process.
pub struct Worker {
    /// The sinks of the deployment.
    pub sinks: Sinks,
    /// The life of the repository.
    pub life: RepoLife,
    /// The sink to be delivered.
    pub sink: Sink,
    /// Ends the worker.
    pub stop: CancellationToken,
}

/// Why a worker that had the lease gave it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was told to stop, lost the lease, or somebody else has written its progress.
    Lost,
    /// Its target cannot be opened.
    Blocked,
    /// The sink was given up. Who revives it makes a new worker begin.
    Dead,
}

impl Worker {
    /// Delivers whenever nobody else does, until it is stopped.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            let rest = match self.attend().await {
                Ok(Ended::Lost) => {
                    // Whoever delivers it now says how it does.
                    self.sinks.note(self.life.name(), &self.sink.id, None);
                    REST
                }
                Ok(Ended::Blocked) => BLOCKED,
                Ok(Ended::Dead) => {
                    self.stop.cancelled().await;
                    break;
                }
                Err(error) => {
                    let (repo, sink) = (self.life.name(), &self.sink.id);
                    tracing::warn!(%error, %repo, sink, "a sink cannot be delivered now");
                    REST
                }
            };
            tokio::select! {
                () = tokio::time::sleep(jittered(rest)) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.sinks.note(self.life.name(), &self.sink.id, None);
        self.clean_up().await;
    }

    /// Removes the stream of a sink that was removed, from the deployment's own Redis: what was under way may have
    /// made it again.
    async fn clean_up(&self) {
        if !matches!(self.sink.target, Target::Stream { redis: None, .. }) {
            return;
        }
        let (onward, repo) = (&self.sinks.onward, self.life.name());
        let mut record = onward.repo(repo.as_str()).progress_record(&self.life, &self.sink);
        if let Ok(None) = record.read().await {
            let key = stream_key(repo, &self.sink.own_name());
            if let Err(error) = onward.coordinator().lanes().unlink(&[&key]).await {
                tracing::info!(%error, %repo, sink = self.sink.id, "a stream could not be removed");
            }
        }
    }

    /// Delivers for as long as this process has the lease, if it gets it.
    async fn attend(&self) -> Result<Ended> {
        if self.sinks.places.available_permits() == 0 {
            let (repo, sink) = (self.life.name(), &self.sink.id);
            tracing::warn!(%repo, sink, "a sink waits: this process delivers as many as it may at a time, another sidecar helps");
        }
        let place = tokio::select! {
            place = self.sinks.places.acquire() => place,
            () = self.stop.cancelled() => return Ok(Ended::Lost),
        };
        let _place = place.map_err(|_| Error::internal("sinks are not delivered any more"))?;
        let lanes = self.sinks.onward.coordinator().lanes().clone();
        let holder = format!("{:032x}", clock::random_u128());
        let (repo, name) = (self.life.name(), self.sink.own_name());
        let lease = Lease::of_sink(lanes, repo, &name, holder, LEASE);
        if !lease.take().await? {
            return Ok(Ended::Lost);
        }
        let held = self.stop.child_token();
        let keeper = AbortOnDropHandle::new(tokio::spawn(keep(lease.clone(), held.clone())));
        let ended = self.own(&held).await;
        drop(keeper);
        lease.leave().await?;
        ended
    }

    /// Delivers, as the one who has the lease.
    async fn own(&self, held: &CancellationToken) -> Result<Ended> {
        let (onward, repo) = (&self.sinks.onward, self.life.name());
        let record = onward.repo(repo.as_str()).progress_record(&self.life, &self.sink);
        let Some(mut owned) = Owned::take_over(record).await? else { return Ok(Ended::Lost) };
        self.note(&owned.progress);
        if owned.progress.dead.is_some() {
            return Ok(Ended::Dead);
        }
        let view = SinkView::of(onward, &self.life, &self.sink)?;
        let sender = match self.sinks.sender(repo, &self.sink).await {
            Ok(sender) => sender,
            Err(error) => return self.note_blocked(&mut owned, &error).await,
        };
        owned.progress.blocked_since_ms = None;
        let parts = Parts {
            repo: repo.as_str(),
            sink: &self.sink,
            view: &view,
            sender: &sender,
            stop: held,
        };
        let ended = self.deliver(&parts, &mut owned, held).await?;
        if ended == Ended::Dead {
            let reason = owned.progress.dead.as_ref().map(|dead| dead.reason.as_str());
            tracing::warn!(%repo, sink = self.sink.id, reason, "a sink was given up");
        }
        Ok(ended)
    }

    /// Gives branches their turns, some at the same time, and notes what becomes of each as it ends.
    async fn deliver(
        &self,
        parts: &Parts<'_>,
        owned: &mut Owned,
        held: &CancellationToken,
    ) -> Result<Ended> {
        let faults = self.sinks.onward.coordinator().faults();
        let (mut looks, mut retries) = (Looks::default(), HashMap::new());
        let mut turns: FuturesUnordered<BoxFuture<'_, Turn>> = FuturesUnordered::new();
        let mut under_way: HashSet<BranchUid> = HashSet::new();
        loop {
            if !held.is_cancelled() && turns.len() < BRANCHES {
                self.survey(parts.view, &mut looks, owned).await;
                let due = looks.due(parts.view, &owned.progress, &retries, &under_way).await;
                for at in due.into_iter().take(BRANCHES - turns.len()) {
                    under_way.insert(at.uid);
                    turns.push(parts.take(at).boxed());
                }
            }
            let pause = looks.pause(&owned.progress);
            let turn = tokio::select! {
                Some(turn) = turns.next() => Some(turn),
                () = tokio::time::sleep(pause), if !held.is_cancelled() => None,
                () = held.cancelled(), if !held.is_cancelled() => None,
                else => {
                    owned.save(true).await?;
                    return Ok(Ended::Lost);
                }
            };
            let is_any_delivered = turn.as_ref().is_some_and(|turn| turn.delivered > 0);
            if is_any_delivered {
                faults.pass("sink-delivered").await?;
            }
            if let Some(turn) = turn {
                under_way.remove(&turn.at.uid);
                self.note_turn(turn, owned, &mut retries);
                self.note(&owned.progress);
            }
            let is_dead = owned.progress.dead.is_some();
            if !owned.save(is_dead).await? {
                return Ok(Ended::Lost);
            }
            if is_any_delivered {
                faults.pass("sink-noted").await?;
            }
            if is_dead {
                return Ok(Ended::Dead);
            }
        }
    }

    /// Looks up which branches there are, where that is due.
    async fn survey(&self, view: &SinkView, looks: &mut Looks, owned: &mut Owned) {
        let Err(error) = looks.survey(view, &mut owned.progress).await else { return };
        let (repo, sink) = (self.life.name(), &self.sink.id);
        match error.kind() {
            ErrorKind::InvalidInput => owned.progress.give_up(now_ms(), &error.for_callers()),
            _ => tracing::info!(%error, %repo, sink, "branches of a sink cannot be looked up"),
        }
    }

    /// Takes down that the target cannot be opened, which counts as a failure of all that is next.
    async fn note_blocked(&self, owned: &mut Owned, error: &Error) -> Result<Ended> {
        let (repo, sink) = (self.life.name(), &self.sink.id);
        tracing::warn!(%error, %repo, sink, "the target of a sink cannot be opened");
        let progress = &mut owned.progress;
        progress.note_trouble(&error.for_callers());
        let is_again = progress.blocked_since_ms.is_some();
        let since = *progress.blocked_since_ms.get_or_insert_with(now_ms);
        if is_again && self.is_too_long(since) {
            progress.give_up(now_ms(), &error.for_callers());
        }
        let ended = if progress.dead.is_some() { Ended::Dead } else { Ended::Blocked };
        self.note(progress);
        owned.save(true).await?;
        Ok(ended)
    }

    /// Whether what fails since then has failed for as long as the sink allows.
    fn is_too_long(&self, since_ms: i64) -> bool {
        u64::try_from(now_ms().saturating_sub(since_ms)).unwrap_or(0) >= self.sink.give_up_ms
    }

    /// Takes down what became of a branch's turn.
    fn note_turn(&self, turn: Turn, owned: &mut Owned, retries: &mut HashMap<BranchUid, Retry>) {
        let Turn { before, mut at, delivered, end } = turn;
        counter!(SINK_EVENTS).increment(delivered);
        owned.unsaved += delivered;
        let progress = &mut owned.progress;
        progress.delivered += delivered;
        if delivered > 0 {
            retries.remove(&at.uid);
            (at.failing_since_ms, progress.trouble) = (None, None);
        }
        match end {
            TurnEnd::Open => {
                if retries.remove(&at.uid).is_some() {
                    (at.failing_since_ms, progress.trouble) = (None, None);
                }
            }
            TurnEnd::Finished => {
                retries.remove(&at.uid);
                return progress.finish(&before.name, before.incarnation);
            }
            TurnEnd::Gone => progress.give_up(now_ms(), "it answered 410 Gone: it wants no more"),
            TurnEnd::Failed { retry_after, reason } => {
                counter!(SINK_FAILURES).increment(1);
                let what =
                    format!("the next event of branch '{}' was not taken: {reason}", at.name);
                progress.note_trouble(&reason);
                self.note_failure(&mut at, progress, retries, retry_after, &what);
            }
            TurnEnd::Unreadable(error) => {
                let (repo, branch) = (self.life.name(), &at.name);
                tracing::warn!(%error, %repo, %branch, sink = self.sink.id, "what comes next cannot be read");
                progress.note_trouble(&error.for_callers());
                match error.kind() {
                    ErrorKind::Corrupt => {
                        self.note_failure(&mut at, progress, retries, None, &error.for_callers());
                    }
                    _ => drop(retries.insert(at.uid, Retry::after(retries.get(&at.uid), None))),
                }
            }
        }
        if let Some(followed) = progress.followed.iter_mut().find(|of| of.uid == before.uid) {
            // A survey may have found meanwhile that it is over.
            at.over |= followed.over;
            *followed = at;
        }
    }

    /// Notes that the next event of a branch fails. Gives the sink up where it has failed for too long, and not for the
    /// first time in this process: nobody may have delivered meanwhile.
    fn note_failure(
        &self,
        at: &mut Followed,
        progress: &mut Progress,
        retries: &mut HashMap<BranchUid, Retry>,
        retry_after: Option<Duration>,
        what: &str,
    ) {
        let since = *at.failing_since_ms.get_or_insert_with(now_ms);
        let before = retries.get(&at.uid);
        if before.is_some() && self.is_too_long(since) {
            progress.give_up(now_ms(), what);
        }
        let next = Retry::after(before, retry_after);
        retries.insert(at.uid, next);
    }

    fn note(&self, progress: &Progress) {
        let failing_since_ms = progress.failing_since_ms();
        let state = State { failing_since_ms, is_dead: progress.dead.is_some() };
        self.sinks.note(self.life.name(), &self.sink.id, Some(state));
    }
}

/// Keeps a lease, until it is lost.
async fn keep(lease: Lease, held: CancellationToken) {
    loop {
        tokio::time::sleep(KEPT_EVERY).await;
        match lease.keep().await {
            Ok(true) => {}
            Ok(false) => return held.cancel(),
            Err(error) => {
                tracing::info!(%error, "the lease of a sink could not be kept");
                return held.cancel();
            }
        }
    }
}

/// The progress of a sink that this process has taken over.
struct Owned {
    record: ProgressRecord,
    progress: Progress,
    /// Events delivered since it was saved.
    unsaved: u64,
    saved: Stopwatch,
}

impl Owned {
    /// Takes it over, which shuts out whoever had it; `None` where there is none, or somebody was faster.
    async fn take_over(mut record: ProgressRecord) -> Result<Option<Self>> {
        let Some(mut progress) = record.read().await? else { return Ok(None) };
        if progress.dead.is_none() {
            progress.epoch += 1;
            if !record.write(&progress).await? {
                return Ok(None);
            }
        }
        Ok(Some(Self { record, progress, unsaved: 0, saved: Stopwatch::start() }))
    }

    /// Saves it, if that is due or has to be. Returns false where somebody else has taken over.
    async fn save(&mut self, now: bool) -> Result<bool> {
        if !now && self.unsaved < SAVED_AT && self.saved.elapsed() < SAVED_EVERY {
            return Ok(true);
        }
        (self.unsaved, self.saved) = (0, Stopwatch::start());
        self.record.write(&self.progress).await
    }
}

/// When a worker looked at what.
#[derive(Default)]
struct Looks {
    surveyed: Option<Stopwatch>,
    named: Option<Stopwatch>,
    /// How long the last survey took.
    survey_took: Duration,
    probed: Option<Stopwatch>,
    /// Which of the branches are probed next.
    probe_at: usize,
    /// When each branch had its turn last, in turns of all.
    turns: HashMap<BranchUid, u64>,
    turn: u64,
    /// The branches that Redis named at the last survey.
    names: HashSet<BranchUid>,
}

fn is_over(of: Option<Stopwatch>, length: Duration) -> bool {
    of.is_none_or(|of| of.elapsed() >= length)
}

impl Looks {
    /// How long to rest when nothing was there to be delivered.
    fn pause(&self, progress: &Progress) -> Duration {
        let count = u32::try_from(progress.followed.len()).unwrap_or(u32::MAX);
        LOOK.max(LOOK_AT_ONE.saturating_mul(count))
    }

    /// Looks up which branches there are, where that may have changed.
    async fn survey(&mut self, view: &SinkView, progress: &mut Progress) -> Result<()> {
        let mut is_due = is_over(self.surveyed, SURVEY_EVERY);
        if is_over(self.named, NAMES_EVERY) {
            self.named = Some(Stopwatch::start());
            // Without Redis, the next survey finds them.
            if let Ok(names) = view.named().await
                && names != self.names
            {
                (self.names, is_due) = (names, true);
            }
        }
        let rest = self.survey_took.saturating_mul(SURVEY_REST);
        if !is_due || !is_over(self.surveyed, rest) {
            if is_due {
                // What Redis named is still news.
                self.names.clear();
            }
            return Ok(());
        }
        let begun = Stopwatch::start();
        let surveyed = view.survey(progress).await;
        (self.survey_took, self.surveyed) = (begun.elapsed(), Some(Stopwatch::start()));
        surveyed
    }

    /// The branches that may have something to be delivered, may be tried, and are not under way; those first that
    /// have waited longest for their turn. Of lives of one name the oldest alone.
    async fn due(
        &mut self,
        view: &SinkView,
        progress: &Progress,
        retries: &HashMap<BranchUid, Retry>,
        under_way: &HashSet<BranchUid>,
    ) -> Vec<Followed> {
        // Without Redis nothing is ahead until the logs are looked into.
        let ahead = view.ahead(progress).await.unwrap_or_default();
        let mut ahead: HashSet<BranchUid> = ahead.into_iter().collect();
        ahead.extend(self.probes(progress));
        let mut last = None;
        let mut due = Vec::new();
        for of in &progress.followed {
            let is_oldest = last != Some(&of.name);
            last = Some(&of.name);
            let may_be = match retries.get(&of.uid) {
                Some(retry) => retry.is_due(),
                None => ahead.contains(&of.uid),
            };
            if is_oldest && may_be && !under_way.contains(&of.uid) {
                due.push(of.clone());
            }
        }
        due.sort_by_key(|of| self.turns.get(&of.uid).copied().unwrap_or(0));
        if self.turns.len() > 2 * progress.followed.len().max(BRANCHES) {
            self.turns.clear();
        }
        self.turn += 1;
        self.turns.extend(due.iter().take(BRANCHES).map(|of| (of.uid, self.turn)));
        due
    }

    /// Some branches whose logs are looked into whatever Redis says of them, others each time.
    fn probes(&mut self, progress: &Progress) -> Vec<BranchUid> {
        if !is_over(self.probed, PROBE_EVERY) {
            return Vec::new();
        }
        self.probed = Some(Stopwatch::start());
        let count = progress.followed.len();
        let at = if self.probe_at < count { self.probe_at } else { 0 };
        self.probe_at = at + PROBED;
        progress.followed.iter().skip(at).take(PROBED).map(|of| of.uid).collect()
    }
}
