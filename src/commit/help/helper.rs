//! The helper of one branch in one process: runs rounds when the turn is free, follows the
//! outcomes of others when it is not, and never waits for any of them longer than it must.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Deadline, Stopwatch};
use crate::coord::Answer;
use crate::coord::outcomes::{StreamRecord, Tail};
use crate::coord::view::{View, Wish};
use crate::model::error::{Error, Result};
use crate::model::ids::Ticket;
use crate::objects::refusal;
use futures::future::BoxFuture;

use super::upkeep::Upkeep;
use crate::commit::accept::queue::{Shared, TIMER};
use crate::commit::accept::waiting::Waiters;
use crate::commit::context::{BATCH_MAX, BranchContext};
use crate::commit::counters::add;
use crate::commit::log::entry::{DecidedOp, LogEntry};
use crate::commit::log::head::Head;
use crate::commit::mend::reconcile::{reconcile, tell_outcome};
use crate::commit::mend::restore::restore;
use crate::commit::round::run::RoundEnd;

/// Pauses between failed rounds.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// After so many failures in a row that will not pass by themselves, waiters are told.
const FAILURES_TOLD: u32 = 4;

/// A little longer than the turn lasts, so that it has expired when we look.
const GRACE: Duration = Duration::from_millis(20);

type Read = BoxFuture<'static, (Option<Tail>, Result<Vec<StreamRecord>>)>;

pub(in crate::commit) struct Helper {
    shared: Arc<Shared>,
    head: Option<Head>,
    tail: Option<Tail>,
    /// A blocking read under way. It outlives the wait that began it: an abandoned read would
    /// leave its connection blocked in the server.
    read: Option<Read>,
    /// Lost connections, as of the last reconciliation.
    losses: u64,
    /// Lost connections, lost races and adopted batches of this process, as of the last round.
    doubts: u64,
    /// Since when nothing has moved although others hold the turn.
    still_since: Option<Stopwatch>,
    failures: u32,
    /// Whether the last look missed an op, and Redis was brought up to the log because of it.
    doubted: bool,
    /// Whether the last round found Redis behind the log, and brought it up: views from before
    /// that would only lose the next round as well.
    overtaken: bool,
    upkeep: Upkeep,
}

impl Helper {
    pub(in crate::commit) fn new(shared: Arc<Shared>) -> Self {
        let losses = shared.context.redis.losses();
        Self {
            shared,
            head: None,
            tail: None,
            read: None,
            losses,
            doubts: 0,
            still_since: None,
            failures: 0,
            doubted: false,
            overtaken: false,
            upkeep: Upkeep::default(),
        }
    }

