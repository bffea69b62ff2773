//! One branch in one Redis, and what each script does to it. One function is one script.

use std::collections::{BTreeMap, BTreeSet};

use super::bugs::Bug;
use super::values::{Area, Element, Entry, Op, Outcome, Path, Staging, Ticket, Verdict, Write};

/// The keys of a branch (`docs/design.md`, "Where things live"). Commit ids are left out: the
/// position names the log entry that has the head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Redis {
    pub done: Ticket,
    /// First ticket of the newest log entry; 0 without one.
    pub position: Ticket,
    pub queue: Vec<Element>,
    pub outcomes: BTreeMap<Ticket, (Op, Verdict)>,
    pub ops: BTreeMap<Op, Ticket>,
    pub staged: Staging,
    pub sealed: Vec<Area>,
    /// The areas' own keys.
    pub areas: BTreeMap<Op, Staging>,
    /// Marks of staging calls.
    pub calls: BTreeSet<Write>,
    /// Behind which ticket a batch is being adopted, and how many elements have tickets behind it.
    pub adopting: Option<(Ticket, usize)>,
    /// Only for [`Bug::TurnIsALock`]: as advice, the turn stops nobody and is left out.
    pub locked: bool,
}

/// What `submit` says of one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    Queued,
    Pending,
    Decided(Outcome),
    NothingStaged,
}

/// Whether an op takes the staging area with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    No,
    Staged,
    StagedOrEmpty,
}

/// What `status` says of one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Unknown,
    Pending(Ticket),
    Decided(Outcome),
}

/// What `view` shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    pub done: Ticket,
    pub position: Ticket,
    pub elements: Vec<Element>,
    pub areas: Vec<Area>,
}

impl Redis {
    /// `lua/submit.lua`
    pub fn submit(&mut self, op: Op, seal: Seal, bug: Option<Bug>) -> Accepted {
        let forgets = bug == Some(Bug::SubmitForgets);
        match self.status(op) {
            Known::Decided(outcome) => return Accepted::Decided(outcome),
            Known::Pending(_) if !forgets => return Accepted::Pending,
            _ => {}
        }
        let staged = !self.staged.is_empty();
        let given_back = self.sealed.iter().any(|area| area.owner.is_none());
        if seal == Seal::Staged && !staged && !given_back {
            return Accepted::NothingStaged;
        }
        self.queue.push(Element { op, cancelled: false });
        self.ops.insert(op, self.done + self.queue.len() as Ticket);
        if seal != Seal::No {
            self.sealed
                .iter_mut()
                .filter(|area| area.owner.is_none())
                .for_each(|area| area.owner = Some(op));
            if staged {
                // RENAME
                let area = match bug {
                    Some(Bug::SealCopies) => self.staged.clone(),
                    _ => std::mem::take(&mut self.staged),
                };
                self.areas.insert(op, area);
                self.sealed.push(Area { id: op, owner: Some(op) });
            }
        }
        Accepted::Queued
    }

    /// `lua/status.lua`
    pub fn status(&self, op: Op) -> Known {
        match self.ops.get(&op) {
            None => Known::Unknown,
            Some(ticket) if *ticket > self.done => Known::Pending(*ticket),
            Some(ticket) => match self.outcomes.get(ticket) {
                Some((_, verdict)) => {
                    Known::Decided(Outcome { ticket: *ticket, verdict: *verdict })
                }
                None => Known::Unknown,
            },
        }
    }

    /// `lua/view.lua`
    pub fn view(&self, batch_max: usize) -> View {
        let elements = self.queue.iter().take(batch_max).cloned().collect();
        View { done: self.done, position: self.position, elements, areas: self.sealed.clone() }
    }

    /// `lua/publish.lua`. Whether there is no more to it: one call counts one element anew.
    pub fn publish(&mut self, entry: &Entry, bug: Option<Bug>) -> bool {
        if self.done != entry.first - 1 && bug != Some(Bug::PublishBlindly) {
            return true;
        }
        let count = entry.ops.len();
        let front = self.queue.iter().take(count).map(|element| element.op);
        let in_front =
            front.eq(entry.ops.iter().map(|op| op.op)) || bug == Some(Bug::AdoptPopsFront);
        if !in_front && !self.adopt(entry) && bug != Some(Bug::AdoptsPart) {
            return false;
        }
        self.done = entry.last();
        self.position = entry.first;
        for (op, outcome) in entry.outcomes() {
            self.ops.insert(op, outcome.ticket);
            self.outcomes.insert(outcome.ticket, (op, outcome.verdict));
        }
        if in_front {
            self.queue.drain(..count.min(self.queue.len()));
        }
        self.settle_areas(entry, bug);
        self.locked = false;
        true
    }

