//! What must hold of every history, said once: pure predicates over plain values.
//!
//! The model, the simulation, the fault campaigns and the running program all use these. They know
//! nothing of Onward's types, so that an op may be a number in a model and a UUID in production.
//! Each takes what one observer has seen and names what is wrong; none of them looks anywhere
//! itself. The promises G1–G8 are those of `docs/design.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Debug};
use std::hash::Hash;

/// Something that must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// An accepted op finishes within its bound of the finisher's own rounds (G1).
    RoundsBound,
    /// Everybody who is told of an op is told the same (G2).
    OneOutcome,
    /// No op is in the log twice (G2).
    DecidedOnce,
    /// A commit carries what its submitter gave, and nothing of anybody else's (G3).
    Identity,
    /// What happens is explained by one order that no clock contradicts (G4).
    Order,
    /// What was acknowledged is in the log, as it was acknowledged (G5).
    NothingLost,
    /// Redis never shows more than the log holds (G5).
    NotAhead,
    /// A place of the log holds one batch, whoever reads it (G6).
    NoFork,
    /// Batches follow each other without a gap or an overlap (G6).
    NoGap,
    /// Every commit is the child of the head before it (G6).
    Chain,
    /// A staged write is in one commit at the most (G7).
    StagedOnce,
    /// A staged write is in the first commit that began after it was acknowledged, or in an
    /// earlier one (G7).
    StagedInTime,
}

impl Invariant {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundsBound => "rounds_bound",
            Self::OneOutcome => "one_outcome",
            Self::DecidedOnce => "decided_once",
            Self::Identity => "identity",
            Self::Order => "order",
            Self::NothingLost => "nothing_lost",
            Self::NotAhead => "not_ahead",
            Self::NoFork => "no_fork",
            Self::NoGap => "no_gap",
            Self::Chain => "chain",
            Self::StagedOnce => "staged_once",
            Self::StagedInTime => "staged_in_time",
        }
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant was broken.
    pub invariant: Invariant,
    /// What was seen, with the ids.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.seen)
    }
}

impl std::error::Error for Violation {}

/// What a predicate says.
pub type Held<T = ()> = Result<T, Violation>;

fn violated<T>(invariant: Invariant, seen: String) -> Held<T> {
    Err(Violation { invariant, seen })
}

/// The most rounds of its own that a process needs for an op at `position` (1 is the front) of a
/// queue that is decided `batch_limit` ops at a time, while Redis loses nothing.
pub fn rounds_bound(position: u64, batch_limit: u64) -> u64 {
    position.div_ceil(batch_limit) + 1
}

/// `rounds` were enough for an op accepted at `position`. `behind` is how many log entries Redis
/// was behind the log meanwhile, which it is only after it has lost data.
pub fn within_rounds(
    op: impl Debug,
    rounds: u64,
    position: u64,
    batch_limit: u64,
    behind: u64,
) -> Held {
    let bound = rounds_bound(position, batch_limit) + behind;
    match rounds <= bound {
        true => Ok(()),
        false => violated(
            Invariant::RoundsBound,
            format!("op {op:?} at position {position} took {rounds} rounds of at most {bound}"),
        ),
    }
}

/// Everybody who was told of an op was told the same. `told`: op and what was said of it.
pub fn one_outcome<Op, Outcome>(told: impl IntoIterator<Item = (Op, Outcome)>) -> Held
where
    Op: Eq + Hash + Debug,
    Outcome: PartialEq + Debug,
{
    let mut known: HashMap<Op, Outcome> = HashMap::new();
    for (op, outcome) in told {
        match known.get(&op) {
            Some(before) if *before != outcome => {
                let seen = format!("op {op:?} was told {before:?} and {outcome:?}");
                return violated(Invariant::OneOutcome, seen);
            }
            Some(_) => {}
            None => drop(known.insert(op, outcome)),
        }
    }
    Ok(())
}

/// No op is decided twice. `ops`: those of the log, in any order.
pub fn decided_once<Op: Eq + Hash + Debug>(ops: impl IntoIterator<Item = Op>) -> Held {
    let mut seen = HashSet::new();
    for op in ops {
        if seen.contains(&op) {
            return violated(Invariant::DecidedOnce, format!("op {op:?} is decided twice"));
        }
        seen.insert(op);
    }
    Ok(())
}

/// What is recorded of an op is what was submitted.
pub fn identity<T: PartialEq + Debug>(op: impl Debug, submitted: &T, recorded: &T) -> Held {
    match submitted == recorded {
        true => Ok(()),
        false => violated(
            Invariant::Identity,
            format!("op {op:?} was submitted as {submitted:?} and is recorded as {recorded:?}"),
        ),
    }
}

/// A commit of what is staged holds nothing that was staged after it had been accepted, whatever Redis
/// has lost since. `later`: writes that began after that; `held`: those that the commit holds.
pub fn nothing_later<Write: PartialEq + Debug>(
    op: impl Debug,
    later: &[Write],
    held: impl IntoIterator<Item = Write>,
) -> Held {
    match held.into_iter().find(|write| later.contains(write)) {
        None => Ok(()),
        Some(write) => violated(
            Invariant::Identity,
            format!("op {op:?} holds {write:?}, which was staged after it had been accepted"),
        ),
    }
}

