//! What was decided about the ops of a batch, before anything of it is written. Data only.

use std::sync::Arc;

use crate::model::error::Error;
use crate::tree::{Level, Record, RunRef};

use crate::commit::log::entry::ResetTo;
use crate::commit::op::verdict::Verdict;

/// What an op does to the branch.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The head stays as it is.
    None,
    /// These changes become a commit.
    Changes {
        /// A run, taken as it is.
        run: Option<Arc<RunRef>>,
        /// Records on top of it, each carrying the op's index.
        records: Vec<Record>,
    },
    /// Another commit becomes the head.
    Reset {
        /// The commit that becomes the head.
        to: ResetTo,
        /// Levels of what it contains.
        levels: Vec<Level>,
    },
    /// The branch ends.
    Close,
    /// Nothing is known of these producers any more.
    Forget(Vec<String>),
    /// These levels of the head give way to a run of equal content.
    Fold {
        /// The first of them, as an index into the head's stack.
        at: usize,
        /// How many they are.
        len: usize,
        /// What replaces them.
        with: Arc<RunRef>,
    },
}

/// One op, decided.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What was decided of it.
    pub verdict: Verdict,
    /// What it does.
    pub effect: Effect,
}

impl Judged {
    /// An op that changes nothing.
    pub(super) fn idle(verdict: Verdict) -> Self {
        Self { verdict, effect: Effect::None }
    }

    /// An op that makes a commit.
    pub(super) fn changes(run: Option<Arc<RunRef>>, records: Vec<Record>) -> Self {
        Self { verdict: Verdict::Committed, effect: Effect::Changes { run, records } }
    }
}

/// A batch, decided.
#[derive(Debug)]
pub struct Judgement {
    /// One per op, in order.
    pub ops: Vec<Judged>,
    /// For each op: whether its producers advance with it, as it was decided in their sequences.
    pub advances: Vec<bool>,
    /// Bytes of runs that merges had written beforehand and that came to nothing.
    pub wasted: u64,
}

/// Why an op comes to an end before its work is done.
pub(super) enum Ended {
    /// It has its outcome: a conflict, a lost race, or that it cannot be carried out.
    Decided(Verdict),
    /// What deciding it needs could not be had.
    Error(Error),
}

impl From<Verdict> for Ended {
    fn from(verdict: Verdict) -> Self {
        Self::Decided(verdict)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What deciding an op comes to, step by step.
pub(super) type Step<T> = Result<T, Ended>;