    /// Takes the next element out if it is of the batch, and else gives it the ticket that it will have.
    /// Whether it was the last.
    fn adopt(&mut self, entry: &Entry) -> bool {
        let at = self.adopting.take_if(|(done, _)| *done == self.done).map_or(0, |(_, at)| at);
        let next = self.queue.get(at).map(|element| element.op);
        let is_decided = next.is_some_and(|next| entry.ops.iter().any(|op| op.op == next));
        let at = match next {
            Some(_) if is_decided => {
                self.queue.remove(at);
                at
            }
            Some(op) => {
                self.ops.insert(op, entry.last() + 1 + at as Ticket);
                at + 1
            }
            None => at,
        };
        let is_last = at >= self.queue.len();
        self.adopting = (!is_last).then_some((self.done, at));
        is_last
    }

    /// The part of `publish.lua` about areas that the batch's ops owned.
    fn settle_areas(&mut self, entry: &Entry, bug: Option<Bug>) {
        let fate = |owner: Option<Op>| {
            let op = entry.ops.iter().find(|op| Some(op.op) == owner && op.areas.is_some())?;
            Some(matches!(op.verdict, Verdict::Committed | Verdict::NoChanges))
        };
        let (mut consumed, mut without_owner): (Vec<Op>, Vec<Op>) = Default::default();
        for index in 0..self.sealed.len() {
            let Area { id, owner } = self.sealed[index].clone();
            match fate(owner) {
                Some(false) if bug == Some(Bug::AreaDropped) => consumed.push(id),
                Some(false) => {
                    self.sealed[index].owner = None;
                    without_owner.push(id);
                    if !matches!(bug, Some(Bug::NeverPrunes | Bug::PrunesLate)) {
                        let newer: Vec<Op> =
                            self.sealed[index + 1..].iter().map(|area| area.id).collect();
                        newer.into_iter().for_each(|newer| self.prune(id, newer));
                    }
                }
                Some(true) => {
                    consumed.push(id);
                    if bug == Some(Bug::PrunesLate) {
                        without_owner.iter().for_each(|older| self.prune(*older, id));
                    }
                }
                None if owner.is_none() => without_owner.push(id),
                None => {}
            }
        }
        let is_empty = |id: &Op| self.areas.get(id).is_none_or(Staging::is_empty);
        without_owner.retain(|id| is_empty(id));
        self.sealed
            .retain(|area| !consumed.contains(&area.id) && !without_owner.contains(&area.id));
        // An area that is no longer listed is not read any more: that it stays readable for a
        // while is for readers of branches.
        self.areas.retain(|id, _| self.sealed.iter().any(|area| area.id == *id));
    }

    fn prune(&mut self, older: Op, newer: Op) {
        let newer: Vec<Path> =
            self.areas.get(&newer).into_iter().flat_map(|area| area.keys().copied()).collect();
        if let Some(older) = self.areas.get_mut(&older) {
            older.retain(|path, _| !newer.contains(path));
        }
    }

    /// `lua/cancel.lua`
    pub fn cancel(&mut self, op: Op, bug: Option<Bug>) {
        let Known::Pending(ticket) = self.status(op) else { return };
        // By its place, whichever of two tickets it has while a batch is adopted.
        let Some(index) = self.queue.iter().position(|element| element.op == op) else { return };
        let is_counted = self.adopting.is_some_and(|(done, at)| done == self.done && index < at);
        if !is_counted && index != usize::from(ticket - self.done - 1) {
            return;
        }
        self.queue[index].cancelled = true;
        if bug == Some(Bug::CancelRemoves) {
            self.queue.remove(index);
        }
    }

    /// `lua/stage.lua`
    pub fn stage(&mut self, write: Write, path: Path, bug: Option<Bug>) {
        let new = self.calls.insert(write);
        if new || bug == Some(Bug::StageForgets) {
            self.staged.insert(path, write);
        }
    }

    /// `lua/restore.lua` into a Redis that has nothing: the branch as the log has it.
    pub fn restore(log: &[std::sync::Arc<Entry>], bug: Option<Bug>) -> Self {
        let mut redis = Self::default();
        for (op, outcome) in log.iter().flat_map(|entry| entry.outcomes()) {
            redis.outcomes.insert(outcome.ticket, (op, outcome.verdict));
            if bug != Some(Bug::RestoreForgets) {
                redis.ops.insert(op, outcome.ticket);
            }
        }
        if let Some(newest) = log.last() {
            redis.done = newest.last();
            redis.position = newest.first;
        }
        redis
    }
}