/// When something was asked for and when it was answered, on one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// When the call began.
    pub began: u64,
    /// When it returned; `None` when nobody knows.
    pub ended: Option<u64>,
}

/// The given order of calls is one in which they can have taken effect, each at one moment between
/// its beginning and its end: none ended before one that stands in front of it began.
///
/// With the tickets of the log as the order this is linearizability of the branch in one pass:
/// acceptances (FIFO), outcomes, and reads of the head, each read behind the op whose commit it
/// returned. Reads of the same head may stand in any order; sort them by their beginnings.
pub fn in_order<Call: Debug>(order: impl IntoIterator<Item = (Call, Interval)>) -> Held {
    let mut latest: Option<(Call, u64)> = None;
    for (call, interval) in order {
        if let (Some((earlier, began)), Some(ended)) = (&latest, interval.ended)
            && ended < *began
        {
            let seen = format!(
                "{call:?} ended at {ended}, before {earlier:?}, which stands in front of it, began at {began}"
            );
            return violated(Invariant::Order, seen);
        }
        if latest.as_ref().is_none_or(|(_, began)| *began < interval.began) {
            latest = Some((call, interval.began));
        }
    }
    Ok(())
}

/// What was acknowledged is in the log. `acknowledged`: op and what was said of it; `decided`: what
/// the log has of an op.
pub fn nothing_lost<Op, Outcome>(
    acknowledged: impl IntoIterator<Item = (Op, Outcome)>,
    decided: impl Fn(&Op) -> Option<Outcome>,
) -> Held
where
    Op: Debug,
    Outcome: PartialEq + Debug,
{
    for (op, told) in acknowledged {
        match decided(&op) {
            Some(logged) if logged == told => {}
            Some(logged) => {
                let seen = format!("op {op:?} was told {told:?}; the log has {logged:?}");
                return violated(Invariant::NothingLost, seen);
            }
            None => {
                let seen = format!("op {op:?} was told {told:?} and is not in the log");
                return violated(Invariant::NothingLost, seen);
            }
        }
    }
    Ok(())
}

/// Redis shows no more than the log holds. `done`: tickets decided by Redis; `next`: the log's
/// first free place.
pub fn not_ahead(done: u64, next: u64) -> Held {
    match done < next {
        true => Ok(()),
        false => {
            let seen = format!("Redis has decided {done}, the log ends before {next}");
            violated(Invariant::NotAhead, seen)
        }
    }
}

/// Whoever read a place of the log found the same there. `seen`: a place and what was read.
pub fn no_fork<Place, Batch>(seen: impl IntoIterator<Item = (Place, Batch)>) -> Held
where
    Place: Ord + Debug,
    Batch: PartialEq + Debug,
{
    let mut known: BTreeMap<Place, Batch> = BTreeMap::new();
    for (place, batch) in seen {
        match known.get(&place) {
            Some(before) if *before != batch => {
                let seen = format!("log entry {place:?} was {before:?} and {batch:?}");
                return violated(Invariant::NoFork, seen);
            }
            Some(_) => {}
            None => drop(known.insert(place, batch)),
        }
    }
    Ok(())
}

/// Batches begin where those before them end. `batches`: first ticket and number of ops, in order;
/// the first of them begins at `next`. Returns the first free ticket behind them.
pub fn no_gap(next: u64, batches: impl IntoIterator<Item = (u64, u64)>) -> Held<u64> {
    let mut next = next;
    for (first, ops) in batches {
        if first != next || ops == 0 {
            let seen = format!("a batch of {ops} begins at {first}, and {next} was free");
            return violated(Invariant::NoGap, seen);
        }
        next = first + ops;
    }
    Ok(next)
}

/// Every commit is the child of the head before it. `start`: the head before the first; `commits`:
/// id and first parent, in ticket order. Returns the head after them.
pub fn chain<Id: PartialEq + Debug>(
    start: Option<Id>,
    commits: impl IntoIterator<Item = (Id, Option<Id>)>,
) -> Held<Option<Id>> {
    let mut head = start;
    for (id, parent) in commits {
        if parent != head {
            let seen = format!("commit {id:?} is a child of {parent:?}, and {head:?} was the head");
            return violated(Invariant::Chain, seen);
        }
        head = Some(id);
    }
    Ok(head)
}

/// A staged write is in one commit at the most. `writes`: a write, and the ticket of a commit that
/// holds it.
pub fn staged_once<Write: Eq + Hash + Debug>(
    writes: impl IntoIterator<Item = (Write, u64)>,
) -> Held {
    let mut holders: HashMap<Write, u64> = HashMap::new();
    for (write, ticket) in writes {
        if let Some(other) = holders.get(&write) {
            let seen = format!("staged write {write:?} is in commits {other} and {ticket}");
            return violated(Invariant::StagedOnce, seen);
        }
        holders.insert(write, ticket);
    }
    Ok(())
}

