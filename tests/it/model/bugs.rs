//! The protocol, broken on purpose: each of these must be found.

/// What is wrong with the protocol in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// `decide` overwrites the log entry instead of creating it if absent.
    DecideOverwrites,
    /// A helper that finds its place in the log taken decides its batch at the next free place.
    DecideElsewhere,
    /// A helper that finds its place in the log taken believes that it was itself.
    BelievesItself,
    /// `publish` does not compare `done`.
    PublishBlindly,
    /// `publish` comes before `decide`.
    PublishEarly,
    /// `publish` takes as many ops off the front as the batch has, whatever they are.
    AdoptPopsFront,
    /// `publish` moves on before the queue is counted to its end.
    AdoptsPart,
    /// `submit` does not look the op id up.
    SubmitForgets,
    /// Each try of a call has a new op id.
    NewIds,
    /// Ops are acknowledged before they are decided.
    TellsEarly,
    /// `submit` seals by copying the staging area.
    SealCopies,
    /// `cancel` takes the element out of the queue.
    CancelRemoves,
    /// The turn is held until its holder gives it back.
    TurnIsALock,
    /// `restore` leaves out which ops were decided.
    RestoreForgets,
    /// A fold replaces what is at the bottom by what was there when it was planned.
    FoldBlindly,
    /// `publish` throws an area away whose op did not commit.
    AreaDropped,
    /// `publish` gives an area back with what newer areas say otherwise.
    NeverPrunes,
    /// `publish` takes that out only when a newer area is committed: by then the older one can have
    /// an owner again.
    PrunesLate,
    /// `stage` does not recognise a call that is made again.
    StageForgets,
    /// An op that had sealed and was lost is settled without the log when it is submitted again.
    SettlesLostSeals,
    /// An op that had sealed and was lost takes what is staged when it is submitted again.
    LostSealsAnew,
    /// What was prepared behind a batch is decided although another's has the batch's place.
    AheadStays,
    /// What was prepared behind a batch is decided before it.
    AheadEarly,
    /// What is behind a batch is prepared whatever Redis shows in front of it.
    AheadBlindly,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 24] = [
        Self::DecideOverwrites,
        Self::DecideElsewhere,
        Self::BelievesItself,
        Self::PublishBlindly,
        Self::PublishEarly,
        Self::AdoptPopsFront,
        Self::AdoptsPart,
        Self::SubmitForgets,
        Self::NewIds,
        Self::TellsEarly,
        Self::SealCopies,
        Self::CancelRemoves,
        Self::TurnIsALock,
        Self::RestoreForgets,
        Self::FoldBlindly,
        Self::AreaDropped,
        Self::NeverPrunes,
        Self::PrunesLate,
        Self::StageForgets,
        Self::SettlesLostSeals,
        Self::LostSealsAnew,
        Self::AheadStays,
        Self::AheadEarly,
        Self::AheadBlindly,
    ];
}
