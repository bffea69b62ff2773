//! The helper of one branch in one process: runs rounds when the turn is free, follows the
//! outcomes of others when it is not, and never waits for any of them longer than it must.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Deadline, Stopwatch};
use crate::coord::Answer;
use crate::coord::publish::AfterBatch;
use crate::coord::view::View;
use crate::model::error::{Error, Result};
use crate::model::ids::Ticket;
use crate::objects::refusal;

use super::doubts::Doubts;
use super::others::Others;
use super::upkeep::Upkeep;
use crate::commit::accept::crowd::Crowd;
use crate::commit::accept::shared::{Shared, TIMER};
use crate::commit::accept::waiting::Waiters;
use crate::commit::context::{BATCH_MAX, BranchContext};
use crate::commit::counters::add;
use crate::commit::log::entry::{DecidedOp, LogEntry};
use crate::commit::log::head::Head;
use crate::commit::round::run::{Begin, Pace, RoundEnd};

/// Pauses between failed rounds.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long the turn is kept where nothing is left to do and others come back: long for who was told of
/// a batch to come with the next op, short for whoever does not know that it may call upon its holder.
const KEEP: Duration = Duration::from_millis(20);

/// Rounds without an op of its own after which a process does not keep the turn any longer.
const KEEP_ROUNDS: u32 = 16;

/// After so many failures in a row that will not pass by themselves, waiters are told.
const FAILURES_TOLD: u32 = 4;

pub(in crate::commit) struct Helper {
    shared: Arc<Shared>,
    head: Option<Box<Head>>,
    others: Others,
    doubts: Doubts,
    failures: u32,
    /// Whether one of them says why all of them came, and will come.
    known_cause: bool,
    /// Whether the last round found Redis behind the log, and brought it up: views from before
    /// that would only lose the next round as well.
    overtaken: bool,
    /// Until when the turn is kept though there was nothing left to do.
    kept: Option<Deadline>,
    /// Rounds in a row that had no op of this process.
    for_others: u32,
    upkeep: Upkeep,
}

impl Helper {
    pub(in crate::commit) fn new(shared: Arc<Shared>) -> Self {
        Self {
            head: None,
            others: Others::new(Arc::clone(&shared)),
            doubts: Doubts::new(Arc::clone(&shared)),
            failures: 0,
            known_cause: false,
            overtaken: false,
            kept: None,
            for_others: KEEP_ROUNDS,
            upkeep: Upkeep::default(),
            shared,
        }
    }

    pub(in crate::commit) async fn run(mut self) {
        while self.has_work().await {
            match self.step().await {
                Ok(()) => {
                    self.failures = 0;
                    self.known_cause = false;
                    let overruns = {
                        let mut state = self.shared.state();
                        state.last_error = None;
                        state.waiters.take_overruns()
                    };
                    overruns.iter().for_each(|overrun| self.shared.context.report(overrun));
                }
                Err(error) => self.failed(&error).await,
            }
        }
        self.leave().await;
        {
            let mut state = self.shared.state();
            state.closed = true;
            // Whoever still waits is told by this that nobody here will answer.
            state.waiters = Waiters::default();
        }
        self.shared.ended.notify_waiters();
    }

    /// Ends in good order: what is under way in the background is finished, and a turn that came
    /// with that is used, so that nobody has to wait for it to run out.
    async fn leave(&mut self) {
        loop {
            self.upkeep.finish().await;
            let view = self.shared.state().latest.take_if(|view| view.turn_is_mine);
            match view {
                None => return,
                Some(view) => {
                    if let Err(error) = self.drive(view).await {
                        tracing::debug!(%error, "the last round failed; others will do it");
                        return;
                    }
                }
            }
        }
    }

