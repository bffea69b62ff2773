//! The faults there are, and in which order a seed brings them.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A worker is killed somewhere; a new one takes its place.
    KillWorker,
    /// A worker is killed at a named point of a round.
    KillAtPoint,
    /// A worker is stopped for a while.
    StopWorker,
    /// A worker is stopped, replaced, and wakes up later.
    ReplacedWorkerWakes,
    /// A connection breaks before Redis sees a request.
    LoseRequest,
    /// A connection breaks instead of a reply.
    LoseReply,
    DelayRequest,
    DelayReply,
    /// Redis gets a request twice.
    Duplicate,
    /// All connections break.
    Cut,
    /// Nothing moves for a while, connections stay.
    Stall,
    /// No connection can be had for a while.
    Refuse,
    RestartRedis,
    KillRedis,
    PauseRedis,
    /// Redis takes no writes that need memory.
    OutOfMemory,
    StoreOutage,
    StoreSlow,
    /// Objects are created, their creators are told of a broken connection.
    StoreLostReply,
    /// Nothing is created, and it is said to exist.
    StoreFalseConflict,
    DiskFull,
    DiskReadOnly,
    /// Redis ends without saving anything and comes back empty.
    LoseEverything,
    /// Everything in Redis is deleted while connections stay.
    Flush,
    /// Redis goes back to an earlier state.
    RollBack,
    /// Half of the workers use another Redis for a while.
    TwoPrimaries,
    /// The primary dies, a replica without its newest writes takes over.
    Promote,
    /// The same, while half of the workers go on with the old primary for a while.
    PromoteBesides,
    /// Redis' clock jumps, by up to three hours.
    ClockJump,
}

impl Fault {
    /// Whether rounds can fail while it lasts, which is no round in the sense of the bound.
    pub fn fails_rounds(self) -> bool {
        !matches!(
            self,
            Self::KillWorker
                | Self::KillAtPoint
                | Self::StopWorker
                | Self::ReplacedWorkerWakes
                | Self::ClockJump
        )
    }
}

/// A deployment in which faults happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Redis keeps what it has accepted.
    Durable,
    /// Redis keeps nothing on disk.
    Forgetful,
    /// Redis has a replica, which can be behind.
    Replicated,
    /// Redis keeps what it has accepted; clocks differ and jump.
    Clocks,
}

impl Setting {
    pub const ALL: [Self; 4] = [Self::Durable, Self::Forgetful, Self::Replicated, Self::Clocks];

    pub fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Forgetful => "forgetful",
            Self::Replicated => "replicated",
            Self::Clocks => "clocks",
        }
    }

    /// Whether Redis loses nothing that it has accepted.
    pub fn keeps(self) -> bool {
        matches!(self, Self::Durable | Self::Clocks)
    }

    /// How many of a hundred faults happen here.
    pub fn share(self) -> usize {
        match self {
            Self::Durable => 46,
            Self::Forgetful => 26,
            Self::Replicated => 16,
            Self::Clocks => 12,
        }
    }

    /// The faults that happen here.
    pub fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::Durable => &[
                KillWorker,
                KillAtPoint,
                StopWorker,
                ReplacedWorkerWakes,
                LoseRequest,
                LoseReply,
                DelayRequest,
                DelayReply,
                Duplicate,
                Cut,
                Stall,
                Refuse,
                RestartRedis,
                KillRedis,
                PauseRedis,
                OutOfMemory,
                StoreOutage,
                StoreSlow,
                StoreLostReply,
                StoreFalseConflict,
                DiskFull,
                DiskReadOnly,
            ],
            Self::Forgetful => &[
                KillWorker,
                KillAtPoint,
                StopWorker,
                ReplacedWorkerWakes,
                LoseReply,
                Duplicate,
                StoreOutage,
                LoseEverything,
                Flush,
                RollBack,
                TwoPrimaries,
            ],
            Self::Replicated => {
                &[KillWorker, StopWorker, LoseReply, StoreLostReply, Promote, PromoteBesides]
            }
            Self::Clocks => &[KillWorker, StopWorker, KillRedis, ClockJump, ClockJump],
        }
    }

    /// So many faults, each kind about equally often, in an order drawn by `random`.
    pub fn draw(self, count: usize, random: &mut StdRng) -> Vec<Fault> {
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let mut deck = self.faults().to_vec();
            deck.shuffle(random);
            drawn.extend(deck);
        }
        drawn.truncate(count);
        drawn
    }
}
