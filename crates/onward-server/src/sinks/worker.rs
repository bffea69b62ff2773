//! One sink in this process: waits until it may deliver it, then goes on where the last one stopped.
//!
//! The lease keeps two processes from doing the same; that nothing is lost where it fails to is seen to by the
//! record of the progress, which is replaced only as it was read: whoever takes over writes it first, and what a
//! process writes that slept through its lease is refused.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use metrics::counter;
use onward::internals::clock::{self, Stopwatch, jittered, now_ms};
use onward::internals::coord::lease::Lease;
use onward::internals::model::ids::BranchUid;
use onward::internals::model::life::RepoLife;
use onward::internals::repo::sinks::progress::ProgressRecord;
use onward::internals::repo::sinks::{Followed, Progress, Sink, SinkView};
use onward::{ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::retry::Retry;
use super::service::{Sinks, State};
use super::turn::{Parts, Turn, TurnEnd};
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

/// Between two looks into the logs themselves, which know more than a Redis that lost something.
const PROBE_EVERY: Duration = Duration::from_secs(5);

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
    /// The sink was given up. Who revives it makes a new worker begin.
    Dead,
}

impl Worker {
    /// Delivers whenever nobody else does, until it is stopped.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            let rest = match self.attend().await {
                Ok(Ended::Lost) => REST,
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
    }

    /// Delivers for as long as this process has the lease, if it gets it.
    async fn attend(&self) -> Result<Ended> {
        let lanes = self.sinks.onward.coordinator().lanes().clone();
        let holder = format!("{:032x}", clock::random_u128());
        let lease = Lease::of_sink(lanes, self.life.name(), &self.sink.id, holder, LEASE);
        if !lease.take().await? {
            return Ok(Ended::Lost);
        }
        let held = self.stop.child_token();
        let keeper = tokio::spawn(keep(lease.clone(), held.clone()));
        let ended = self.own(&held).await;
        keeper.abort();
        lease.leave().await?;
        ended
    }

    /// Delivers, as the one who has the lease.
    async fn own(&self, held: &CancellationToken) -> Result<Ended> {
        let (onward, repo) = (&self.sinks.onward, self.life.name());
        let record = onward.repo(repo.as_str()).progress_record(&self.life, &self.sink.id);
        let Some(mut owned) = Owned::take_over(record).await? else { return Ok(Ended::Lost) };
        self.note(&owned.progress);
        if owned.progress.dead.is_some() {
            return Ok(Ended::Dead);
        }
        let view = SinkView::of(onward, &self.life, &self.sink)?;
        let sender = match self.sinks.sender(repo, &self.sink).await {
            Ok(sender) => sender,
            Err(error) => {
                owned.progress.note_trouble(&error.for_callers());
                owned.save(true).await?;
                return Err(error);
            }
        };
        let parts = Parts {
            repo: repo.as_str(),
            sink: &self.sink,
            view: &view,
            sender: &sender,
            stop: held,
        };
        let mut looks = Looks::default();
        let mut retries = HashMap::new();
        while !held.is_cancelled() {
            let pause = looks.pause(&owned.progress);
            if let Err(error) = looks.survey(&view, &mut owned.progress).await {
                if error.kind() == ErrorKind::InvalidInput {
                    owned.progress.give_up(now_ms(), &error.for_callers());
                } else {
                    tracing::info!(%error, %repo, sink = self.sink.id, "branches of a sink cannot be looked up");
                }
            }
            let due = looks.due(&view, &owned.progress, &retries).await;
            let is_idle = due.is_empty();
            let turns = parts.take(due).await;
            let is_any_delivered = turns.iter().any(|turn| turn.delivered > 0);
            if is_any_delivered {
                onward.coordinator().faults().pass("sink-delivered").await?;
            }
            for turn in turns {
                self.note_turn(turn, &mut owned, &mut retries);
            }
            let is_dead = owned.progress.dead.is_some();
            self.note(&owned.progress);
            if !owned.save(is_dead || held.is_cancelled()).await? {
                return Ok(Ended::Lost);
            }
            if is_any_delivered {
                onward.coordinator().faults().pass("sink-noted").await?;
            }
            if is_dead {
                let reason = owned.progress.dead.as_ref().map(|dead| dead.reason.as_str());
                tracing::warn!(%repo, sink = self.sink.id, reason, "a sink was given up");
                return Ok(Ended::Dead);
            }
            if is_idle {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = held.cancelled() => {}
                }
            }
        }
        owned.save(true).await?;
        Ok(Ended::Lost)
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
                progress.note_trouble(&reason);
                let since = *at.failing_since_ms.get_or_insert_with(now_ms);
                let for_ms = u64::try_from(now_ms().saturating_sub(since)).unwrap_or(0);
                if for_ms >= self.sink.give_up_ms {
                    let what =
                        format!("the next event of branch '{}' was not taken: {reason}", at.name);
                    progress.give_up(now_ms(), &what);
                }
                retries.insert(at.uid, Retry::after(retries.get(&at.uid), retry_after));
            }
            TurnEnd::Unreadable(error) => {
                let (repo, branch) = (self.life.name(), &at.name);
                tracing::warn!(%error, %repo, %branch, sink = self.sink.id, "what comes next cannot be read");
                progress.note_trouble(&error.for_callers());
                retries.insert(at.uid, Retry::after(retries.get(&at.uid), None));
            }
        }
        if let Some(followed) = progress.followed.iter_mut().find(|of| of.uid == before.uid) {
            *followed = at;
        }
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
    probed: Option<Stopwatch>,
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
        if is_due {
            self.surveyed = Some(Stopwatch::start());
            view.survey(progress).await?;
        }
        Ok(())
    }

    /// The branches that may have something to be delivered, and may be tried. Of lives of one name the oldest
    /// alone.
    async fn due(
        &mut self,
        view: &SinkView,
        progress: &Progress,
        retries: &HashMap<BranchUid, Retry>,
    ) -> Vec<Followed> {
        let ahead: Option<HashSet<BranchUid>> = match is_over(self.probed, PROBE_EVERY) {
            true => {
                self.probed = Some(Stopwatch::start());
                None
            }
            // Without Redis nothing is ahead until the logs are looked into.
            false => Some(view.ahead(progress).await.unwrap_or_default().into_iter().collect()),
        };
        let mut last = None;
        let mut due = Vec::new();
        for of in &progress.followed {
            let is_oldest = last != Some(&of.name);
            last = Some(&of.name);
            let may_be = match retries.get(&of.uid) {
                Some(retry) => retry.is_due(),
                None => ahead.as_ref().is_none_or(|ahead| ahead.contains(&of.uid)),
            };
            if is_oldest && may_be {
                due.push(of.clone());
            }
        }
        due
    }
}