    pub(in crate::commit) async fn run(mut self) {
        while self.has_work().await {
            match self.step().await {
                Ok(()) => {
                    self.failures = 0;
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
            let woken = self.shared.wake.notified();
            {
                let state = self.shared.state();
                if state.closing {
                    return false;
                }
                if !state.waiters.is_empty() || state.has_turn() {
                    return true;
                }
            }
            woken.await;
        }
    }

    async fn failed(&mut self, error: &Error) {
        self.failures += 1;
        self.head = None;
        add(&self.shared.context.counters.failed_rounds, 1);
        self.shared.state().waiters.round_failed();
        tracing::warn!(%error, failures = self.failures, "a round failed; trying again");
        {
            let mut state = self.shared.state();
            state.last_error = Some(error.to_string());
            // An outage passes; a refusal or damage does not, and waiting for it would be unkind.
            let lasts = !error.is_retryable() || refusal(error).is_some();
            if self.failures >= FAILURES_TOLD && lasts {
                state.waiters.tell_stuck(&error.to_string());
            }
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(6)).min(PAUSE_MAX);
        tokio::time::sleep(pause).await;
    }

    async fn step(&mut self) -> Result<()> {
        self.note_doubts();
        let context = self.context();
        let losses = context.redis.losses();
        if losses != self.losses {
            // It may hang on a server that nothing comes to any more.
            self.read = None;
            self.tail = None;
            self.after_loss().await?;
            self.losses = losses;
        }
        let view = match self.view_of_acceptance() {
            Some(view) => {
                if view.turn_is_mine {
                    // Others decided up to here; whoever waits for that must not wait for our
                    // rounds as well.
                    self.settle(&view).await?;
                }
                view
            }
            None => {
                let latest = self.shared.state().waiters.last();
                let Answer::Given(view) = self.look().await? else {
                    return self.after_loss().await;
                };
                self.settle(&view).await?;
                if self.misses_ops(&view, latest)? {
                    return self.after_loss().await;
                }
                view
            }
        };
        if view.turn_is_mine {
            self.still_since = None;
            self.drive(view).await
        } else if view.depth == 0 || BranchContext::is_deleted(&view) {
            Ok(())
        } else {
            self.wait_for_others(&view).await
        }
    }

    /// The view that came with an acceptance, where it says what to do: run a round, or wait for
    /// the holder of the turn. It saves a call.
    fn view_of_acceptance(&mut self) -> Option<View> {
        let mut state = self.shared.state();
        let overtaken = std::mem::take(&mut self.overtaken);
        let view = state.latest.take().filter(|_| !overtaken)?;
        let useful = view.turn_is_mine || (view.turn_left_ms > 0 && self.still_since.is_none());
        (useful && view.head.done >= state.waiters.seen()).then_some(view)
    }

    fn context(&self) -> BranchContext {
        self.shared.context.clone()
    }

    async fn look(&mut self) -> Result<Answer<View>> {
        let out_of_patience =
            self.still_since.is_some_and(|since| since.elapsed() > self.shared.options.patience);
        let wish = if out_of_patience { Wish::Insist } else { Wish::TakeIfFree };
        self.shared.context.redis.view(wish, BATCH_MAX).await
    }

    /// Redis may have lost data: bring it up to the log, then ask after every op.
    async fn after_loss(&mut self) -> Result<()> {
        let context = self.context();
        self.head = None;
        self.shared.state().waiters.doubt();
        match self.shared.context.look(0).await? {
            Answer::Absent | Answer::Ended => {
                restore(&context).await?;
            }
            Answer::Given(view) => {
                context.follow_from(&view.head).await?;
            }
        }
        let all = self.shared.state().waiters.all();
        reconcile(&self.shared, all).await
    }

    /// Asks after ops that the view says should have an outcome by now.
    async fn settle(&mut self, view: &View) -> Result<()> {
        let ask = {
            let mut state = self.shared.state();
            if view.head.done < state.waiters.seen() {
                state.waiters.doubt();
                state.waiters.fell_back(view.head.done);
                state.waiters.all()
            } else if BranchContext::is_deleted(view) {
                state.waiters.all()
            } else {
                state.waiters.overdue(view.head.done)
            }
        };
        reconcile(&self.shared, ask).await?;
        self.shared.state().waiters.saw(view.head.done);
        Ok(())
    }

    /// Notes what the bound on rounds does not know of.
    fn note_doubts(&mut self) {
        let context = &self.shared.context;
        let counters = context.counters.snapshot();
        let doubts = context.redis.losses() + counters.lost_races + counters.adopted;
        if std::mem::replace(&mut self.doubts, doubts) != doubts {
            self.shared.state().waiters.doubt();
        }
    }

    /// Whether an op that was waited for at the time of `view` (tickets up to `latest`) is neither
    /// decided nor queued by it: Redis went back to an earlier state while the connection stayed.
    fn misses_ops(&mut self, view: &View, latest: Option<Ticket>) -> Result<bool> {
        let end = view.head.done + view.depth;
        let misses = self.shared.state().waiters.any_lost(end, latest);
        if misses && std::mem::replace(&mut self.doubted, true) {
            return Err(Error::unavailable(
                "Redis counts an op as queued that is not in its queue",
            ));
        }
        self.doubted = misses;
        Ok(misses)
    }

    /// Runs rounds for as long as the turn stays here.
    async fn drive(&mut self, view: View) -> Result<()> {
        let mut view = view;
        loop {
            self.shared.state().waiters.begin_round();
            let wanted = self.wanted(&view);
            let context = self.context();
            let helped_from = view.head.done;
            let watch = Stopwatch::start();
            let end = context.round(view, self.head.take(), wanted).await?;
            self.note_doubts();
            if !matches!(end, RoundEnd::Published { .. }) {
                self.shared.state().waiters.doubt();
            }
            match end {
                RoundEnd::Published { entry, next, head } => {
                    self.tell(&entry, watch.elapsed())?;
                    self.shared.rate.observe(head.done);
                    tracing::trace!(from = helped_from, ops = entry.len(), "batch published");
                    self.upkeep.after(&context, &self.shared, &head, &entry);
                    self.head = Some(*head);
                    if !next.turn_is_mine {
                        return Ok(());
                    }
                    view = self.with_crowd(next).await?;
                }
                RoundEnd::Overtaken => {
                    self.overtaken = true;
                    return Ok(());
                }
                RoundEnd::Absent => return self.after_loss().await,
            }
        }
    }

    /// The next batch with those who were told of the last one, where they are worth waiting for:
    /// a round for the few that were in the queue already would keep all of them waiting.
    async fn with_crowd(&mut self, next: View) -> Result<View> {
        let ready = next.elements.len();
        let mut waited = false;
        loop {
            let patience = self.shared.state().crowd.patience_before_round(ready);
            if patience.is_zero() {
                break;
            }
            waited = true;
            match patience >= TIMER {
                true => drop(tokio::time::timeout(patience, self.shared.wake.notified()).await),
                false => clock::yield_now().await,
            }
        }
        if !waited {
            return Ok(next);
        }
        let looked = self.look().await?.given();
        let same = |view: &View| view.turn_is_mine && view.head.done == next.head.done;
        Ok(looked.filter(same).unwrap_or(next))
    }

    /// How many ops of the next batch to ask for: none when this process is about to leave.
    fn wanted(&self, view: &View) -> usize {
        let state = self.shared.state();
        let batch_end = Ticket(view.head.done + view.elements.len() as u64);
        let stays = self.shared.options.linger || state.waiters.any_behind(batch_end);
        if state.closing || !stays { 0 } else { BATCH_MAX }
    }

    /// Tells waiters of this process what a batch has decided.
    fn tell(&self, entry: &LogEntry, took: Duration) -> Result<()> {
        let mut state = self.shared.state();
        let waits = |(_, op): &(usize, &DecidedOp)| state.waiters.waits_for(op.op_id);
        let own: Vec<_> = entry.ops.iter().enumerate().filter(waits).collect();
        let count = own.len() as u64;
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

    /// Follows the outcomes that others publish, until there is reason to look again.
    async fn wait_for_others(&mut self, view: &View) -> Result<()> {
        let still = self.still_since.get_or_insert_with(Stopwatch::start).elapsed();
        // Where Redis' clock was set back, or a replica whose clock is behind took over, the turn
        // seems to last for as long.
        let insist_in = self.shared.options.patience.saturating_sub(still);
        let patience = Duration::from_millis(view.turn_left_ms).min(insist_in) + GRACE;
        let mut deadline = Deadline::after(patience);
        loop {
            if self.read.is_none() {
                match self.start_read(patience).await {
                    Ok(read) => self.read = Some(read),
                    // No connection, or no more of them allowed: looking again does as well.
                    Err(error) => tracing::debug!(%error, "waiting without a tail"),
                }
            }
            let read = async {
                match self.read.as_mut() {
                    Some(read) => read.await,
                    None => std::future::pending().await,
                }
            };
            // In order, so that a run is repeated from its seed: what others have published goes
            // first. A read that was just begun is not ready, so the wake-up behind it is seen in
            // every turn of the loop; and only what others publish puts the deadline off.
            tokio::select! {
                biased;
                (tail, records) = read => {
                    self.read = None;
                    self.tail = tail;
                    let records = records?;
                    let progress = !records.is_empty();
                    hear(&self.shared, records).await?;
                    if !progress {
                        return Ok(());
                    }
                    self.still_since = None;
                    deadline = Deadline::after(patience);
                    let state = self.shared.state();
                    if state.waiters.is_empty() || state.waiters.owns_front() || state.closing {
                        return Ok(());
                    }
                }
                () = self.shared.wake.notified() => {
                    let state = self.shared.state();
                    if state.has_turn() || state.closing {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(deadline.left()) => return Ok(()),
            }
        }
    }

    async fn start_read(&mut self, patience: Duration) -> Result<Read> {
        let context = self.context();
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None => context.redis.tail().await?,
        };
        let after = Ticket(self.shared.state().waiters.seen());
        Ok(Box::pin(async move {
            let records = tail.read(after, patience).await;
            (records.is_ok().then_some(tail), records)
        }))
    }
}

/// Tells those who wait what the stream of outcomes says.
async fn hear(shared: &Shared, records: Vec<StreamRecord>) -> Result<()> {
    for each in records {
        let waits = shared.state().waiters.waits_for(each.op_id);
        if waits {
            tell_outcome(shared, each.op_id, each.ticket, &each.record).await?;
        }
        shared.state().waiters.saw(each.ticket.0);
    }
    Ok(())
}
