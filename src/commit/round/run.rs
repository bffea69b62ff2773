//! One round: view, prepare, judge, build, decide, publish. Read it from the top: each step stands
//! behind the one that takes it.
//!
//! A round that does not decide or publish found that somebody else's did, so the branch moved on
//! all the same. Nothing here waits for another process.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use crate::coord::publish::Published;
use crate::coord::view::{View, Wish};
use crate::coord::{Answer, BranchState, HeadView};
use crate::measures;
use crate::model::error::Result;
use crate::model::ids::Ticket;
use crate::model::outcome::Details;

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
        /// The batch behind it, where that was got ready meanwhile.
        ahead: Option<Box<Ready>>,
        /// Whether it ended early: heavy ops, or one behind which another head is needed.
        is_cut: bool,
    },
    /// Somebody else has decided or published, and Redis is up to the log: look again.
    Overtaken,
}

/// Where a round begins.
#[derive(Debug)]
pub enum Begin {
    /// With a view of the branch, and the head that an earlier round of this process left, if there was
    /// one.
    View(View, Option<Head>),
    /// With a batch that was got ready while the one before it was decided.
    Ready(Box<Ready>),
}

/// A batch that this process has published, and the branch right after it.
struct Next {
    entry: Arc<LogEntry>,
    view: View,
    head: Box<Head>,
}

impl Begin {
    /// The ticket of the last op that it may decide.
    pub fn last(&self) -> Ticket {
        match self {
            Self::View(view, _) => Ticket(view.head.done + view.elements.len() as u64),
            Self::Ready(ready) => ready.last(),
        }
    }
}

impl BranchContext {
    /// Runs one round, keeping the turn while it lasts, and gets the next batch ready meanwhile once
    /// `behind`, which is given this one's last ticket, says that there is one.
    pub async fn round<B: Future<Output = ()>>(
        &self,
        begin: Begin,
        wanted: usize,
        behind: impl FnOnce(Ticket) -> B,
    ) -> Result<Answer<RoundEnd>> {
        add(&self.counters.rounds, 1);
        let work = pin!(self.steps(begin, wanted, behind));
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

    async fn steps<B: Future<Output = ()>>(
        &self,
        begin: Begin,
        wanted: usize,
        behind: impl FnOnce(Ticket) -> B,
    ) -> Result<Answer<RoundEnd>> {
        let ready = match begin {
            Begin::Ready(ready) => ready,
            Begin::View(view, head) => match self.begin(view, head).await? {
                Begun::Ready(ready) => ready,
                Begun::Overtaken => return Ok(Answer::Given(RoundEnd::Overtaken)),
                Begun::Decided(entry) => return self.catch_up(entry).await,
            },
        };
        self.faults.pass("decide").await?;
        let ((entry, mine), ahead) = self.decide(&ready, behind(ready.last())).await?;
        self.faults.pass("decided").await?;
        if !mine {
            self.inspect_found(&ready.head, &entry)?;
        }
        self.note_decision(&entry, &ready, mine)?;
        if !mine {
            // What was prepared behind this batch stands on what did not come to be.
            return self.catch_up(entry).await;
        }
        let is_cut = ready.ops() < ready.found;
        // Of the ops behind this batch those are here that come next.
        let wanted = if ahead.is_some() { wanted.min(1) } else { wanted };
        Ok(match self.publish(entry, wanted).await? {
            Answer::Given(Some(Next { entry, view, head })) => {
                Answer::Given(RoundEnd::Published { entry, next: view, head, ahead, is_cut })
            }
            other => other.map(|_| RoundEnd::Overtaken),
        })
    }

    /// Decides a batch. Where that takes its time and there is another one behind it, that is got ready
    /// meanwhile.
    async fn decide(
        &self,
        ready: &Ready,
        behind: impl Future<Output = ()>,
    ) -> Result<((Arc<LogEntry>, bool), Option<Box<Ready>>)> {
        let ahead = pin!(async {
            behind.await;
            // The next round does without, and meets what was wrong itself.
            // Boxed: what seldom happens should not make every round's future large.
            Box::pin(self.ahead_of(ready)).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "the next batch could not be prepared ahead");
                None
            })
        });
        match select(pin!(self.lake.decide(&ready.encoded)), ahead).await {
            Either::Left((decided, _)) => Ok((decided?, None)),
            Either::Right((ahead, deciding)) => Ok((deciding.await?, ahead)),
        }
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
    async fn publish(&self, entry: Arc<LogEntry>, wanted: usize) -> Result<Answer<Option<Next>>> {
        self.faults.pass("publish").await?;
        let batch = entry.publication()?;
        let published = self.redis.publish(&batch, wanted).await?;
        self.faults.pass("published").await?;
        let (view, adopted) = match published {
            Answer::Given(Published::Done { next, adopted }) => (next, adopted),
            other => return Ok(other.map(|_| None)),
        };
        if adopted {
            tracing::warn!(uid = %self.uid, first = %entry.first, "Redis had lost data: took the batch from the log");
        }
        let head = Box::new(Head::after(&entry)?);
        Ok(Answer::Given(Some(Next { entry, view, head })))
    }

    /// Another helper had decided: publishes its entry, in case it did not live to, and every
    /// entry behind it. A Redis that is far behind the log is so brought up in one round, instead
    /// of losing one race for each entry.
    async fn catch_up(&self, entry: Arc<LogEntry>) -> Result<Answer<RoundEnd>> {
        let head = Head::after(&entry)?;
        match self.publish(entry, 0).await?.given_or_none() {
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
            match self.publish(entry, 0).await? {
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

    /// Whether the branch has ended, by Redis.
    pub fn is_deleted(view: &View) -> bool {
        view.head.state == BranchState::Deleted
    }
}