/// A staged write is in the first commit of the staging area that began after the write was
/// acknowledged, or in an earlier one. `held_by`: the ticket of the commit that holds it;
/// `commits`: beginning and ticket of each that took the staging area and was committed.
pub fn staged_in_time(
    write: impl Debug,
    acknowledged: u64,
    held_by: Option<u64>,
    commits: impl IntoIterator<Item = (u64, u64)>,
) -> Held {
    let behind = commits.into_iter().filter(|(began, _)| *began > acknowledged);
    let Some(due) = behind.map(|(_, ticket)| ticket).min() else {
        return Ok(());
    };
    match held_by.is_some_and(|ticket| ticket <= due) {
        true => Ok(()),
        false => violated(
            Invariant::StagedInTime,
            format!(
                "staged write {write:?} was acknowledged before commit {due} began and is in {held_by:?}"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks<T: Debug>(held: Held<T>, invariant: Invariant) {
        assert_eq!(held.unwrap_err().invariant, invariant);
    }

    fn call(began: u64, ended: u64) -> (&'static str, Interval) {
        ("call", Interval { began, ended: Some(ended) })
    }

    #[test]
    fn rounds_are_held_against_position_and_what_redis_was_behind() {
        assert_eq!(rounds_bound(1, 1024), 2);
        assert_eq!(rounds_bound(1025, 1024), 3);
        within_rounds(1, 2, 1, 1024, 0).unwrap();
        within_rounds(1, 4, 1, 1024, 2).unwrap();
        breaks(within_rounds(1, 3, 1, 1024, 0), Invariant::RoundsBound);
    }

    #[test]
    fn an_op_has_one_outcome_and_one_place() {
        one_outcome([(1, "a"), (2, "b"), (1, "a")]).unwrap();
        breaks(one_outcome([(1, "a"), (1, "b")]), Invariant::OneOutcome);
        decided_once([1, 2, 3]).unwrap();
        breaks(decided_once([1, 2, 1]), Invariant::DecidedOnce);
        identity(1, &"mine", &"mine").unwrap();
        breaks(identity(1, &"mine", &"yours"), Invariant::Identity);
        nothing_later(1, &["c"], ["a", "b"]).unwrap();
        breaks(nothing_later(1, &["c"], ["a", "c"]), Invariant::Identity);
    }

    #[test]
    fn acknowledged_ops_are_in_the_log_as_they_were_told() {
        let log = |op: &u32| (*op == 1).then_some("committed");
        nothing_lost([(1, "committed")], log).unwrap();
        breaks(nothing_lost([(2, "committed")], log), Invariant::NothingLost);
        breaks(nothing_lost([(1, "conflict")], log), Invariant::NothingLost);
    }

    #[test]
    fn the_log_is_one_line() {
        assert_eq!(no_gap(1, [(1, 3), (4, 1)]), Ok(5));
        breaks(no_gap(1, [(1, 3), (5, 1)]), Invariant::NoGap);
        breaks(no_gap(1, [(1, 3), (3, 1)]), Invariant::NoGap);
        breaks(no_gap(1, [(1, 0)]), Invariant::NoGap);
        not_ahead(4, 5).unwrap();
        breaks(not_ahead(5, 5), Invariant::NotAhead);
        no_fork([(1, "x"), (2, "y"), (1, "x")]).unwrap();
        breaks(no_fork([(1, "x"), (1, "y")]), Invariant::NoFork);
        assert_eq!(chain(None, [(1, None), (2, Some(1))]), Ok(Some(2)));
        breaks(chain(None, [(1, None), (2, None)]), Invariant::Chain);
    }

    #[test]
    fn an_order_holds_unless_a_call_ended_before_one_in_front_of_it_began() {
        in_order([call(0, 10), call(1, 2), call(2, 20)]).unwrap();
        in_order([("lost", Interval { began: 5, ended: None }), call(1, 5)]).unwrap();
        breaks(in_order([call(5, 9), call(0, 4)]), Invariant::Order);
        // Not only neighbours count.
        breaks(in_order([call(5, 9), call(0, 30), call(1, 4)]), Invariant::Order);
    }

    #[test]
    fn staged_writes_are_in_one_commit_and_in_time() {
        staged_once([("a", 1), ("b", 1)]).unwrap();
        breaks(staged_once([("a", 1), ("a", 2)]), Invariant::StagedOnce);
        staged_in_time("a", 10, None, [(5, 1)]).unwrap();
        staged_in_time("a", 10, Some(2), [(5, 1), (11, 2), (20, 3)]).unwrap();
        staged_in_time("a", 10, Some(1), [(5, 1), (11, 2)]).unwrap();
        breaks(staged_in_time("a", 10, Some(3), [(11, 2), (20, 3)]), Invariant::StagedInTime);
        breaks(staged_in_time("a", 10, None, [(11, 2)]), Invariant::StagedInTime);
    }
}
