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
use crate::model::error::{ErrorKind, Result};
use crate::model::outcome::Details;

use super::build::build;
use super::judge::judge;
use super::prepare::{prepare, readable};
use super::rescue::fail_damaged;
use super::situation::Sources;
use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;
use crate::commit::op::queued::QueuedOp;

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
    },
    /// Somebody else has decided or published, and Redis is up to the log: look again.
    Overtaken,
}

impl BranchContext {
    /// Runs one round on `view`, keeping the turn while it lasts. `head` is the head that an
    /// earlier round of this process left, if there was one.
    pub async fn round(
        &self,
        view: View,
        head: Option<Head>,
        wanted: usize,
    ) -> Result<Answer<RoundEnd>> {
        add(&self.counters.rounds, 1);
        let work = pin!(self.steps(view, head, wanted));
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
        view: View,
        head: Option<Head>,
        wanted: usize,
    ) -> Result<Answer<RoundEnd>> {
        self.faults.pass("view").await?;
        let head = match head.filter(|head| head.is_shown_by(&view.head)) {
            Some(head) => head,
            None => Head::load(&self.lake, self.uid, &view.head).await?,
        };
        if self.mend(&view).await? {
            return Ok(Answer::Given(RoundEnd::Overtaken));
        }
        let ops = readable(&view.elements)?;
        // A merge was worked out against a head: where there is none, Redis has fallen back.
        if head.commit.is_none()
            && ops.iter().any(QueuedOp::is_merge)
            && let Some(entry) = head.successor(&self.lake).await?
        {
            return self.catch_up(entry).await;
        }
        self.faults.pass("prepare").await?;
        let (entry, wasted) = match self.entry_in_spite_of_damage(&head, &ops, &view).await {
            // One of the ops needs what only a newer program can read. Those in front of it get on:
            // it is left to helpers that know it.
            Err(error) if error.kind() == ErrorKind::NewerVersion && ops.len() > 1 => {
                tracing::warn!(%error, "going on op by op");
                self.entry_in_spite_of_damage(&head, ops.get(..1).unwrap_or_default(), &view)
                    .await?
            }
            // What was read is gone when somebody else was faster.
            Err(error) if error.is_retryable() && self.has_moved(&view).await? => {
                tracing::debug!(%error, "overtaken while preparing a batch");
                return Ok(Answer::Given(RoundEnd::Overtaken));
            }
            built => built?,
        };
        self.inspect_own(&head, &entry)?;
        self.faults.pass("decide").await?;
        let (entry, mine) = self.lake.decide(entry).await?;
        self.faults.pass("decided").await?;
        if !mine {
            self.inspect_found(&head, &entry)?;
        }
        self.note_decision(&entry, &ops, mine, wasted)?;
        match mine {
            true => self.publish(entry, wanted).await,
            false => self.catch_up(entry).await,
        }
    }

    /// Gives elements without a readable op id one, so that they do not block those behind them.
    /// Returns whether there were any.
    async fn mend(&self, view: &View) -> Result<bool> {
        let mut any = false;
        for (index, element) in view.elements.iter().enumerate() {
            if QueuedOp::id_of(element).is_none() {
                tracing::error!(uid = %self.uid, index, "a queue element has no readable op id: it will be failed");
                any = true;
                let stand_in = QueuedOp::stand_in(element);
                self.redis.mend(index, element, &stand_in).await?;
            }
        }
        Ok(any)
    }

    /// The log entry for a batch, and what of it came to nothing, whatever of it is damaged.
    async fn entry_in_spite_of_damage(
        &self,
        head: &Head,
        ops: &[QueuedOp],
        view: &View,
    ) -> Result<(LogEntry, u64)> {
        match self.entry(head, ops.to_vec(), view, None).await {
            // The same again would end the same way, and the branch would stand still for ever.
            Err(error) if error.is_permanent() => {
                tracing::error!(%error, uid = %self.uid, "something that the batch needs is damaged");
                self.entry(head, ops.to_vec(), view, Some(error.to_string())).await
            }
            built => built,
        }
    }

    /// The log entry for a batch, and what of it came to nothing. With `damage`, which the first
    /// try has met, ops whose runs cannot be read fail, and nothing is folded.
    async fn entry(
        &self,
        head: &Head,
        ops: Vec<QueuedOp>,
        view: &View,
        damage: Option<String>,
    ) -> Result<(LogEntry, u64)> {
        let sources = Sources { redis: &self.redis, lake: &self.lake };
        let mut situation = prepare(sources, head, ops, &view.areas).await?;
        if let Some(damage) = &damage {
            fail_damaged(&self.lake, head, &mut situation, damage).await?;
        }
        let judgement = judge(&self.lake, head, &mut situation, damage.is_some()).await?;
        let wasted = judgement.wasted;
        self.faults.pass("write").await?;
        let folds = damage.is_none();
        let entry = build(self.lake.tree(), head, situation, judgement, folds).await?;
        Ok((entry, wasted))
    }

    /// Whether Redis shows another state of the log than `view`.
    async fn has_moved(&self, view: &View) -> Result<bool> {
        Ok(self.look(0).await?.given().is_some_and(|now| now.head.done != view.head.done))
    }

    fn note_decision(
        &self,
        entry: &LogEntry,
        ops: &[QueuedOp],
        mine: bool,
        wasted: u64,
    ) -> Result<()> {
        if mine {
            add(&self.counters.bytes_wasted, wasted);
            add(&self.counters.batches, 1);
            add(&self.counters.decided, entry.len());
            measures::batch(entry.len(), entry.levels.len());
            for (index, (asked, decided)) in ops.iter().zip(&entry.ops).enumerate() {
                let record = entry.outcome(index, decided)?;
                let ticket = entry.first.plus(index as u64);
                let outcome = record.outcome(ticket, Details::of(decided.op_id));
                measures::decided(asked.kind(), outcome.name());
            }
        } else {
            add(&self.counters.lost_races, 1);
        }
        Ok(())
    }

    /// Publishes a decided entry.
    pub async fn publish(&self, entry: Arc<LogEntry>, wanted: usize) -> Result<Answer<RoundEnd>> {
        self.faults.pass("publish").await?;
        let batch = entry.publication()?;
        let published = self.redis.publish(&batch, wanted).await?;
        self.faults.pass("published").await?;
        let (next, adopted) = match published {
            Answer::Given(Published::Done { next, adopted }) => (next, adopted),
            other => return Ok(other.map(|_| RoundEnd::Overtaken)),
        };
        if adopted {
            tracing::warn!(uid = %self.uid, first = %entry.first, "Redis had lost data: took the batch from the log");
        }
        let head = Box::new(Head::after(&entry)?);
        Ok(Answer::Given(RoundEnd::Published { entry, next, head }))
    }

    /// Another helper had decided: publishes its entry, in case it did not live to, and every
    /// entry behind it. A Redis that is far behind the log is so brought up in one round, instead
    /// of losing one race for each entry.
    async fn catch_up(&self, entry: Arc<LogEntry>) -> Result<Answer<RoundEnd>> {
        let head = Head::after(&entry)?;
        match self.publish(entry, 0).await? {
            Answer::Given(_) => Ok(self.follow(head).await?.map(|_| RoundEnd::Overtaken)),
            none => Ok(none),
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
