//! Something that happened to a branch, as its log and its record tell it.

use crate::commit::log::entry::LogEntry;
use crate::model::commit::Commit;
use crate::model::error::Result;
use crate::model::ids::{BranchUid, CommitId, OpId, Ticket};
use crate::model::name::BranchName;

use super::definition::EventKind;
use super::progress::Followed;

/// Something that happened to a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchEvent {
    /// The same whenever it is delivered, and of no other event.
    pub id: String,
    /// Name of the branch.
    pub branch: BranchName,
    /// The uid of the branch.
    pub uid: BranchUid,
    /// Its place in the order of the branch; `None` of what has none: the beginning, and an end by its mark.
    pub ticket: Option<Ticket>,
    /// When it was, milliseconds since the Unix epoch, where anything says so.
    pub at_ms: Option<i64>,
    /// What it was.
    pub what: Happened,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A commit, or a merge.
    Committed {
        /// The id of the commit.
        id: CommitId,
        /// What it says.
        commit: Box<Commit>,
    },
    /// Another commit became the head.
    Reset {
        /// The commit that is the head now.
        commit: CommitId,
        /// The op that asked for it.
        op_id: OpId,
    },
    /// The branch was made.
    Created {
        /// The commit it starts from.
        start: Option<CommitId>,
    },
    /// The branch was deleted.
    Deleted,
}

impl BranchEvent {
    /// Which kind of event it is.
    pub fn kind(&self) -> EventKind {
        match &self.what {
            Happened::Committed { commit, .. } if commit.parents.len() > 1 => EventKind::Merge,
            Happened::Committed { .. } => EventKind::Commit,
            Happened::Reset { .. } => EventKind::Reset,
            Happened::Created { .. } => EventKind::BranchCreated,
            Happened::Deleted => EventKind::BranchDeleted,
        }
    }

    /// That a branch was made.
    pub(super) fn created(of: &Followed) -> Self {
        let what = Happened::Created { start: of.start };
        Self { at_ms: Some(of.created_ms), ..Self::new(of, "created".into(), None, what) }
    }

    /// That a branch was deleted: by its log at `ticket`, or by its mark alone.
    pub(super) fn deleted(of: &Followed, ticket: Option<Ticket>) -> Self {
        Self::new(of, "deleted".into(), ticket, Happened::Deleted)
    }

    /// What op `index` of a log entry has done, if it is an event.
    pub(super) fn of_op(of: &Followed, entry: &LogEntry, index: usize) -> Result<Option<Self>> {
        let Some(op) = entry.ops.get(index) else { return Ok(None) };
        let ticket = entry.first.plus(index as u64);
        let (at_ms, what) = match (&op.commit, entry.commit_id(index)?, op.reset) {
            (Some(commit), Some(id), _) => {
                let commit = Box::new(commit.clone());
                (Some(commit.created_ms), Happened::Committed { id, commit })
            }
            (_, _, Some(reset)) => {
                (None, Happened::Reset { commit: reset.commit, op_id: op.op_id })
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { at_ms, ..Self::new(of, ticket.to_string(), Some(ticket), what) }))
    }

    fn new(of: &Followed, place: String, ticket: Option<Ticket>, what: Happened) -> Self {
        let id = format!("{}-{place}", of.uid);
        Self { id, branch: of.name.clone(), uid: of.uid, ticket, at_ms: None, what }
    }
}
