//! Reading on in the log of a branch, event by event.

use std::sync::Arc;

use crate::commit::log::entry::LogEntry;
use crate::commit::log::lake::Lake;
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::Ticket;

use super::event::BranchEvent;
use super::progress::Followed;

/// What comes next on a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An event, and where the branch is when it was delivered.
    Event(Box<BranchEvent>, Box<Followed>),
    /// The end of the branch, behind which nothing comes.
    End(Box<BranchEvent>),
    /// Nothing that is decided yet.
    Nothing,
}

/// A branch that is being read on. Holds one log entry at a time.
#[derive(Debug)]
pub struct Follower {
    lake: Lake,
    at: Followed,
    entry: Option<Arc<LogEntry>>,
}

impl Follower {
    /// Reads on at a place of the log.
    pub(super) fn new(lake: Lake, at: Followed) -> Self {
        Self { lake, at, entry: None }
    }

    /// Where the branch is: everything in front of it was delivered, or is no event.
    pub fn at(&self) -> &Followed {
        &self.at
    }

    /// What comes next, without going there. Ops that are no events are passed. Reads a log entry where the one at
    /// hand is through; what it tells of outlasts a power failure.
    pub async fn next(&mut self) -> Result<Next> {
        if !self.at.announced {
            let after = Followed { announced: true, ..self.at.clone() };
            return Ok(Next::Event(Box::new(BranchEvent::created(&self.at)), Box::new(after)));
        }
        loop {
            let entry = match self.entry.take() {
                Some(entry) => entry,
                None => match self.lake.decided(self.at.uid, self.at.entry).await {
                    Ok(Some(entry)) => entry,
                    Ok(None) if !self.at.over => return Ok(Next::Nothing),
                    // A branch whose log is damaged ends by its mark: what comes next cannot be told.
                    Err(error) if !(self.at.over && error.kind() == ErrorKind::Corrupt) => {
                        return Err(error);
                    }
                    Ok(None) | Err(_) => {
                        return Ok(Next::End(Box::new(BranchEvent::deleted(&self.at, None))));
                    }
                },
            };
            while self.at.next <= entry.last() {
                let index = (self.at.next.0.saturating_sub(entry.first.0)) as usize;
                if let Some(event) = BranchEvent::of_op(&self.at, &entry, index)? {
                    let after = Followed { next: self.at.next.next(), ..self.at.clone() };
                    self.entry = Some(entry);
                    return Ok(Next::Event(Box::new(event), Box::new(after)));
                }
                self.at.next = self.at.next.next();
            }
            if entry.closes {
                let ended = BranchEvent::deleted(&self.at, Some(entry.last()));
                self.entry = Some(entry);
                return Ok(Next::End(Box::new(ended)));
            }
            self.at.entry = entry.last().next();
        }
    }

    /// Goes on to a place that [`next`](Self::next) gave: its event was delivered.
    pub fn go_on(&mut self, after: Followed) {
        self.at = Followed { failing_since_ms: None, ..after };
    }
}

/// The place of ticket `wanted`, which is decided.
pub(super) async fn place_of(lake: &Lake, of: &Followed, wanted: Ticket) -> Result<Followed> {
    let Some(mut entry) = lake.near(of.uid, wanted).await? else { return Ok(of.clone()) };
    while let Some(found) = lake.decided(of.uid, entry).await? {
        if found.last() >= wanted {
            break;
        }
        entry = found.last().next();
    }
    Ok(Followed { entry, next: wanted.max(entry), ..of.clone() })
}
