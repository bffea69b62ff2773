//! What other processes do on the branch, as far as this one has to know: they are never waited for
//! longer than must be.
//!
//! Ops of this process are told to its inbox. For ops that others had queued, and where outcomes were
//! missed, as programs that know no inboxes publish, the stream of all outcomes is followed for a while.
//! Neither is relied upon: each wait has an end, and then the branch is looked at.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::clock::{Deadline, Stopwatch};
use crate::coord::inbox::{Heard, Letter};
use crate::coord::outcomes::{StreamRecord, Tail};
use crate::coord::view::{View, Wish};
use crate::model::error::Result;
use crate::model::ids::Ticket;

use super::reconcile::tell_outcome;
use crate::commit::accept::shared::Shared;
use crate::commit::context::BATCH_MAX;
use crate::commit::counters::add;

/// A little longer than the turn lasts, so that it has expired when we look.
const GRACE: Duration = Duration::from_millis(20);

/// For each op in front of the first one waited for, so that not all who wait look at once: who is in
/// front first, and with a batch decided or a turn taken up whoever is behind needs not look.
const GRACE_PER_OP: Duration = Duration::from_micros(250);

/// After each look that found others at work, the next is so much later, up to a second.
const GRACE_PER_LOOK: Duration = Duration::from_millis(250);
const LOOKS_MAX: u32 = 4;

/// Of a queue that is longer than this, who is behind waits no longer.
const POSITION_MAX: u64 = 8 * BATCH_MAX as u64;

/// How long the stream is followed after there was reason to.
const FOLLOW: Duration = Duration::from_secs(20);

/// Looks in a row that find outcomes which were not told are a reason.
const MISSED_MAX: u32 = 2;

/// Letters that may be in an inbox, by the scripts.
const LETTERS_MAX: usize = 16;

/// What was told before a look comes on another connection; it gets so long to arrive.
const LATE: Duration = Duration::from_millis(5);

/// What a blocking read came to.
enum Came {
    Outcomes(Vec<StreamRecord>),
    Inbox(Heard),
}

type Read = BoxFuture<'static, (Option<Tail>, Result<Came>)>;

/// What was heard is to who waits.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Nothing came in time.
    None,
    /// Outcomes of ops, told to those who wait for them.
    Some,
    /// A reason to look.
    Look,
}

/// The others, as the helper of one branch waits for them.
pub(super) struct Others {
    shared: Arc<Shared>,
    tail: Option<Tail>,
    /// A blocking read under way, and whether it is of the stream. It outlives the wait that began it:
    /// an abandoned read would leave its connection blocked in the server.
    read: Option<Read>,
    reads_stream: bool,
    /// Since when nothing has moved although others hold the turn.
    still_since: Option<Stopwatch>,
    /// How far the branch was when it was last waited for.
    done: u64,
    /// Looks in a row that found others at work and nothing new for those who wait here.
    looks: u32,
    /// Looks in a row that found outcomes which were not told.
    missed: u32,
    /// For how long the stream is followed.
    follow: Option<Deadline>,
}

