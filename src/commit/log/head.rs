//! The head of a branch as a helper works on it: a commit and the stack of levels under it.

use std::sync::Arc;

use crate::coord::HeadView;
use crate::model::error::{Error, Result};
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

    /// The head that Redis names. Fails where the log has another one there: they are of different
    /// histories, and whatever is built on one does not fit the other.
    pub async fn load(lake: &Lake, uid: BranchUid, view: &HeadView) -> Result<Self> {
        if view.position == 0 {
            return Self::start(lake, uid, view.commit).await;
        }
        let head = Self::after(&*lake.known_entry(uid, Ticket(view.position)).await?)?;
        match head.is_shown_by(view) {
            true => Ok(head),
            false => Err(Error::corrupt(format!(
                "Redis and the log are of different histories of branch {uid} in repository '{0}': {1}. The storage was put back from a copy, or two histories were written; `onward verify {0}` tells, and `onward recover {0}` rebuilds Redis from the log and names what it gives up",
                lake.repo(),
                head.differs_from(view)
            ))),
        }
    }

    /// Whether Redis shows this head.
    pub fn is_shown_by(&self, view: &HeadView) -> bool {
        self.position == Some(Ticket(view.position))
            && self.done == view.done
            && self.commit == view.commit
    }

    /// How it differs from what Redis shows, for people.
    pub fn differs_from(&self, view: &HeadView) -> String {
        let named = |commit: Option<CommitId>| match commit {
            Some(commit) => format!("commit {commit}"),
            None => "no commit".to_owned(),
        };
        format!(
            "Redis has {} after ticket {}, the log has {} after ticket {}",
            named(view.commit),
            view.done,
            named(self.commit),
            self.done
        )
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
