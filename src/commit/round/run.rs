//! One round: view, prepare, judge, build, decide, publish. Read it from the top: each step stands
//! behind the one that takes it.
//!
//! A round that does not decide or publish found that somebody else's did, so the branch moved on
//! all the same. Nothing here waits for another process.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{Either, MaybeDone, maybe_done, select};

use crate::coord::publish::{AfterBatch, Published};
use crate::coord::view::{View, Wish};
use crate::coord::{Answer, BranchState, HeadView};
use crate::measures;
use crate::model::error::Result;
use crate::model::ids::Ticket;
use crate::model::outcome::Details;

use super::deciding::{Deciding, beside, end_of};
use super::ready::{Begun, Ready};
use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;

/// How often a long round asks to keep the turn.
const EXTEND_EVERY: Duration = Duration::from_millis(100);

/// How often it may: past this the turn goes to whoever waits, in case this process hangs.
const EXTENSIONS_MAX: u32 = 600;

/// What a round came to.
#[derive(Debug)]
pub enum RoundEnd {
    /// A batch was decided and published by this round.
    Published {
        /// The decided batch.
        entry: Arc<LogEntry>,
        /// The branch right after it.
        next: View,
        /// The head right after it.
        head: Box<Head>,
        /// The round behind it, where that was begun meanwhile.
        ahead: Option<Box<Begin>>,
        /// Whether it ended early: heavy ops, or one behind which another head is needed.
        is_cut: bool,
        /// Whether the turn was kept though no op is left.
        kept: bool,
    },
    /// Somebody else has decided or published, and Redis is up to the log: look again.
    Overtaken,
}

/// Where a round begins.
#[derive(Debug)]
pub enum Begin {
    /// With a view of the branch, and the head that an earlier round of this process left, if there was
    /// one.
    View(View, Option<Box<Head>>),
    /// With a batch that was got ready while the one before it was decided.
    Ready(Box<Ready>),
    /// With one that is being decided since the one before it was.
    Deciding(Box<Deciding>),
}

/// How a process wants its rounds to follow each other.
pub trait Pace: Sync {
    /// Waits, while a batch up to ticket `last` is decided, until a look at what is behind it is worth a
    /// call.
    fn behind(&self, last: Ticket) -> impl Future<Output = ()> + Send;

    /// Whether a batch of so many ops is to be decided as soon as it can be: once `before`, which is decided,
    /// is published. Those who are told of that wait for it then.
    fn is_enough(&self, ops: u64, before: &LogEntry) -> bool;
}

/// One round after the other.
#[derive(Debug, Clone, Copy)]
pub struct OneByOne;

impl Pace for OneByOne {
    fn behind(&self, _: Ticket) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    fn is_enough(&self, _: u64, _: &LogEntry) -> bool {
        false
    }
}

/// What there is behind a batch that is decided.
enum Behind<'a, F: Future> {
    Nothing,
    /// It was looked at, and is being prepared.
    Coming(Pin<&'a mut MaybeDone<F>>),
    Ready(Box<Ready>),
    Deciding(Box<Deciding>),
}

/// A batch that this process has published, and the branch right after it.
struct Next {
    entry: Arc<LogEntry>,
    view: View,
    kept: bool,
}

impl Begin {
    /// The ticket of the last op that it may decide.
    pub fn last(&self) -> Ticket {
        match self {
            Self::View(view, _) => Ticket(view.head.done + view.elements.len() as u64),
            Self::Ready(ready) => ready.last(),
            Self::Deciding(deciding) => deciding.ready.last(),
        }
    }
}

impl BranchContext {
    /// Runs one round, keeping the turn while it lasts. What comes behind it is on its way meanwhile, at
    /// the given pace.
    pub async fn round(
        &self,
        begin: Begin,
        after: impl Into<AfterBatch>,
        pace: &impl Pace,
    ) -> Result<Answer<RoundEnd>> {
        add(&self.counters.rounds, 1);
        let work = pin!(self.steps(begin, after.into(), pace));
        // Beside the work, not between its steps: each may wait for a connection that the other is
        // about to open.
        match select(work, pin!(self.keep_turn())).await {
            Either::Left((end, _)) => end,
            Either::Right(((), work)) => work.await,
        }
    }

