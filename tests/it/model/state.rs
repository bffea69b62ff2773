//! A state of the whole world, and the sizes of a run.

use std::sync::Arc;

use super::bugs::Bug;
use super::redis::{Redis, View};
use super::values::{Entry, Level, Op, Outcome, Path, Ticket, Write};

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A commit that brings its changes itself.
    Commit,
    /// A commit of what is staged.
    Seal,
    /// An exchange of the two lowest levels for one of equal content.
    Fold,
    /// A staged write.
    Stage(Path),
}

/// One thing a client does. A client makes its calls one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub client: u8,
    pub what: What,
}

/// The size of a run, and what can go wrong in it.
#[derive(Clone, Debug)]
pub struct Scope {
    pub name: &'static str,
    pub calls: Vec<Call>,
    /// Ops in a batch, at most.
    pub batch_max: usize,
    /// Rounds under way at the same time, at most; a paused one counts.
    pub helpers: usize,
    /// How often Redis goes back to an earlier state.
    pub losses: u8,
    /// Whether a second primary can appear.
    pub split: bool,
    /// Calls to `cancel`.
    pub cancels: u8,
    /// Whether replies of calls that change something are lost, so that the calls are repeated.
    pub lost_replies: bool,
    /// Whether a client knows of its ops only that it has asked. It can do all that one that knows
    /// more can.
    pub forgetful: bool,
    /// Whether the moments at which calls begin and end are kept.
    pub real_time: bool,
    /// Whether rounds are counted: each has its client then, and a client runs one at a time.
    pub counted: bool,
    /// Whether a round prepares the next batch before its own is decided.
    pub ahead: bool,
    /// Whether steps that only bring Redis closer to the log are taken as one (`faults.rs`).
    pub merged: bool,
    /// How many steps are taken at the most, where taking all is too much.
    pub depth: Option<usize>,
    pub bug: Option<Bug>,
}

/// How far a call has come, as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Progress {
    New,
    /// Asked for, and nothing known.
    Asked,
    /// Accepted at this position of the queue, so many rounds of the client ago.
    Accepted {
        position: u8,
        rounds: u8,
    },
    /// Nothing was staged: not accepted, and never was.
    Refused,
    Told(Outcome),
}

/// A round under way: what its process holds in memory, and so what a crash loses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Helper {
    /// The Redis it talks to.
    pub at: u8,
    /// Its client, where rounds are counted.
    pub by: Option<u8>,
    pub stage: Stage,
}

/// Where a round stands; each is followed by one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Has a view in which ops own sealed areas, and reads those next.
    Viewed(View),
    /// Has a log entry, and decides next. Perhaps also the one behind it, prepared ahead.
    Built { entry: Arc<Entry>, ahead: Option<Arc<Entry>> },
    /// Knows what was decided, and publishes next. Not `mine`: follows the log afterwards.
    Decided { entry: Arc<Entry>, mine: bool, ahead: Option<Behind> },
    /// Reads the log entry behind this ticket next.
    Following { done: Ticket },
    /// Has read the log, of so many entries, and puts the branch into Redis next.
    Restoring { entries: usize },
}

/// What a round has behind a batch that it has decided and not published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behind {
    /// A log entry that may be decided.
    Ready(Arc<Entry>),
    /// What was decided at its place, and whether it is that.
    Decided { entry: Arc<Entry>, mine: bool },
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The primaries; `None` where a Redis does not have the branch.
    pub redis: Vec<Option<Arc<Redis>>>,
    /// Earlier states of the first Redis that it can go back to.
    pub earlier: Vec<Arc<Redis>>,
    pub losses_left: u8,
    pub cancels_left: u8,
    /// The log: one object per entry, by first ticket.
    pub log: Vec<Arc<Entry>>,
    /// Rounds under way. Sorted: which is which makes no difference.
    pub helpers: Vec<Helper>,
    pub calls: Vec<Progress>,
    /// What folds exchange, by call, as planned.
    pub plans: Vec<Option<Vec<Level>>>,
    pub history: History,
}

/// What no process knows, for the properties alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Ops as they were accepted first; kept where Redis loses nothing.
    pub accepted: Vec<Op>,
    /// Staged writes as they were made; kept where Redis loses nothing.
    pub staged: Vec<Write>,
    /// Calls in the order in which their clients were told; kept with [`Scope::real_time`].
    pub told: Vec<u8>,
    /// How many had been told when a call began.
    pub began: Vec<u8>,
    /// For each call that seals: writes that another op had sealed and not decided when it was
    /// accepted.
    pub passed_over: Vec<Vec<Write>>,
    /// For each call that seals and whose client knows that it was accepted: writes that had not begun
    /// by then.
    pub later: Vec<Vec<Write>>,
}

impl Stage {
    /// Has a log entry, and nothing behind it.
    pub fn built(entry: Arc<Entry>) -> Self {
        Self::Built { entry, ahead: None }
    }

    /// Knows what was decided, and has nothing behind it.
    pub fn decided(entry: Arc<Entry>, mine: bool) -> Self {
        Self::Decided { entry, mine, ahead: None }
    }
}

impl Scope {
    /// Whether Redis keeps everything.
    pub fn keeps_all(&self) -> bool {
        self.losses == 0 && !self.split
    }

    pub fn start(&self) -> State {
        let calls = self.calls.len();
        State {
            redis: vec![Some(Arc::new(Redis::default()))],
            earlier: Vec::new(),
            losses_left: self.losses,
            cancels_left: self.cancels,
            log: Vec::new(),
            helpers: Vec::new(),
            calls: vec![Progress::New; calls],
            plans: vec![None; calls],
            history: History {
                began: vec![0; if self.real_time { calls } else { 0 }],
                passed_over: vec![Vec::new(); calls],
                later: vec![Vec::new(); calls],
                ..History::default()
            },
        }
    }
}

impl State {
    /// The log entry at a place, if there is one.
    pub fn entry(&self, first: Ticket) -> Option<&Arc<Entry>> {
        self.log.iter().find(|entry| entry.first == first)
    }

    /// The first free place of the log.
    pub fn next(&self) -> Ticket {
        self.log.last().map_or(1, |entry| entry.last() + 1)
    }

    /// What the log has of an op.
    pub fn decided(&self, op: Op) -> Option<Outcome> {
        self.log
            .iter()
            .flat_map(|entry| entry.outcomes())
            .find(|(each, _)| *each == op)
            .map(|(_, outcome)| outcome)
    }

    /// A Redis that has the branch.
    pub fn at(&self, at: u8) -> Option<&Arc<Redis>> {
        self.redis.get(usize::from(at))?.as_ref()
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, at: u8) -> &mut Redis {
        Arc::make_mut(self.redis[usize::from(at)].as_mut().expect("the branch is there"))
    }
}
