//! The steps of a round up to the decision: from a view of the branch to the bytes of a log entry.

use std::sync::Arc;

use crate::coord::view::View;
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::Ticket;

use super::build::build;
use super::judge::judge;
use super::prepare::{prepare, readable};
use super::rescue::fail_damaged;
use super::situation::Sources;
use crate::commit::context::{BATCH_MAX, BranchContext};
use crate::commit::log::entry::LogEntry;
use crate::commit::log::format::Encoded;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::op::queued::QueuedOp;

/// A batch that is ready to be decided.
#[derive(Debug)]
pub struct Ready {
    /// The head that it stands on.
    pub(super) head: Head,
    /// Its log entry.
    pub(super) encoded: Encoded,
    /// What kinds of ops it has.
    pub(super) kinds: Vec<&'static str>,
    /// Ops that were there to be decided.
    pub(super) found: u64,
    /// Bytes that were written for it and are not used.
    pub(super) wasted: u64,
}

impl Ready {
    /// How many ops it has.
    pub fn ops(&self) -> u64 {
        self.encoded.entry.len()
    }

    /// The ticket of its last op.
    pub fn last(&self) -> Ticket {
        self.encoded.entry.last()
    }
}

/// What kinds of ops these are.
pub(super) fn kinds(ops: &[QueuedOp]) -> Vec<&'static str> {
    ops.iter().map(QueuedOp::kind).collect()
}

/// What came of getting a batch ready.
pub(super) enum Begun {
    Ready(Box<Ready>),
    /// The branch stands elsewhere, and Redis is up to the log by now.
    Overtaken,
    /// Somebody has decided this entry in its place.
    Decided(Arc<LogEntry>),
}

impl BranchContext {
    /// Gets the batch at the front of the queue ready. `head` is the head that an earlier round of this
    /// process left, if there was one.
    pub(super) async fn begin(&self, view: View, head: Option<Box<Head>>) -> Result<Begun> {
        self.faults.pass("view").await?;
        let head = match head.filter(|head| head.is_shown_by(&view.head)) {
            Some(head) => *head,
            None => Head::load(&self.lake, self.uid, &view.head).await?,
        };
        if self.mend(&view).await? {
            return Ok(Begun::Overtaken);
        }
        let ops = readable(&view.elements)?;
        let kinds = kinds(&ops);
        // A merge was worked out against a head: where there is none, Redis has fallen back.
        if head.commit.is_none()
            && ops.iter().any(QueuedOp::is_merge)
            && let Some(entry) = head.successor(&self.lake).await?
        {
            return Ok(Begun::Decided(entry));
        }
        self.faults.pass("prepare").await?;
        let (entry, wasted) = match self.entry_in_spite_of_damage(&head, ops, &view).await {
            // One of the ops needs what only a newer program can read. Those in front of it get on:
            // it is left to helpers that know it.
            Err(error) if error.kind() == ErrorKind::NewerVersion && kinds.len() > 1 => {
                tracing::warn!(%error, "going on op by op");
                let first = readable(view.elements.get(..1).unwrap_or_default())?;
                self.entry_in_spite_of_damage(&head, first, &view).await?
            }
            // What was read is gone when somebody else was faster.
            Err(error) if error.is_retryable() && self.has_moved(&view).await? => {
                tracing::debug!(%error, "overtaken while preparing a batch");
                return Ok(Begun::Overtaken);
            }
            built => built?,
        };
        let found = view.depth.min(BATCH_MAX as u64);
        self.ready(head, (entry, wasted), kinds, found).map(|ready| Begun::Ready(Box::new(ready)))
    }

    /// A batch whose entry is built, and what of it came to nothing, once it is seen to break no
    /// invariant.
    pub(super) fn ready(
        &self,
        head: Head,
        (entry, wasted): (LogEntry, u64),
        kinds: Vec<&'static str>,
        found: u64,
    ) -> Result<Ready> {
        self.inspect_own(&head, &entry)?;
        Ok(Ready { head, encoded: Encoded::of(entry)?, kinds, found, wasted })
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
        ops: Vec<QueuedOp>,
        view: &View,
    ) -> Result<(LogEntry, u64)> {
        let count = ops.len();
        match self.entry(&self.lake, head, ops, view, None).await {
            // The same again would end the same way, and the branch would stand still for ever.
            Err(error) if error.is_permanent() => {
                tracing::error!(%error, uid = %self.uid, "something that the batch needs is damaged");
                let again = readable(view.elements.get(..count).unwrap_or_default())?;
                self.entry(&self.lake, head, again, view, Some(error.to_string())).await
            }
            built => built,
        }
    }

    /// The log entry for a batch, and what of it came to nothing. With `damage`, which the first
    /// try has met, ops whose runs cannot be read fail, and nothing is folded.
    pub(super) async fn entry(
        &self,
        lake: &Lake,
        head: &Head,
        ops: Vec<QueuedOp>,
        view: &View,
        damage: Option<String>,
    ) -> Result<(LogEntry, u64)> {
        let sources = Sources { redis: &self.redis, lake };
        let mut situation = prepare(sources, head, ops, &view.areas).await?;
        if let Some(damage) = &damage {
            fail_damaged(lake, head, &mut situation, damage).await?;
        }
        let judgement = judge(lake, head, &mut situation, damage.is_some()).await?;
        let wasted = judgement.wasted;
        self.faults.pass("write").await?;
        let folds = damage.is_none();
        let entry = build(lake.tree(), head, situation, judgement, folds).await?;
        Ok((entry, wasted))
    }

    /// Whether Redis shows another state of the log than `view`.
    async fn has_moved(&self, view: &View) -> Result<bool> {
        Ok(self.look(0).await?.given().is_some_and(|now| now.head.done != view.head.done))
    }
}