    /// Extends the turn again and again, as often as it may be.
    async fn keep_turn(&self) {
        for _ in 0..EXTENSIONS_MAX {
            tokio::time::sleep(EXTEND_EVERY).await;
            if let Err(error) = self.redis.extend().await {
                tracing::debug!(%error, "could not keep the turn");
            }
        }
    }

    async fn steps(
        &self,
        begin: Begin,
        after: AfterBatch,
        pace: &impl Pace,
    ) -> Result<Answer<RoundEnd>> {
        let Deciding { ready, decision } = match begin {
            Begin::Deciding(deciding) => *deciding,
            Begin::Ready(ready) => Deciding::of(self, ready),
            Begin::View(view, head) => match self.begin(view, head).await? {
                Begun::Ready(ready) => Deciding::of(self, ready),
                Begun::Overtaken => return Ok(Answer::Given(RoundEnd::Overtaken)),
                Begun::Decided(entry) => return self.catch_up(entry).await,
            },
        };
        let looked = AtomicBool::new(false);
        let mut ahead = pin!(maybe_done(self.prepare_ahead(&ready, pace, &looked)));
        let (entry, mine) = beside(ahead.as_mut(), end_of(decision)).await?;
        let next = ahead.as_mut().take_output();
        let is_coming = mine && next.is_none() && looked.load(Ordering::Relaxed);
        if !is_coming {
            // Left as it is it could hold what the next call waits for: a connection being opened.
            ahead.set(MaybeDone::Gone);
        }
        self.faults.pass("decided").await?;
        if !mine {
            self.inspect_found(&ready.head, &entry)?;
        }
        self.note_decision(&entry, &ready, mine)?;
        if !mine {
            // What was prepared behind this batch stands on what did not come to be.
            return self.catch_up(entry).await;
        }
        let behind = match next.flatten() {
            // This batch is decided, so that the next may be.
            Some(next) if pace.is_enough(next.ops(), &entry) => {
                Behind::Deciding(Box::new(Deciding::of(self, next)))
            }
            Some(next) => Behind::Ready(next),
            None if is_coming => Behind::Coming(ahead),
            None => Behind::Nothing,
        };
        let is_cut = ready.ops() < ready.found;
        let (published, ahead) = self.publish_before(entry, after, behind).await?;
        let ahead = ahead.map(Box::new);
        Ok(match published {
            Answer::Given(Some(Next { entry, view, kept })) => {
                let head = Box::new(Head::after(&entry)?);
                Answer::Given(RoundEnd::Published { entry, next: view, head, ahead, is_cut, kept })
            }
            other => other.map(|_| RoundEnd::Overtaken),
        })
    }

    /// Gets the batch behind `ready` ready as soon as that is worth it. Notes when it has `looked`.
    async fn prepare_ahead(
        &self,
        ready: &Ready,
        pace: &impl Pace,
        looked: &AtomicBool,
    ) -> Option<Box<Ready>> {
        pace.behind(ready.last()).await;
        // Boxed: what seldom happens should not make every round's future large.
        let ahead = Box::pin(self.ahead_of(ready, looked)).await;
        ahead.unwrap_or_else(|error| {
            // The next round does without, and meets what was wrong itself.
            tracing::debug!(%error, "the next batch could not be prepared ahead");
            None
        })
    }

    /// Publishes a decided entry, while the batch behind it is on its way. Returns that with it.
    async fn publish_before<F: Future<Output = Option<Box<Ready>>>>(
        &self,
        entry: Arc<LogEntry>,
        after: AfterBatch,
        behind: Behind<'_, F>,
    ) -> Result<(Answer<Option<Next>>, Option<Begin>)> {
        // Of the ops behind this batch those are here that come next. One keeps the turn.
        let one = AfterBatch { wanted: after.wanted.min(1), ..after };
        Ok(match behind {
            Behind::Nothing => (self.publish(entry, after).await?, None),
            Behind::Ready(next) => (self.publish(entry, one).await?, Some(Begin::Ready(next))),
            Behind::Deciding(mut next) => {
                let decision = Pin::new(&mut next.decision);
                let published = beside(decision, self.publish(entry, one)).await?;
                (published, Some(Begin::Deciding(next)))
            }
            Behind::Coming(mut ahead) => {
                let published = beside(ahead.as_mut(), self.publish(entry, after)).await?;
                ahead.as_mut().await;
                (published, ahead.take_output().flatten().map(Begin::Ready))
            }
        })
    }

