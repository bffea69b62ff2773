//! What must hold in every state, with the predicates of `onward::internals::invariants`, and what must be
//! possible, so that the model is known to reach what it is about.

use onward::internals::invariants::{
    Held, Interval, Invariant, chain, decided_once, identity, in_order, no_fork, no_gap, not_ahead,
    nothing_later, nothing_lost, one_outcome, staged_in_time, staged_once, within_rounds,
};

use super::state::{Behind, Progress, Scope, Stage, State, What};
use super::values::{Op, Outcome, Ticket, Verdict, Write, call_of};

impl Scope {
    /// Whether an invariant holds.
    pub fn holds(&self, state: &State, invariant: Invariant) -> Held {
        match invariant {
            Invariant::RoundsBound => self.rounds_bound(state),
            Invariant::OneOutcome => one_outcome(told(state).chain(recorded(state))),
            Invariant::DecidedOnce => decided_once(ops(state).map(|(op, _)| call_of(op))),
            Invariant::Identity => {
                contents(state)?;
                let mut decided = state.log.iter().flat_map(|entry| &entry.ops);
                decided.try_for_each(|op| {
                    let later = &state.history.later[call_of(op.op)];
                    nothing_later(op.op, later, op.writes.iter().copied())
                })
            }
            Invariant::Order => self.order(state),
            Invariant::NothingLost => self.nothing_lost(state),
            Invariant::NotAhead => {
                let next = u64::from(state.next());
                let mut redis = state.redis.iter().flatten();
                redis.try_for_each(|redis| not_ahead(redis.done.into(), next))
            }
            Invariant::NoFork => no_fork(seen(state)),
            Invariant::NoGap => {
                let batches =
                    state.log.iter().map(|entry| (entry.first.into(), entry.ops.len() as u64));
                no_gap(1, batches).map(drop)
            }
            Invariant::Chain => {
                let commits = state.log.iter().flat_map(|entry| &entry.ops);
                let commits = commits.filter(|op| self.is_commit(op.op, op.verdict));
                chain(None, commits.map(|op| (op.op, op.parent))).map(drop)
            }
            // Staged writes live in Redis only: what it loses of them is lost.
            Invariant::StagedOnce | Invariant::StagedInTime if !self.keeps_all() => Ok(()),
            Invariant::StagedOnce => staged_once(held(state)),
            Invariant::StagedInTime => self.staged_in_time(state),
        }
    }

    fn is_commit(&self, op: Op, verdict: Verdict) -> bool {
        verdict == Verdict::Committed && self.calls[call_of(op)].what != What::Fold
    }

    fn rounds_bound(&self, state: &State) -> Held {
        for (call, progress) in state.calls.iter().enumerate() {
            if let Progress::Accepted { position, rounds } = *progress
                && self.counted
            {
                within_rounds(call, rounds.into(), position.into(), self.batch_max as u64, 0)?;
            }
        }
        self.finishes_alone(state)
    }

    /// What clients were told is in the log.
    fn nothing_lost(&self, state: &State) -> Held {
        nothing_lost(told(state), |op| state.decided(*op))?;
        if !self.keeps_all() {
            return Ok(());
        }
        // A staged write that was acknowledged is staged, sealed or committed, unless a newer one
        // of its path was made.
        let kept: Vec<Write> =
            held(state).map(|(write, _)| write).chain(uncommitted(state)).collect();
        let newest = |write: &Write| {
            let mut newer = state.history.staged.iter().skip_while(|each| *each != write).skip(1);
            !newer.any(|each| {
                self.calls[usize::from(*each)].what == self.calls[usize::from(*write)].what
            })
        };
        let acknowledged = self.staged_and_told(state).filter(newest).map(|write| (write, ()));
        nothing_lost(acknowledged, |write| kept.contains(write).then_some(()))
    }

