//! Those who wait for the outcome of an op, in this process.
//!
//! Waiters follow op ids, not positions: a ticket is exact while Redis keeps its data, and an op
//! that is accepted again after a loss gets a new one.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Stopwatch;
use crate::coord::submit::Submission;
use crate::invariants::{self, Violation, within_rounds};
use crate::measures;
use crate::model::ids::{OpId, Ticket};
use crate::model::outcome::{Details, Outcome};

use crate::commit::context::BATCH_MAX;
use crate::commit::op::verdict::OutcomeRecord;

/// What a waiter is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The op is decided. What only the log keeps of the outcome is read by who was told.
    Decided(Outcome),
    /// It is still queued, and this process cannot finish it at present, for the given reason.
    Stuck(String),
    /// This process will not learn what becomes of it, for the given reason.
    GivenUp(String),
    /// The branch was deleted, in the given way, before this process learned what became of it.
    Gone {
        /// What is known of that.
        how: String,
        /// Whether Redis shows the branch as if it were there: it went back, and may have taken
        /// the op when the branch had long been deleted.
        went_back: bool,
    },
}

/// The most rounds of its own that a process needs for an op at `position` (1 = front).
pub fn rounds_bound(position: u64) -> u64 {
    invariants::rounds_bound(position, BATCH_MAX as u64)
}

/// One op that somebody waits for, or that this process has promised to see through.
#[derive(Debug)]
pub struct Waiting {
    /// What was submitted, in case Redis loses it; `None` for an op that somebody else submitted.
    pub submission: Option<Submission>,
    submitted_at: Stopwatch,
    /// How long it had waited by then, where somebody else submitted it.
    before: Duration,
    /// Known once the call that submits it has returned.
    standing: Option<Standing>,
    /// Whether its outcome may not come into the inbox of this process: another process may have
    /// queued it.
    is_of_others: bool,
    /// What was told last. A waiter that was told to be stuck is told again.
    tell: Vec<watch::Sender<Option<Told>>>,
}

/// Where an accepted op stands in the order.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// As last known.
    ticket: Ticket,
    /// Tickets decided when it was accepted: the log before that cannot hold it.
    done_at_accept: u64,
    bound: u64,
    /// How many ops, itself included, had to be decided when it was accepted.
    position: u64,
    rounds_at_accept: u64,
    failures_at_accept: u64,
    /// Whether something came between that the bound does not know of.
    doubtful: bool,
    /// Whether it had taken what was staged.
    sealed: bool,
}

/// An op that this process has promised to see through.
#[derive(Debug)]
pub struct Promised {
    /// What was submitted; `None` for an op that somebody else submitted.
    pub submission: Option<Submission>,
    /// How far the log was when the op was accepted.
    pub done: u64,
    /// Whether it took what was staged when it was accepted.
    pub sealed: bool,
}

/// Whether this process sees an op through that somebody asks for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It does; this is the ticket that the op had last.
    Waits(Ticket),
    /// The call that submits it is under way.
    Submitting,
    /// It does not, or does not any more: then it knew the outcome before, or gave the op up.
    No,
}

/// All ops of one branch that this process waits for.
#[derive(Debug, Default)]
pub struct Waiters {
    by_op: HashMap<OpId, Waiting>,
    /// Two ops may have one ticket here for a while: tickets are known as of the last look.
    by_ticket: BTreeSet<(Ticket, OpId)>,
    /// Rounds begun by this process on this branch.
    rounds: u64,
    /// Those of them that failed: an outage is nobody's lost race.
    failures: u64,
    /// Ops that took more rounds than they may, until somebody asks.
    overruns: Vec<Violation>,
    /// Every outcome up to this ticket has been seen.
    seen: u64,
}

impl Waiters {
    /// Whether nobody waits for an accepted op.
    pub fn is_empty(&self) -> bool {
        self.by_ticket.is_empty()
    }

    /// Every outcome up to this ticket has been seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Notes that a round begins.
    pub fn begin_round(&mut self) {
        self.rounds += 1;
    }

    /// Notes that a round failed.
    pub fn round_failed(&mut self) {
        self.failures += 1;
    }

    /// Notes that something happened (a round overtaken, a lost connection, a Redis behind the log)
    /// that can take an op of now more rounds than its position says.
    pub fn doubt(&mut self) {
        for standing in self.by_op.values_mut().filter_map(|waiting| waiting.standing.as_mut()) {
            standing.doubtful = true;
        }
    }