impl Others {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            tail: None,
            read: None,
            reads_stream: false,
            still_since: None,
            done: 0,
            looks: 0,
            missed: 0,
            follow: None,
        }
    }

    /// Gives up what is read: it may hang on a server that nothing comes to any more.
    pub(super) fn hang_up(&mut self) {
        self.read = None;
        self.tail = None;
    }

    /// The branch moves on.
    pub(super) fn moved(&mut self) {
        self.still_since = None;
        self.looks = 0;
    }

    /// Whether nothing has moved since somebody else was waited for.
    pub(super) fn are_still(&self) -> bool {
        self.still_since.is_some()
    }

    /// How much the turn is wanted: whoever has held it for too long without progress is not asked.
    pub(super) fn wish(&self) -> Wish {
        let patience = self.shared.options.patience;
        match self.still_since.is_some_and(|since| since.elapsed() > patience) {
            true => Wish::Insist,
            false => Wish::TakeIfFree,
        }
    }

    /// Waits while others run rounds, until there is reason to look again.
    pub(super) async fn wait(&mut self, view: &View) -> Result<()> {
        if std::mem::replace(&mut self.done, view.head.done) != view.head.done {
            self.still_since = None;
        }
        let follows = self.follows();
        let patience = self.patience(view, follows);
        let mut deadline = Deadline::after(patience);
        self.looks = (self.looks + 1).min(LOOKS_MAX);
        loop {
            self.begin_read(follows, deadline.left()).await;
            // In order, so that a run is repeated from its seed: what others have published goes
            // first. A read that was just begun is not ready, so the wake-up behind it is seen in
            // every turn of the loop; and only what is told puts the deadline off.
            tokio::select! {
                biased;
                came = next(&mut self.read) => {
                    let is_over = deadline.left().is_zero();
                    match self.take_in(came).await? {
                        // The read was begun before this wait.
                        News::None if !is_over => {}
                        News::None | News::Look => return Ok(()),
                        News::Some => {
                            self.moved();
                            deadline = Deadline::after(patience);
                            let state = self.shared.state();
                            let is_next = follows && state.waiters.owns_front();
                            if state.waiters.is_empty() || is_next || state.closing {
                                return Ok(());
                            }
                        }
                    }
                }
                () = self.shared.wake.notified() => {
                    let (has_turn, closing) = {
                        let state = self.shared.state();
                        (state.has_turn(), state.closing)
                    };
                    if has_turn || closing || self.follows() != follows {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(deadline.left()) => {
                    add(&self.shared.context.counters.woken, 1);
                    return Ok(());
                }
            }
        }
    }

    /// Waits for others, who come back soon, to call upon this process, which has the turn until
    /// `deadline`. Returns whether there is reason to look.
    pub(super) async fn be_called(&mut self, deadline: Deadline) -> Result<bool> {
        while !deadline.left().is_zero() {
            self.begin_read(false, deadline.left()).await;
            tokio::select! {
                biased;
                came = next(&mut self.read) => match self.take_in(came).await? {
                    News::Look => return Ok(true),
                    News::Some | News::None => {}
                },
                () = self.shared.wake.notified() => return Ok(false),
                () = tokio::time::sleep(deadline.left()) => {}
            }
        }
        Ok(false)
    }

    /// Takes in what was told before somebody looked, and saw that ops of this process are decided. Where
    /// that was not told, neither may the next be.
    pub(super) async fn catch_up(&mut self, done: u64) -> Result<()> {
        let overdue = |shared: &Shared| shared.state().waiters.overdue(done).len();
        if overdue(&self.shared) == 0 || self.follows() {
            return Ok(());
        }
        for _ in 0..LETTERS_MAX {
            self.begin_read(false, LATE).await;
            let came = tokio::time::timeout(LATE, next(&mut self.read)).await;
            let Ok(came) = came else { break };
            if self.take_in(came).await? == News::None || overdue(&self.shared) == 0 {
                break;
            }
        }
        let missed = overdue(&self.shared);
        if missed > 0 {
            add(&self.shared.context.counters.missed, missed as u64);
            self.missed += 1;
            if self.missed >= MISSED_MAX {
                self.follow_stream();
            }
        }
        Ok(())
    }

    fn follow_stream(&mut self) {
        self.missed = 0;
        self.follow = Some(Deadline::after(FOLLOW));
    }

    /// Whether the stream is followed: for ops whose outcomes may be told to others, and for a while
    /// after.
    fn follows(&mut self) -> bool {
        if self.shared.state().waiters.any_of_others() {
            self.follow_stream();
        }
        self.follow.take_if(|until| until.left().is_zero());
        self.follow.is_some()
    }

    /// How long to wait: until the turn has run out, and longer where others are to look first.
    fn patience(&mut self, view: &View, follows: bool) -> Duration {
        let still = self.still_since.get_or_insert_with(Stopwatch::start).elapsed();
        // Where Redis' clock was set back, or a replica whose clock is behind took over, the turn
        // seems to last for as long.
        let insist_in = self.shared.options.patience.saturating_sub(still);
        let patience = Duration::from_millis(view.turn_left_ms).min(insist_in) + GRACE;
        let first = self.shared.state().waiters.first().map_or(0, |ticket| ticket.0);
        let before = first.saturating_sub(view.head.done + 1).min(POSITION_MAX);
        match follows || before == 0 {
            true => patience,
            false => patience + GRACE_PER_OP * before as u32 + GRACE_PER_LOOK * self.looks,
        }
    }

    /// Begins to read what is told, unless that is under way.
    async fn begin_read(&mut self, stream: bool, patience: Duration) {
        if self.reads_stream != stream {
            self.hang_up();
            self.reads_stream = stream;
        }
        if self.read.is_some() {
            return;
        }
        let tail = match self.tail.take() {
            Some(tail) => Ok(tail),
            None => self.shared.context.redis.tail().await,
        };
        let mut tail = match tail {
            Ok(tail) => tail,
            // No connection, or no more of them allowed: looking again does as well.
            Err(error) => return tracing::debug!(%error, "waiting without a tail"),
        };
        let after = Ticket(self.shared.state().waiters.seen());
        self.read = Some(Box::pin(async move {
            let came = match stream {
                true => tail.read(after, patience).await.map(Came::Outcomes),
                false => tail.letter(patience).await.map(Came::Inbox),
            };
            (came.is_ok().then_some(tail), came)
        }));
    }

    /// Tells those who wait what a read has brought.
    async fn take_in(&mut self, came: (Option<Tail>, Result<Came>)) -> Result<News> {
        self.read = None;
        self.tail = came.0;
        add(&self.shared.context.counters.woken, 1);
        match came.1? {
            Came::Outcomes(outcomes) if outcomes.is_empty() => Ok(News::None),
            Came::Outcomes(outcomes) => {
                let of_others = hear(&self.shared, outcomes).await?;
                add(&self.shared.context.counters.overheard, of_others);
                Ok(News::Some)
            }
            Came::Inbox(Heard::Nothing) => Ok(News::None),
            Came::Inbox(Heard::Refused(error)) => {
                tracing::debug!(%error, "following the stream, as the inbox cannot be read");
                self.follow_stream();
                Ok(News::Look)
            }
            Came::Inbox(Heard::Letter(Letter::Look)) => Ok(News::Look),
            Came::Inbox(Heard::Letter(Letter::Outcomes { done, outcomes })) => {
                self.missed = 0;
                hear(&self.shared, outcomes).await?;
                let mut state = self.shared.state();
                state.waiters.saw(done);
                // One who is decided by now and was not told: a letter went astray.
                Ok(if state.waiters.overdue(done).is_empty() { News::Some } else { News::Look })
            }
        }
    }
}

/// What the read under way comes to; nothing ever, without one.
async fn next(read: &mut Option<Read>) -> (Option<Tail>, Result<Came>) {
    match read {
        Some(read) => read.await,
        None => std::future::pending().await,
    }
}

/// Tells those who wait what others have published. Returns how many outcomes nobody here waits for.
async fn hear(shared: &Shared, records: Vec<StreamRecord>) -> Result<u64> {
    let mut of_others = 0;
    for each in records {
        let waits = shared.state().waiters.waits_for(each.op_id);
        of_others += u64::from(!waits);
        if waits {
            tell_outcome(shared, each.op_id, each.ticket, &each.record).await?;
        }
        shared.state().waiters.saw(each.ticket.0);
    }
    Ok(of_others)
}
