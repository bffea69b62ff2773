//! Those who wait for the outcome of an op, in this process.
//!
//! Waiters follow op ids, not positions: a ticket is exact while Redis keeps its data, and an op
//! that is accepted again after a loss gets a new one.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::coord::submit::Submission;
use crate::model::ids::{CommitId, OpId, Ticket};

use super::round::BATCH_MAX;
use super::verdict::{OutcomeRecord, Verdict};

/// A decided op, as its submitter sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The outcome.
    pub verdict: Verdict,
    /// The commit, if it became one.
    pub commit: Option<CommitId>,
    /// First ticket of its batch, which names its log entry; `None` when it was settled without
    /// being queued.
    pub first: Option<Ticket>,
    /// How it went.
    pub details: Details,
}

/// How an op went, in counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Details {
    /// Its id.
    pub op_id: OpId,
    /// Its ticket, if it was queued.
    pub ticket: Option<Ticket>,
    /// Rounds this process ran between accepting the op and learning its outcome.
    pub rounds: u64,
    /// The most that it could have been.
    pub rounds_bound: u64,
    /// Ops in its batch.
    pub batch: u32,
    /// From acceptance to outcome.
    pub waited: Duration,
}

/// What a waiter is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The op is decided.
    Decided(Decision),
    /// It is still queued, and this process cannot finish it at present, for the given reason.
    Stuck(String),
}

/// The most rounds of its own that a process needs for an op at `position` (1 = front).
pub fn rounds_bound(position: u64) -> u64 {
    position.div_ceil(BATCH_MAX as u64) + 1
}

/// One op that somebody waits for, or that this process has promised to see through.
#[derive(Debug)]
pub struct Waiting {
    /// What was submitted, in case Redis loses it.
    pub submission: Submission,
    /// Its place in the order, as last known.
    pub ticket: Ticket,
    /// Tickets decided when it was accepted: the log before that cannot hold it.
    pub done_at_accept: u64,
    bound: u64,
    rounds_at_accept: u64,
    accepted_at: Instant,
    /// What was told last. A waiter that was told to be stuck is told again.
    tell: Vec<watch::Sender<Option<Told>>>,
}

/// All ops of one branch that this process waits for.
#[derive(Debug, Default)]
pub struct Waiters {
    by_op: HashMap<OpId, Waiting>,
    /// Two ops may have one ticket here for a while: tickets are known as of the last look.
    by_ticket: BTreeSet<(Ticket, OpId)>,
    /// Rounds begun by this process on this branch.
    rounds: u64,
    /// Every outcome up to this ticket has been seen.
    seen: u64,
}

impl Waiters {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_op.is_empty()
    }

    /// Every outcome up to this ticket has been seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Notes that a round begins.
    pub fn begin_round(&mut self) {
        self.rounds += 1;
    }

    /// Adds an accepted op and one who waits for it.
    pub fn add(
        &mut self,
        submission: Submission,
        ticket: Ticket,
        done: u64,
        tell: watch::Sender<Option<Told>>,
    ) {
        let op_id = submission.op_id;
        if let Some(waiting) = self.by_op.get_mut(&op_id) {
            waiting.tell.push(tell);
            self.move_to(op_id, ticket);
            return;
        }
        let waiting = Waiting {
            submission,
            ticket,
            done_at_accept: done,
            bound: rounds_bound(ticket.0.saturating_sub(done)),
            rounds_at_accept: self.rounds,
            accepted_at: Instant::now(),
            tell: vec![tell],
        };
        self.by_op.insert(op_id, waiting);
        self.by_ticket.insert((ticket, op_id));
    }

    /// Notes a new ticket of an op.
    pub fn move_to(&mut self, op_id: OpId, ticket: Ticket) {
        if let Some(waiting) = self.by_op.get_mut(&op_id) {
            self.by_ticket.remove(&(waiting.ticket, op_id));
            waiting.ticket = ticket;
            self.by_ticket.insert((ticket, op_id));
        }
    }

    /// Tells everybody who waits for `op_id`.
    pub fn tell(&mut self, op_id: OpId, ticket: Ticket, record: &OutcomeRecord) {
        let Some(waiting) = self.by_op.remove(&op_id) else {
            return;
        };
        self.by_ticket.remove(&(waiting.ticket, op_id));
        let details = Details {
            op_id,
            ticket: Some(ticket),
            rounds: self.rounds - waiting.rounds_at_accept,
            rounds_bound: waiting.bound,
            batch: record.batch,
            waited: waiting.accepted_at.elapsed(),
        };
        let decision = Decision {
            verdict: record.verdict.clone(),
            commit: record.commit,
            first: Some(record.first),
            details,
        };
        for tell in waiting.tell {
            // One who no longer listens has gone past its deadline and knows its ticket.
            tell.send_replace(Some(Told::Decided(decision.clone())));
        }
    }

    /// Tells everybody that this process cannot go on for now. Their ops stay promised.
    pub fn tell_stuck(&mut self, cause: &str) {
        for tell in self.by_op.values().flat_map(|waiting| &waiting.tell) {
            tell.send_replace(Some(Told::Stuck(cause.to_owned())));
        }
    }

    /// Notes that every outcome up to `ticket` has been seen.
    pub fn saw(&mut self, ticket: u64) {
        self.seen = self.seen.max(ticket);
    }

    /// Notes that Redis went back to an earlier state.
    pub fn fell_back(&mut self, done: u64) {
        self.seen = done;
    }

    /// Ops whose ticket is at or below `done` and whose outcome has not arrived.
    pub fn overdue(&self, done: u64) -> Vec<OpId> {
        let due = self.by_ticket.iter().take_while(|(ticket, _)| ticket.0 <= done);
        due.map(|(_, op_id)| *op_id).collect()
    }

    /// Whether an op lies behind ticket `end` of the queue, but not behind `latest`: it was waited
    /// for when the queue was looked at, and is not in it.
    pub fn any_lost(&self, end: u64, latest: Option<Ticket>) -> bool {
        let waited_for = |ticket: &Ticket| Some(*ticket) <= latest;
        let tickets = self.by_ticket.iter().rev().map(|(ticket, _)| ticket);
        tickets.skip_while(|ticket| !waited_for(ticket)).take(1).any(|ticket| ticket.0 > end)
    }

    /// The last ticket waited for.
    pub fn last(&self) -> Option<Ticket> {
        self.by_ticket.last().map(|(ticket, _)| *ticket)
    }

    /// Every op waited for.
    pub fn all(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    /// What was submitted as `op_id`, and how far the log was then.
    pub fn submission(&self, op_id: OpId) -> Option<(Submission, u64)> {
        self.by_op.get(&op_id).map(|w| (w.submission.clone(), w.done_at_accept))
    }

    /// Whether the front of the queue is an op of this process.
    pub fn owns_front(&self) -> bool {
        self.by_ticket.first().is_some_and(|(ticket, _)| ticket.0 <= self.seen + 1)
    }

    /// Whether ops beyond the given ticket are waited for.
    pub fn any_behind(&self, ticket: Ticket) -> bool {
        self.last().is_some_and(|last| last > ticket)
    }
}
