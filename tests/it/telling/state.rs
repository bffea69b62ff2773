//! A state of the world, and the sizes of a run.

/// A process, and the op that it has: each has one.
pub type Process = u8;

/// What an inbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Letter {
    /// The op of the process is decided.
    Outcome,
    /// The turn is the process's.
    Turn,
}

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Has not submitted its op yet.
    New,
    /// Waits for what becomes of it.
    Waiting,
    /// Has a batch for a place of the log, and decides next.
    Built(usize, Vec<Process>),
    /// Has decided it, and publishes what Redis lacks next.
    Decided,
    /// Has been told; waits no longer. `keeps` while it has the turn for those who come back.
    Told {
        keeps: bool,
    },
    Dead,
}

/// What Redis has of the branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Redis {
    pub queue: Vec<Process>,
    /// Decided and published, in order.
    pub done: Vec<Process>,
    pub turn: Option<Process>,
    pub inboxes: Vec<Vec<Letter>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub redis: Redis,
    /// A state that Redis can go back to.
    pub earlier: Option<Redis>,
    pub log: Vec<Process>,
    pub processes: Vec<Stage>,
    /// Letters on their way: out of the inbox, and not read yet.
    pub under_way: Vec<Option<Letter>>,
    pub kills: u8,
    pub losses: u8,
    pub rolls: u8,
    pub silent: u8,
}

/// The size of a run.
#[derive(Clone, Debug)]
pub struct Scope {
    pub processes: u8,
    /// Processes that end.
    pub kills: u8,
    /// Letters that are lost, on their way or in the inbox.
    pub losses: u8,
    /// How often Redis goes back.
    pub rolls: u8,
    /// Batches that are published without letters, as older programs do.
    pub silent: u8,
    /// Whether processes leave when their op is decided, and hand the turn on.
    pub leaves: bool,
    pub bug: Option<Bug>,
}

/// What is wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Who waits looks only when a letter says so.
    NoPatience,
    /// Who waits looks for the turn after a while, and not for the outcome.
    PatienceForTurnAlone,
    /// The turn does not run out: taken, kept or handed on.
    TurnIsALock,
    /// Letters are sent before the batch is decided.
    TellsEarly,
    /// An op that Redis has lost is waited for, and not submitted again.
    LostForGood,
}

impl Bug {
    pub const ALL: [Bug; 5] = [
        Self::NoPatience,
        Self::PatienceForTurnAlone,
        Self::TurnIsALock,
        Self::TellsEarly,
        Self::LostForGood,
    ];
}

impl Scope {
    pub fn of(processes: u8) -> Self {
        let (kills, losses, rolls, silent) = (0, 0, 0, 0);
        Self { processes, kills, losses, rolls, silent, leaves: false, bug: None }
    }

    pub fn start(&self) -> State {
        let count = usize::from(self.processes);
        State {
            redis: Redis { inboxes: vec![Vec::new(); count], ..Redis::default() },
            earlier: None,
            log: Vec::new(),
            processes: vec![Stage::New; count],
            under_way: vec![None; count],
            kills: self.kills,
            losses: self.losses,
            rolls: self.rolls,
            silent: self.silent,
        }
    }
}
