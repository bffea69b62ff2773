//! The outcomes of a branch, one after the other, as they are published.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::op::verdict::OutcomeRecord;
use crate::coord::outcomes::Tail;
use crate::model::error::Result;
use crate::model::ids::{CommitId, OpId, Ticket};
use crate::model::outcome::Details;

use super::handles::Branch;

/// How long one look at the stream waits for something new.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a listener rests when Redis cannot be reached.
const REST: Duration = Duration::from_millis(500);

/// Something that a listener is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An op was decided.
    Outcome {
        /// Ticket of the op that was decided.
        ticket: Ticket,
        /// Id of the op that was decided.
        op_id: OpId,
        /// The name of its outcome, see [`Outcome::name`](crate::Outcome::name).
        outcome: &'static str,
        /// The commit, if it became one.
        commit: Option<CommitId>,
    },
    /// Outcomes that Redis no longer keeps were asked for: those of the tickets from `from` to `to`
    /// are in the branch's log alone.
    Gap {
        /// The first of them.
        from: Ticket,
        /// The last of them.
        to: Ticket,
    },
    /// Nothing new for a while.
    Quiet,
}

struct Listener {
    branch: Branch,
    context: BranchContext,
    tail: Option<Tail>,
    after: Ticket,
    /// Tickets decided, as far as is known.
    done: Ticket,
}

impl Branch {
    /// Everything that is decided behind ticket `after`, or from now on. Goes on through outages of
    /// Redis and ends with the branch. Takes a connection of its own, of which a process has
    /// [`LaneOptions::blocking`](crate::coord::LaneOptions::blocking).
    pub async fn events(&self, after: Option<Ticket>) -> Result<BoxStream<'static, Result<Event>>> {
        let (context, head) = self.head().await?;
        let done = Ticket(head.done);
        let after = after.unwrap_or(done).min(done);
        let listener = Listener { branch: self.clone(), context, tail: None, after, done };
        let looks = stream::try_unfold(listener, |mut listener| async move {
            let events = listener.look().await?;
            Ok(events.map(|events| (stream::iter(events.into_iter().map(Ok)), listener)))
        });
        Ok(looks.try_flatten().boxed())
    }
}

impl Listener {
    /// What is new; `None` when the branch has ended.
    async fn look(&mut self) -> Result<Option<Vec<Event>>> {
        match self.read().await {
            // What was decided by then is no longer kept: that of a branch that was idle goes, all of it.
            Ok(events) if events.is_empty() && self.after < self.done => {
                let from = self.after.plus(1);
                self.after = self.done;
                Ok(Some(vec![Event::Gap { from, to: self.done }]))
            }
            Ok(events) if events.is_empty() => match self.has_ended().await {
                Ok(true) => Ok(None),
                Err(error) if !error.is_retryable() => Err(error),
                _ => Ok(Some(vec![Event::Quiet])),
            },
            Ok(events) => Ok(Some(events)),
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "a listener tries again");
                self.tail = None;
                tokio::time::sleep(clock::jittered(REST)).await;
                Ok(Some(vec![Event::Quiet]))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the branch was deleted, or the name stands for another one by now.
    async fn has_ended(&mut self) -> Result<bool> {
        let (context, head) = match self.branch.head().await {
            Err(error) if error.kind() == crate::ErrorKind::NotFound => return Ok(true),
            head => head?,
        };
        if context.uid != self.context.uid {
            return Ok(true);
        }
        self.done = Ticket(head.done);
        Ok(false)
    }

    async fn read(&mut self) -> Result<Vec<Event>> {
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => self.tail.insert(self.context.redis.tail().await?),
        };
        let mut events = Vec::new();
        // What is decided already is there, or nowhere.
        let patience = if self.after < self.done { Duration::ZERO } else { PATIENCE };
        for record in tail.read(self.after, patience).await? {
            let expected = self.after.plus(1);
            if record.ticket > expected {
                events.push(Event::Gap { from: expected, to: Ticket(record.ticket.0 - 1) });
            }
            self.after = record.ticket;
            let (ticket, op_id) = (record.ticket, record.op_id);
            let said = OutcomeRecord::decode(&record.record)?.outcome(ticket, Details::of(op_id));
            let (outcome, commit) = (said.name(), said.commit());
            events.push(Event::Outcome { ticket, op_id, outcome, commit });
        }
        Ok(events)
    }
}