    fn staged_and_told<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Write> + 'a {
        let told = |progress: &Progress| matches!(progress, Progress::Told(_));
        let calls = self.calls.iter().zip(&state.calls).zip(0..);
        calls
            .filter(move |((call, progress), _)| {
                matches!(call.what, What::Stage(_)) && told(progress)
            })
            .map(|(_, write)| write)
    }

    fn order(&self, state: &State) -> Held {
        let tickets: Vec<(Op, Ticket)> =
            ops(state).map(|(op, outcome)| (op, outcome.ticket)).collect();
        // The calls of one client come one after the other.
        let clients = self.calls.iter().map(|call| call.client);
        for client in 0..=clients.max().unwrap_or(0) {
            let own = tickets.iter().filter(|(op, _)| self.calls[call_of(*op)].client == client);
            in_order(own.map(|(op, _)| (*op, moment(call_of(*op) as u64))))?;
        }
        if self.real_time {
            in_order(tickets.iter().map(|(op, _)| (*op, self.interval(state, call_of(*op)))))?;
        }
        if self.keeps_all() {
            // Tickets are given by acceptance, and nothing takes them back.
            let place = |op: Op| state.history.accepted.iter().position(|each| *each == op);
            in_order(
                tickets
                    .iter()
                    .map(|(op, _)| (*op, moment(place(*op).unwrap_or(usize::MAX) as u64))),
            )?;
            self.staged_in_order(state)?;
        }
        Ok(())
    }

    /// What was staged of a path comes in the order in which it was staged: nothing old comes back.
    fn staged_in_order(&self, state: &State) -> Held {
        let place = |write: Write| state.history.staged.iter().position(|each| *each == write);
        let paths = self.calls.iter().filter(|call| matches!(call.what, What::Stage(_)));
        for path in paths.map(|call| call.what) {
            let writes =
                held(state).filter(|(write, _)| self.calls[usize::from(*write)].what == path);
            in_order(writes.map(|(write, _)| (write, moment(place(write).unwrap_or(0) as u64))))?;
        }
        Ok(())
    }

    /// When a call began and ended, on a clock that ticks when somebody is told.
    fn interval(&self, state: &State, call: usize) -> Interval {
        let told = state.history.told.iter().position(|each| usize::from(*each) == call);
        Interval {
            began: 2 * u64::from(state.history.began[call]),
            ended: told.map(|at| 2 * at as u64 + 1),
        }
    }

    fn staged_in_time(&self, state: &State) -> Held {
        if !self.real_time {
            return Ok(());
        }
        for write in self.staged_and_told(state) {
            let acknowledged = self.interval(state, write.into()).ended.unwrap_or(u64::MAX);
            let held_by = held(state).find(|(each, _)| *each == write).map(|(_, ticket)| ticket);
            let newer = state.history.staged.iter().skip_while(|each| **each != write).skip(1);
            let replaced = newer.clone().any(|each| {
                self.calls[usize::from(*each)].what == self.calls[usize::from(write)].what
            });
            if replaced && held_by.is_none() {
                continue;
            }
            // A commit that was accepted while an earlier one had the write in its sealed area, and
            // was not decided, goes without it.
            let due = state.log.iter().flat_map(|entry| entry.ops.iter().zip(entry.first..));
            let due = due.filter(|(op, _)| {
                op.areas.is_some()
                    && op.verdict == Verdict::Committed
                    && !state.history.passed_over[call_of(op.op)].contains(&write)
            });
            let began = |op: Op| self.interval(state, call_of(op)).began;
            let commits = due.map(|(op, ticket)| (began(op.op), u64::from(ticket)));
            staged_in_time(write, acknowledged, held_by, commits)?;
        }
        Ok(())
    }
}

fn moment(at: u64) -> Interval {
    Interval { began: at, ended: Some(at) }
}

/// Ops of the log with their outcomes, in its order.
fn ops(state: &State) -> impl Iterator<Item = (Op, Outcome)> + '_ {
    state.log.iter().flat_map(|entry| entry.outcomes())
}

/// What clients were told of ops.
fn told(state: &State) -> impl Iterator<Item = (Op, Outcome)> + '_ {
    state.calls.iter().zip(0..).filter_map(|(progress, op)| match progress {
        // A staged write has no outcome of an op.
        Progress::Told(outcome) if *outcome != STAGED => Some((op, *outcome)),
        _ => None,
    })
}

/// What a staging call is told.
pub const STAGED: Outcome = Outcome { ticket: 0, verdict: Verdict::Committed };

/// What the log and every Redis say of ops.
fn recorded(state: &State) -> impl Iterator<Item = (Op, Outcome)> + '_ {
    let redis = state.redis.iter().flatten().flat_map(|redis| &redis.outcomes);
    let outcome = |(ticket, (op, verdict)): (&Ticket, &(Op, Verdict))| {
        (*op, Outcome { ticket: *ticket, verdict: *verdict })
    };
    ops(state).chain(redis.map(outcome))
}

/// What is at each ticket, for everybody who has read or kept it.
fn seen(state: &State) -> impl Iterator<Item = (Ticket, (Op, Verdict))> + '_ {
    let in_hand = state.helpers.iter().filter_map(|helper| match &helper.stage {
        Stage::Decided { entry, .. } => Some(entry),
        _ => None,
    });
    let behind = state.helpers.iter().filter_map(|helper| match &helper.stage {
        Stage::Decided { ahead: Some(Behind::Decided { entry, .. }), .. } => Some(entry),
        _ => None,
    });
    let read = in_hand.chain(behind).flat_map(|entry| entry.outcomes());
    recorded(state).chain(read).map(|(op, outcome)| (outcome.ticket, (op, outcome.verdict)))
}

/// Committed writes that were staged, with the tickets of their commits.
fn held(state: &State) -> impl Iterator<Item = (Write, u64)> + '_ {
    let ops = state.log.iter().flat_map(|entry| entry.ops.iter().zip(entry.first..));
    ops.flat_map(|(op, ticket)| op.writes.iter().map(move |write| (*write, u64::from(ticket))))
}

/// Writes that are staged or sealed.
fn uncommitted(state: &State) -> impl Iterator<Item = Write> + '_ {
    let redis = state.redis.iter().flatten();
    redis.flat_map(|redis| {
        let listed = redis.sealed.iter().filter_map(|area| redis.areas.get(&area.id));
        listed.chain([&redis.staged]).flat_map(|staging| staging.values().copied())
    })
}

/// The levels of every log entry hold the commits up to it, whatever was folded.
fn contents(state: &State) -> Held {
    let mut commits: Vec<Op> = Vec::new();
    for entry in &state.log {
        let written = entry.ops.iter().filter(|op| op.verdict == Verdict::Committed);
        // An op that moved the head is the parent of the next, or the head.
        let moved = written.filter(|op| {
            entry.head == Some(op.op) || entry.ops.iter().any(|next| next.parent == Some(op.op))
        });
        moved.for_each(|op| commits.insert(0, op.op));
        identity(entry.first, &commits, &entry.levels.concat())?;
    }
    Ok(())
}
