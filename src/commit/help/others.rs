//! What other processes do on the branch: their outcomes are heard as they are published, and they
//! are never waited for longer than must be.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::clock::{Deadline, Stopwatch};
use crate::coord::outcomes::{StreamRecord, Tail};
use crate::coord::view::{View, Wish};
use crate::model::error::Result;
use crate::model::ids::Ticket;

use super::reconcile::tell_outcome;
use crate::commit::accept::shared::Shared;

/// A little longer than the turn lasts, so that it has expired when we look.
const GRACE: Duration = Duration::from_millis(20);

type Read = BoxFuture<'static, (Option<Tail>, Result<Vec<StreamRecord>>)>;

/// The others, as the helper of one branch follows them.
pub(super) struct Others {
    shared: Arc<Shared>,
    tail: Option<Tail>,
    /// A blocking read under way. It outlives the wait that began it: an abandoned read would
    /// leave its connection blocked in the server.
    read: Option<Read>,
    /// Since when nothing has moved although others hold the turn.
    still_since: Option<Stopwatch>,
}

impl Others {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tail: None, read: None, still_since: None }
    }

    /// Gives up what is read: it may hang on a server that nothing comes to any more.
    pub(super) fn hang_up(&mut self) {
        self.read = None;
        self.tail = None;
    }

    /// The branch moves on.
    pub(super) fn moved(&mut self) {
        self.still_since = None;
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

    /// Follows the outcomes that others publish, until there is reason to look again.
    pub(super) async fn wait(&mut self, view: &View) -> Result<()> {
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
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.shared.context.redis.tail().await?,
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
