//! Where a branch stands, as Redis has it.

use crate::model::ids::CommitId;

/// Whether a branch takes ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchState {
    /// It takes ops.
    Open,
    /// Its last op was its deletion.
    Deleted,
}

/// Where a branch's head stands, as Redis has it. Redis can only be behind the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadView {
    /// Whether the branch takes ops.
    pub state: BranchState,
    /// Tickets decided so far.
    pub done: u64,
    /// The head commit; `None` before the first commit of a repository.
    pub commit: Option<CommitId>,
    /// First ticket of the newest log entry; 0 when the branch has none yet.
    pub position: u64,
}
