//! The Redis port: connections, keys, and one typed face for each script in `lua/`.
//!
//! It knows how a branch lies in Redis and nothing of what its records mean: queue elements,
//! outcome records and staged values are bytes here. It decides nothing.

pub mod areas;
mod attempts;
pub mod branches;
pub mod connect;
mod failure;
pub mod keys;
pub mod lanes;
pub mod outcomes;
pub mod publish;
pub mod queue;
mod reply;
pub mod restore;
pub mod script;
pub mod staging;
pub mod status;
pub mod submit;
pub mod view;

pub use connect::{Connector, Link};
pub use keys::BranchKeys;
pub use lanes::Lanes;

/// Whether a branch takes ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchState {
    /// It does.
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
    pub commit: Option<crate::model::ids::CommitId>,
    /// First ticket of the newest log entry; 0 when the branch has none yet.
    pub position: u64,
}
