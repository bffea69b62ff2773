//! The head of a branch as a helper works on it: a commit and the stack of levels under it.

use std::sync::Arc;

use crate::coord::HeadView;
use crate::model::error::Result;
use crate::model::ids::{BranchUid, CommitId, Ticket};
use crate::tree::Metarange;

use super::entry::LogEntry;
use super::lake::Lake;

/// Where a branch stands after some log entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The branch whose head it is.
    pub uid: BranchUid,
    /// Tickets decided up to here.
    pub done: u64,
    /// The head commit.
    pub commit: Option<CommitId>,
    /// Its generation; 0 without one.
    pub generation: u64,
    /// What the branch contains.
    pub metarange: Metarange,
    /// First ticket of the newest log entry.
    pub position: Option<Ticket>,
    /// Number of log entries.
    pub entries: u64,
    /// Whether the branch has ended.
    pub closed: bool,
}

impl Head {
    /// The head after `entry`.
    pub fn after(entry: &LogEntry) -> Result<Self> {
        let (commit, generation) = entry.head_after()?;
        Ok(Self {
            uid: entry.uid,
            done: entry.last().0,
            commit,
            generation,
            metarange: entry.metarange_after(),
            position: Some(entry.first),
            entries: entry.sequence + 1,
            closed: entry.closes,
        })
    }

    /// The head of a branch without log entries that starts at `commit`.
    pub async fn start(lake: &Lake, uid: BranchUid, commit: Option<CommitId>) -> Result<Self> {
        let (generation, metarange) = match &commit {
            None => (0, Metarange::default()),
            Some(id) => (lake.commit(id).await?.generation, lake.metarange(id).await?),
        };
        Ok(Self {
            uid,
            done: 0,
            commit,
            generation,
            metarange,
            position: None,
            entries: 0,
            closed: false,
        })
    }

    /// The head that Redis names.
    pub async fn load(lake: &Lake, uid: BranchUid, view: &HeadView) -> Result<Self> {
        if view.position == 0 {
            return Self::start(lake, uid, view.commit).await;
        }
        Self::after(&*lake.known_entry(uid, Ticket(view.position)).await?)
    }

    /// The place of the next log entry.
    pub fn next(&self) -> Ticket {
        Ticket(self.done + 1)
    }

    /// The next log entry, if somebody has decided it.
    pub async fn successor(&self, lake: &Lake) -> Result<Option<Arc<LogEntry>>> {
        lake.decided(self.uid, self.next()).await
    }
}