    /// Waits until somebody waits, or the turn was granted. `false` at the end.
    async fn has_work(&mut self) -> bool {
        loop {
            {
                let state = self.shared.state();
                if state.closing {
                    return false;
                }
                if !state.waiters.is_empty() || state.has_turn() {
                    return true;
                }
            }
            self.kept.take_if(|until| until.left().is_zero());
            let Some(kept) = self.kept else {
                self.shared.wake.notified().await;
                continue;
            };
            match self.others.be_called(kept).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "nobody can call upon this process");
                    self.kept = None;
                }
            }
        }
    }

    async fn failed(&mut self, error: &Error) {
        self.failures += 1;
        self.head = None;
        add(&self.shared.context.counters.failed_rounds, 1);
        self.shared.state().waiters.round_failed();
        tracing::warn!(%error, failures = self.failures, "a round failed; trying again");
        // An outage passes; a refusal or damage does not, and waiting for it would be unkind.
        let lasts = !error.is_retryable() || error.lasts() || refusal(error).is_some();
        if lasts && self.doubts.is_gone().await {
            return;
        }
        {
            let mut state = self.shared.state();
            // What a call that was broken off half-way leads to is not the reason.
            if lasts || !self.known_cause {
                state.last_error = Some(error.to_string());
            }
            self.known_cause |= lasts;
            if let Some(cause) = state.last_error.clone()
                && self.failures >= FAILURES_TOLD
                && self.known_cause
            {
                state.waiters.tell_stuck(&cause);
            }
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(6)).min(PAUSE_MAX);
        tokio::time::sleep(pause).await;
    }

    async fn step(&mut self) -> Result<()> {
        self.doubts.note();
        if let Some(losses) = self.doubts.new_losses() {
            self.others.hang_up();
            self.after_loss().await?;
            self.doubts.made_up_for(losses);
        }
        let view = match self.view_of_acceptance() {
            Some(view) => {
                if view.turn_is_mine {
                    // Others decided up to here; whoever waits for that must not wait for our
                    // rounds as well.
                    self.others.catch_up(view.head.done).await?;
                    self.doubts.settle(&view).await?;
                }
                view
            }
            None => {
                let latest = self.shared.state().waiters.last();
                let Answer::Given(view) = self.look().await? else {
                    return self.after_loss().await;
                };
                self.others.catch_up(view.head.done).await?;
                self.doubts.settle(&view).await?;
                if self.doubts.misses_ops(&view, latest)? {
                    return self.after_loss().await;
                }
                view
            }
        };
        if view.turn_is_mine {
            self.others.moved();
            self.drive(view).await
        } else if view.depth == 0 || BranchContext::is_deleted(&view) {
            Ok(())
        } else {
            self.others.wait(&view).await
        }
    }

    /// The view that came with an acceptance, where it says what to do: run a round, or wait for
    /// the holder of the turn. It saves a call.
    fn view_of_acceptance(&mut self) -> Option<View> {
        let mut state = self.shared.state();
        let overtaken = std::mem::take(&mut self.overtaken);
        let view = state.latest.take().filter(|_| !overtaken)?;
        let useful = view.turn_is_mine || (view.turn_left_ms > 0 && !self.others.are_still());
        (useful && view.head.done >= state.waiters.seen()).then_some(view)
    }

    fn context(&self) -> BranchContext {
        self.shared.context.clone()
    }

    async fn look(&mut self) -> Result<Answer<View>> {
        self.shared.context.redis.view(self.others.wish(), BATCH_MAX).await
    }

    /// Redis may have lost data, or has: what is known of the head with it.
    async fn after_loss(&mut self) -> Result<()> {
        self.head = None;
        self.doubts.after_loss().await
    }

    /// Runs rounds for as long as the turn stays here.
    async fn drive(&mut self, view: View) -> Result<()> {
        let context = self.context();
        let mut begin = Begin::View(view, self.head.take());
        loop {
            self.shared.state().waiters.begin_round();
            let after = self.after(begin.last());
            let watch = Stopwatch::start();
            let pace = Writers { shared: &self.shared, stays: after.wanted > 0 };
            let end = context.round(begin, after, &pace).await?;
            self.doubts.note();
            if !matches!(end, Answer::Given(RoundEnd::Published { is_cut: false, .. })) {
                self.shared.state().waiters.doubt();
            }
            match end {
                Answer::Given(RoundEnd::Published { entry, next, head, ahead, kept, .. }) => {
                    self.tell(&entry, watch.elapsed())?;
                    self.shared.rate.observe(head.done);
                    tracing::trace!(first = %entry.first, ops = entry.len(), "batch published");
                    self.upkeep.after(&context, &self.shared, &head, &entry);
                    self.head = Some(head);
                    if !next.turn_is_mine {
                        self.kept = kept.then(|| Deadline::after(KEEP));
                        return Ok(());
                    }
                    begin = self.next_round(next, ahead).await?;
                }
                Answer::Given(RoundEnd::Overtaken) => {
                    self.overtaken = true;
                    return Ok(());
                }
                Answer::Absent | Answer::Ended => return self.after_loss().await,
            }
        }
    }

    /// The next round: with the batch that was got ready `ahead`, or by the view that came with the end
    /// of the last one. Those who were told of the last batch are in it where they are worth waiting
    /// for: a round for the few that were in the queue already would keep all of them waiting.
    async fn next_round(&mut self, next: View, ahead: Option<Box<Begin>>) -> Result<Begin> {
        let waits: fn(&Crowd, u64) -> Duration = match ahead {
            Some(_) => Crowd::patience_before_request,
            None => Crowd::patience_before_round,
        };
        let here = match ahead.as_deref() {
            Some(Begin::Deciding(_)) => u64::MAX,
            Some(Begin::Ready(ready)) => ready.ops(),
            _ => next.elements.len() as u64,
        };
        let looked = match self.crowd_came(|crowd| waits(crowd, here)).await {
            false => None,
            true => self.look().await?.given(),
        };
        let looked = looked
            .filter(|view| view.turn_is_mine && view.head.done == next.head.done)
            .filter(|view| view.elements.len() as u64 > here);
        Ok(match (looked, ahead) {
            (Some(view), _) => Begin::View(view, self.head.take()),
            (None, Some(ahead)) => *ahead,
            (None, None) => Begin::View(next, self.head.take()),
        })
    }

    /// Waits for those who were told of the last batch for as long as the next round `waits`. Returns
    /// whether it has waited.
    async fn crowd_came(&mut self, waits: impl Fn(&Crowd) -> Duration) -> bool {
        let mut waited = false;
        loop {
            let patience = waits(&self.shared.state().crowd);
            if patience.is_zero() {
                return waited;
            }
            waited = true;
            match patience >= TIMER {
                true => drop(tokio::time::timeout(patience, self.shared.wake.notified()).await),
                false => clock::yield_now().await,
            }
        }
    }

    /// What to ask for with the end of a round up to ticket `last`: no ops of the next batch when this
    /// process is about to leave, and the turn for a while where all are decided and those who come back
    /// are to find it here, where the head is at hand.
    fn after(&self, last: Ticket) -> AfterBatch {
        let state = self.shared.state();
        let stays = self.shared.options.linger || state.waiters.any_behind(last);
        if state.closing || !stays {
            return AfterBatch::default();
        }
        let keeps = self.shared.options.linger && self.for_others < KEEP_ROUNDS;
        AfterBatch { wanted: BATCH_MAX, keep: if keeps { KEEP } else { Duration::ZERO } }
    }

    /// Tells waiters of this process what a batch has decided.
    fn tell(&mut self, entry: &LogEntry, took: Duration) -> Result<()> {
        let mut state = self.shared.state();
        let waits = |(_, op): &(usize, &DecidedOp)| state.waiters.waits_for(op.op_id);
        let own: Vec<_> = entry.ops.iter().enumerate().filter(waits).collect();
        let count = own.len() as u64;
        self.for_others = if count == 0 { self.for_others.saturating_add(1) } else { 0 };
        // Before the first of them can come back.
        state.crowd.told(count, took);
        for (index, op) in own {
            let record = entry.outcome(index, op)?;
            state.waiters.tell(op.op_id, entry.first.plus(index as u64), record);
        }
        // A view granted with an acceptance may have been overtaken by one that was looked for.
        state.latest.take_if(|latest| latest.head.done < entry.last().0);
        if state.waiters.seen() + 1 >= entry.first.0 {
            state.waiters.saw(entry.last().0);
        }
        add(&self.shared.context.counters.helped, entry.len() - count);
        Ok(())
    }
}

/// The pace of a process whose writers come back when they are told.
struct Writers<'a> {
    shared: &'a Shared,
    /// Whether it goes on with its rounds.
    stays: bool,
}

impl Pace for Writers<'_> {
    /// Not where a batch is decided in no time, nor in a process that is about to leave; and rather when
    /// those who were told last are back than for the first of them.
    async fn behind(&self, last: Ticket) {
        let begun = Stopwatch::start();
        tokio::time::sleep(TIMER).await;
        loop {
            let woken = self.shared.wake.notified();
            let patience = {
                let state = self.shared.state();
                let is_due = self.stays && !state.closing && state.waiters.any_behind(last);
                is_due.then(|| state.crowd.patience_beside_round().saturating_sub(begun.elapsed()))
            };
            match patience {
                None => woken.await,
                Some(Duration::ZERO) => return,
                Some(patience) => drop(tokio::time::timeout(patience, woken).await),
            }
        }
    }

    /// Not where more of this process are about to be told, and come back, than would be in it.
    fn is_enough(&self, ops: u64, before: &LogEntry) -> bool {
        let state = self.shared.state();
        let own = before.ops.iter().filter(|op| state.waiters.waits_for(op.op_id)).count();
        state.crowd.is_enough_beside(ops, own)
    }
}
