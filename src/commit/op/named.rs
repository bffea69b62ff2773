//! What an op names in the object store: everything that must not go away before it is decided.

use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::tree::{InlineRun, RunRef};

use super::request::{Changes, Op, Request};

/// What an op names.
#[derive(Debug)]
pub struct Named {
    /// Runs, whose ranges and records it names, too.
    pub runs: Vec<RunRef>,
    /// Changes that travel in the op itself.
    pub inline: Option<InlineRun>,
    /// Commits, with all that they contain and descend from.
    pub commits: Vec<CommitId>,
}

impl Op {
    /// What the op names. What it has sealed lies in Redis and is not part of this. Fails with
    /// [`crate::ErrorKind::Corrupt`] when its changes cannot be read; then it names nothing,
    /// because it will fail.
    pub fn named(&self) -> Result<Named> {
        let (commits, inline) = match &self.request {
            Request::Commit(commit) => {
                let inline = match &commit.changes {
                    Changes::Inline(bytes) => Some(bytes),
                    Changes::Run(_) | Changes::Sealed => None,
                };
                (vec![commit.base], inline)
            }
            Request::Merge(request) => {
                let merge = &request.merge;
                (vec![merge.base, merge.source, merge.against], Some(merge.plan.records()))
            }
            Request::Reset(to) => (vec![Some(*to)], None),
            Request::DeleteBranch | Request::Fold(_) | Request::Forget(_) => (Vec::new(), None),
        };
        Ok(Named {
            runs: self.runs().into_iter().cloned().collect(),
            inline: inline.map(|bytes| InlineRun::decode(bytes)).transpose()?,
            commits: commits.into_iter().flatten().collect(),
        })
    }
}
