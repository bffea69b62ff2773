//! What an op names in the object store: everything that must not go away before it is decided.

use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::tree::{InlineRun, RunRef};

use super::op::{Changes, MergePlan, Op, Request, Survivors};

/// What an op names.
#[derive(Debug, Default)]
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
        let mut named = Named::default();
        match &self.request {
            Request::Commit(commit) => {
                named.commits.extend(commit.base);
                match &commit.changes {
                    Changes::Inline(bytes) => named.inline = Some(InlineRun::decode(bytes)?),
                    Changes::Run(run) => named.runs.push(run.clone()),
                    Changes::Sealed => {}
                }
            }
            Request::DeleteBranch => {}
            Request::Fold(fold) => named.runs.push(fold.with.clone()),
            Request::Merge(request) => {
                let merge = &request.merge;
                named.commits.extend([merge.base, merge.source, merge.against].iter().flatten());
                named.runs.extend(merge.run().cloned());
                let (MergePlan::Changes(records) | MergePlan::Survivors(Survivors { records, .. })) =
                    &merge.plan;
                named.inline = Some(InlineRun::decode(records)?);
            }
            Request::Reset(to) => named.commits.push(*to),
        }
        Ok(named)
    }
}