    /// Ops that took more rounds than they may, since last asked.
    pub fn take_overruns(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.overruns)
    }

    /// Adds an op that is about to be submitted and one who waits for it. Its outcome may arrive
    /// before the reply of the call that submits it.
    pub fn expect(&mut self, submission: Submission, tell: watch::Sender<Option<Told>>) {
        self.add(submission.op_id, Some(submission), Duration::ZERO, tell);
    }

    /// Adds an op that somebody else had accepted as `ticket`, `age` ago, and one who waits for it
    /// here.
    pub fn attach(
        &mut self,
        op_id: OpId,
        ticket: Ticket,
        done: u64,
        age: Duration,
        tell: watch::Sender<Option<Told>>,
    ) {
        self.add(op_id, None, age, tell);
        self.accepted(op_id, ticket, done, false);
        self.queued_by_others(op_id);
    }

    /// Notes that an op was in the queue before this process had it there.
    pub fn queued_by_others(&mut self, op_id: OpId) {
        if let Some(waiting) = self.by_op.get_mut(&op_id) {
            waiting.is_of_others = true;
        }
    }

    /// Whether any op waited for may be told to another process.
    pub fn any_of_others(&self) -> bool {
        self.by_op.values().any(|waiting| waiting.is_of_others)
    }

    /// The first ticket waited for.
    pub fn first(&self) -> Option<Ticket> {
        self.by_ticket.first().map(|(ticket, _)| *ticket)
    }

    /// Adds one more who waits for an op that was submitted here and accepted, whatever Redis has lost
    /// of it since: this process sees it through.
    pub fn join(&mut self, op_id: OpId, tell: watch::Sender<Option<Told>>) -> Joined {
        let own = self.by_op.get_mut(&op_id).filter(|waiting| waiting.submission.is_some());
        let Some(waiting) = own else { return Joined::No };
        let Some(standing) = waiting.standing else { return Joined::Submitting };
        waiting.tell.push(tell);
        Joined::Waits(standing.ticket)
    }

    fn add(
        &mut self,
        op_id: OpId,
        submission: Option<Submission>,
        age: Duration,
        tell: watch::Sender<Option<Told>>,
    ) {
        let waiting = self.by_op.entry(op_id).or_insert_with(|| Waiting {
            submission: None,
            submitted_at: Stopwatch::start(),
            before: age,
            standing: None,
            is_of_others: false,
            tell: Vec::new(),
        });
        waiting.submission = submission.or(waiting.submission.take());
        waiting.tell.push(tell);
    }

    /// Notes that an op was accepted as `ticket` when `done` tickets were decided, and whether it has
    /// taken what was staged.
    pub fn accepted(&mut self, op_id: OpId, ticket: Ticket, done: u64, sealed: bool) {
        let (rounds_at_accept, failures_at_accept) = (self.rounds, self.failures);
        let Some(waiting) = self.by_op.get_mut(&op_id) else {
            return;
        };
        if waiting.standing.is_none() {
            let position = ticket.0.saturating_sub(done);
            let standing = Standing {
                ticket,
                done_at_accept: done,
                bound: rounds_bound(position),
                position,
                rounds_at_accept,
                failures_at_accept,
                doubtful: false,
                sealed,
            };
            waiting.standing = Some(standing);
        }
        self.move_to(op_id, ticket);
    }

    /// Notes that the call that was to submit an op did not get it accepted.
    pub fn not_accepted(&mut self, op_id: OpId) {
        if self.by_op.get(&op_id).is_some_and(|waiting| waiting.standing.is_none()) {
            self.by_op.remove(&op_id);
        }
    }

    /// Notes a new ticket of an op.
    pub fn move_to(&mut self, op_id: OpId, ticket: Ticket) {
        let Some(standing) = self.by_op.get_mut(&op_id).and_then(|w| w.standing.as_mut()) else {
            return;
        };
        let before = std::mem::replace(&mut standing.ticket, ticket);
        // Redis had lost it: its position is another one now.
        standing.doubtful |= before != ticket;
        self.by_ticket.remove(&(before, op_id));
        self.by_ticket.insert((ticket, op_id));
    }

    /// Tells everybody who waits for `op_id`. Returns whether anybody did.
    pub fn tell(&mut self, op_id: OpId, ticket: Ticket, record: OutcomeRecord) -> bool {
        let Some(waiting) = self.by_op.remove(&op_id) else {
            return false;
        };
        // An outcome that overtakes the reply of its submission took the one round that decided it.
        let (rounds, rounds_bound) = match waiting.standing {
            None => (1, rounds_bound(1)),
            Some(standing) => {
                self.by_ticket.remove(&(standing.ticket, op_id));
                let rounds = self.rounds - standing.rounds_at_accept;
                let clean = rounds.saturating_sub(self.failures - standing.failures_at_accept);
                let held = within_rounds(op_id, clean, standing.position, BATCH_MAX as u64, 0);
                self.overruns
                    .extend(held.err().filter(|_| !standing.doubtful && standing.ticket == ticket));
                (rounds, standing.bound)
            }
        };
        let waited = waiting.before + waiting.submitted_at.elapsed();
        let details = Details { rounds, rounds_bound, waited, ..Details::of(op_id) };
        let outcome = record.outcome(ticket, details);
        measures::told(outcome.name(), waited, rounds);
        for tell in waiting.tell {
            // One who no longer listens has gone past its deadline and knows its ticket.
            tell.send_replace(Some(Told::Decided(outcome.clone())));
        }
        true
    }

    /// Whether anybody waits for `op_id`.
    pub fn waits_for(&self, op_id: OpId) -> bool {
        self.by_op.contains_key(&op_id)
    }

    /// Tells everybody that this process cannot go on for now. Their ops stay promised.
    pub fn tell_stuck(&mut self, cause: &str) {
        // In an order that a run repeated from its seed has, too.
        let mut waiting: Vec<_> = self.by_op.iter().collect();
        waiting.sort_unstable_by_key(|(op_id, _)| **op_id);
        for tell in waiting.into_iter().flat_map(|(_, waiting)| &waiting.tell) {
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

    /// Every accepted op waited for.
    pub fn all(&self) -> Vec<OpId> {
        self.by_ticket.iter().map(|(_, op_id)| *op_id).collect()
    }

    /// What is known of an accepted op; `None` when nobody waits for such an op.
    pub fn promised(&self, op_id: OpId) -> Option<Promised> {
        let waiting = self.by_op.get(&op_id)?;
        let Standing { done_at_accept: done, sealed, .. } = waiting.standing?;
        Some(Promised { submission: waiting.submission.clone(), done, sealed })
    }

    /// Gives up on an op, for the given reason.
    pub fn give_up(&mut self, op_id: OpId, cause: &str) {
        if let Some(waiting) = self.by_op.remove(&op_id) {
            self.by_ticket.retain(|(_, each)| *each != op_id);
            for tell in waiting.tell {
                tell.send_replace(Some(Told::GivenUp(cause.to_owned())));
            }
        }
    }

    /// Gives up on every accepted op: the branch is gone, see [`Told::Gone`].
    pub fn gone(&mut self, how: &str, went_back: bool) {
        for (_, op_id) in std::mem::take(&mut self.by_ticket) {
            for tell in self.by_op.remove(&op_id).into_iter().flat_map(|waiting| waiting.tell) {
                tell.send_replace(Some(Told::Gone { how: how.to_owned(), went_back }));
            }
        }
    }

    /// Whether the front of the queue is an op of this process.
    pub fn owns_front(&self) -> bool {
        self.first().is_some_and(|ticket| ticket.0 <= self.seen + 1)
    }

    /// Whether ops beyond the given ticket are waited for.
    pub fn any_behind(&self, ticket: Ticket) -> bool {
        self.last().is_some_and(|last| last > ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coord::submit::Seal;

    fn submission(op_id: OpId) -> Submission {
        let (element, producers, seal) = (bytes::Bytes::new(), Vec::new(), Seal::No);
        Submission { op_id, element, producers, seal, may_repeat: true }
    }

    #[test]
    fn who_repeats_an_op_that_this_process_sees_through_waits_for_the_same_end() {
        let (mine, of_others) = (OpId::of_bytes(b"mine"), OpId::of_bytes(b"of others"));
        let mut waiters = Waiters::default();
        let (first, told_first) = watch::channel(None);
        waiters.expect(submission(mine), first);
        let joined = |waiters: &mut Waiters, op_id| waiters.join(op_id, watch::channel(None).0);
        assert_eq!(joined(&mut waiters, mine), Joined::Submitting);
        waiters.accepted(mine, Ticket(7), 4, false);
        let (second, told_second) = watch::channel(None);
        assert_eq!(waiters.join(mine, second), Joined::Waits(Ticket(7)));
        waiters.attach(of_others, Ticket(8), 4, Duration::ZERO, watch::channel(None).0);
        let submits_it = joined(&mut waiters, of_others);
        assert_eq!(submits_it, Joined::No, "nobody here has it to submit again");
        waiters.tell_stuck("the storage is away");
        for told in [told_first, told_second] {
            assert!(matches!(&*told.borrow(), Some(Told::Stuck(_))), "{told:?}");
        }
    }
}
