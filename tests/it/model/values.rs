//! The plain values of the model: ops, queue elements, outcomes, log entries.

use std::collections::BTreeMap;

/// An op id: the number of the call that asks for it. With [`super::bugs::Bug::NewIds`] further
/// tries add 16.
pub type Op = u8;

/// A ticket; the first is 1.
pub type Ticket = u8;

/// A staged write: the number of the call that stages it.
pub type Write = u8;

/// A path that can be staged.
pub type Path = u8;

/// What one level of the branch's content holds: the commits that wrote it, newest first.
pub type Level = Vec<Op>;

/// The call behind an op id.
pub fn call_of(op: Op) -> usize {
    usize::from(op % 16)
}

/// An element of the queue: `element` in `submit.lua`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    pub op: Op,
    pub cancelled: bool,
}

/// The outcome of an op, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    Committed,
    NoChanges,
    Cancelled,
    Failed,
}

/// What a submitter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outcome {
    /// 0 where it was settled without a ticket.
    pub ticket: Ticket,
    pub verdict: Verdict,
}

/// A sealed area: id and owner (`lua/publish.lua`: `area`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Area {
    pub id: Op,
    pub owner: Option<Op>,
}

/// One op of a log entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decided {
    pub op: Op,
    pub verdict: Verdict,
    /// The head before it.
    pub parent: Option<Op>,
    /// The staged writes that it commits.
    pub writes: Vec<Write>,
    /// The areas that it owned; `None` for an op that does not seal.
    pub areas: Option<Vec<Op>>,
}

/// One decided batch: an object of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    pub first: Ticket,
    pub ops: Vec<Decided>,
    /// The head commit after it.
    pub head: Option<Op>,
    /// The content after it, newest level first.
    pub levels: Vec<Level>,
}

impl Entry {
    /// The last ticket of the batch.
    pub fn last(&self) -> Ticket {
        self.first + self.ops.len() as Ticket - 1
    }

    /// Its ops with their tickets.
    pub fn outcomes(&self) -> impl Iterator<Item = (Op, Outcome)> + '_ {
        self.ops
            .iter()
            .zip(self.first..)
            .map(|(op, ticket)| (op.op, Outcome { ticket, verdict: op.verdict }))
    }
}

/// What the staging area or a sealed area holds.
pub type Staging = BTreeMap<Path, Write>;
