//! How far a sink has come: a place in the log of each branch that it follows, one object for each sink.
//!
//! **The rule that it rests on:** whoever writes a place has delivered everything of that branch before it, or has
//! read a place that somebody else wrote by this rule. So no order of writes, not one of a process that slept
//! through its lease either, makes a place that something undelivered is in front of; the worst is an older place,
//! from which some is delivered again.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, CommitId, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::BranchName;
use crate::objects::{Objects, layout};

use super::definition::Sink;

/// Branches that a sink follows at the same time, at most.
pub const FOLLOWED_MAX: usize = 10_000;

/// The longest text of an error that is kept, in bytes.
const REASON_LEN_MAX: usize = 500;

/// A branch that a sink follows, and where in its log it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Name of the branch.
    pub name: BranchName,
    /// Which life of the name.
    pub incarnation: u32,
    /// The uid of the branch.
    pub uid: BranchUid,
    /// The commit it starts from.
    pub start: Option<CommitId>,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Where the log entry begins that has the next ticket.
    pub entry: Ticket,
    /// The first ticket that was not delivered.
    pub next: Ticket,
    /// Whether it was told that the branch was made.
    pub announced: bool,
    /// Whether its record says that it is over: the end of its log is its end.
    #[serde(default)]
    pub over: bool,
    /// Since when its next event fails, milliseconds since the Unix epoch.
    #[serde(default)]
    pub failing_since_ms: Option<i64>,
}

/// A branch of which all was delivered, for as long as its record may be taken for a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Name of the branch.
    pub name: BranchName,
    /// Which life of the name.
    pub incarnation: u32,
    /// When its record was written, by the clock of the store.
    pub recorded_ms: i64,
}

/// A branch that the sink is for and whose record nobody can read now: it is followed once that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Name of the branch.
    pub name: BranchName,
    /// Which life of the name.
    pub incarnation: u32,
    /// Which branch that is, and the first ticket that is to be delivered, where Redis could say so; without that it
    /// is followed from its beginning.
    pub from: Option<(BranchUid, Ticket)>,
}

/// Why a sink delivers nothing any more, until it is revived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// Since when, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Why it was given up.
    pub reason: String,
}

/// How far a sink has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Raised by each process that takes the sink over: what an earlier one writes after that is refused.
    pub epoch: u64,
    /// When the newest record of a branch was written that was looked at, by the clock of the store.
    pub surveyed_ms: i64,
    /// Branches that are followed, by name and life.
    pub followed: Vec<Followed>,
    /// Branches of which all was delivered.
    pub finished: Vec<Finished>,
    /// Events delivered so far; those that were delivered again count again.
    pub delivered: u64,
    /// Since when its target cannot be opened, milliseconds since the Unix epoch.
    #[serde(default)]
    pub blocked_since_ms: Option<i64>,
    /// What went wrong last, while something does.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Set where it was given up.
    #[serde(default)]
    pub dead: Option<Dead>,
    /// Branches that cannot be followed now. A program that does not know of them follows them from their beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

impl Progress {
    /// Since when something fails, if anything does.
    pub fn failing_since_ms(&self) -> Option<i64> {
        let failing = self.followed.iter().filter_map(|followed| followed.failing_since_ms);
        failing.chain(self.blocked_since_ms).min()
    }

    /// Notes what went wrong.
    pub fn note_trouble(&mut self, what: &str) {
        self.trouble = Some(cut(what));
    }

    /// Gives the sink up.
    pub fn give_up(&mut self, at_ms: i64, reason: &str) {
        self.dead = Some(Dead { at_ms, reason: cut(reason) });
    }

    /// Takes that back: what failed is tried again from now on.
    pub fn revive(&mut self) {
        (self.dead, self.trouble, self.blocked_since_ms) = (None, None, None);
        for followed in &mut self.followed {
            followed.failing_since_ms = None;
        }
    }
}

fn cut(text: &str) -> String {
    let end = (0..=REASON_LEN_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// The object of a sink's progress, as it was last read or written.
#[derive(Debug, Clone)]
pub struct ProgressRecord {
    objects: Objects,
    key: String,
    bytes: Option<Bytes>,
}

impl ProgressRecord {
    /// That of a sink, not read yet.
    pub fn of(objects: &Objects, life: &RepoLife, sink: &Sink) -> Self {
        let key = layout::sink_progress(life, &sink.own_name());
        Self { objects: objects.clone(), key, bytes: None }
    }

    /// What it says now; `None` where there is none.
    pub async fn read(&mut self) -> Result<Option<Progress>> {
        self.bytes = self.objects.get(&self.key).await?;
        match &self.bytes {
            Some(bytes) => decode(&self.key, bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Writes it in the place of what was last read or written; returns false where somebody else has written
    /// since, or removed it.
    pub async fn write(&mut self, progress: &Progress) -> Result<bool> {
        let bytes = encode(progress)?;
        if self.bytes.as_ref() == Some(&bytes) {
            return Ok(true);
        }
        let is_written = self.objects.change(&self.key, self.bytes.as_ref(), bytes.clone()).await?;
        if is_written {
            self.bytes = Some(bytes);
        }
        Ok(is_written)
    }

    /// Removes the object.
    pub async fn remove(&self) -> Result<()> {
        self.objects.delete(&self.key).await
    }
}

/// More branches than a sink follows.
pub(super) fn too_many() -> Error {
    Error::invalid(format!(
        "more than {FOLLOWED_MAX} branches match the patterns of this sink: make one with narrower patterns"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_letters() {
        let mut progress = Progress::default();
        progress.give_up(1, &"é".repeat(400));
        assert_eq!(progress.dead.unwrap().reason.len(), 500);
    }
}