    fn note_decision(&self, entry: &LogEntry, ready: &Ready, mine: bool) -> Result<()> {
        if mine {
            add(&self.counters.bytes_wasted, ready.wasted);
            add(&self.counters.batches, 1);
            add(&self.counters.decided, entry.len());
            measures::batch(entry.len(), entry.levels.len());
            for (index, (kind, decided)) in ready.kinds.iter().zip(&entry.ops).enumerate() {
                let record = entry.outcome(index, decided)?;
                let ticket = entry.first.plus(index as u64);
                let outcome = record.outcome(ticket, Details::of(decided.op_id));
                measures::decided(kind, outcome.name());
            }
        } else {
            add(&self.counters.lost_races, 1);
        }
        Ok(())
    }

    /// Publishes a decided entry. `None` where somebody else has.
    async fn publish(
        &self,
        entry: Arc<LogEntry>,
        after: AfterBatch,
    ) -> Result<Answer<Option<Next>>> {
        self.faults.pass("publish").await?;
        let batch = entry.publication()?;
        let published = self.redis.publish(&batch, after).await?;
        self.faults.pass("published").await?;
        let (view, adopted, kept) = match published {
            Answer::Given(Published::Done { next, adopted, kept }) => (next, adopted, kept),
            other => return Ok(other.map(|_| None)),
        };
        if adopted {
            tracing::warn!(uid = %self.uid, first = %entry.first, "Redis had lost data: took the batch from the log");
        }
        Ok(Answer::Given(Some(Next { entry, view, kept })))
    }

    /// Another helper had decided: publishes its entry, in case it did not live to, and every
    /// entry behind it. A Redis that is far behind the log is so brought up in one round, instead
    /// of losing one race for each entry.
    async fn catch_up(&self, entry: Arc<LogEntry>) -> Result<Answer<RoundEnd>> {
        let head = Head::after(&entry)?;
        match self.publish(entry, AfterBatch::default()).await?.given_or_none() {
            Ok(_) => Ok(self.follow(head).await?.map(|_| RoundEnd::Overtaken)),
            Err(none) => Ok(none),
        }
    }

    /// Brings Redis up to the log, entry by entry. Returns how many entries it was behind.
    pub async fn follow(&self, mut head: Head) -> Result<Answer<u64>> {
        let mut behind = 0;
        while let Some(entry) = head.successor(&self.lake).await? {
            self.inspect_found(&head, &entry)?;
            head = Head::after(&entry)?;
            behind += 1;
            match self.publish(entry, AfterBatch::default()).await? {
                Answer::Given(_) => add(&self.counters.adopted, 1),
                none => return Ok(none.map(|_| behind)),
            }
        }
        Ok(Answer::Given(behind))
    }

    /// Brings Redis up to the log from the head that it shows. Returns how many entries it was
    /// behind.
    pub async fn follow_from(&self, shown: &HeadView) -> Result<Answer<u64>> {
        self.follow(Head::load(&self.lake, self.uid, shown).await?).await
    }

    /// What Redis has of the branch, with the first `wanted` ops of its queue.
    pub async fn look(&self, wanted: usize) -> Result<Answer<View>> {
        self.redis.view(Wish::Look, wanted).await
    }

    /// What Redis has of the branch, without ops. Those who ask at the same time share a call, which begins
    /// after they came.
    pub async fn look_at_head(&self) -> Result<Answer<View>> {
        let context = self.clone();
        let look = move || {
            let context = context.clone();
            async move { context.look(0).await }
        };
        self.looks.ask(look).await
    }

    /// Whether the branch has ended, by Redis.
    pub fn is_deleted(view: &View) -> bool {
        view.head.state == BranchState::Deleted
    }
}
