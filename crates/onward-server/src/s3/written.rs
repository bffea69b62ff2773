//! The one way in which a path of a branch is changed: as the rules of its repository say, staged or as a
//! commit of its own, on conditions that cannot come to be wrong in between.

use std::collections::HashSet;
use std::time::Duration;

use http::Extensions;
use s3s::{S3Error, S3Result};

use super::error::told;
use crate::auth::Caller;
use crate::conditions::Conditions;
use crate::error::ApiResult;
use crate::lakefs::committed::committed;
use crate::writes::{ATTEMPTS, overtaken, require, stage, unchanged, withdrawn};
use onward::internals::clock::Deadline;
use onward::internals::repo::Branch;
use onward::internals::repo::write_policy::Written;
use onward::{Change, Entry, ObjectPath, Outcome, PathChange};

/// How long a client waits for a commit: less than clients of S3 wait for an answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// Paths that were not deleted, and why.
pub type Failed = (HashSet<ObjectPath>, S3Error);

/// A branch, and who changes it.
pub struct Pen {
    branch: Branch,
    by: String,
}

impl Pen {
    /// Of whoever sent a request.
    pub fn new(branch: &Branch, extensions: &Extensions) -> Self {
        let by = extensions.get::<Caller>().map(Caller::name).unwrap_or_default();
        Self { branch: branch.clone(), by }
    }

    /// Changes a path on the conditions of a request.
    pub async fn change(
        &self,
        path: &ObjectPath,
        change: Change,
        conditions: &Conditions,
    ) -> S3Result<()> {
        self.write(path, change, conditions).await.map_err(told)
    }

    /// Gives a path what was uploaded for it; where it certainly does not get it, the bytes go again.
    pub async fn store(
        &self,
        path: &ObjectPath,
        entry: &Entry,
        conditions: &Conditions,
    ) -> S3Result<()> {
        match self.write(path, Change::Put(entry.clone()), conditions).await {
            Ok(()) => Ok(()),
            Err(error) => Err(told(withdrawn(&self.branch, entry, error).await)),
        }
    }

    /// Deletes many paths: those that are staged in few calls, the others in one commit. What of them was
    /// not, and why.
    pub async fn delete_all(&self, paths: Vec<ObjectPath>) -> S3Result<Vec<Failed>> {
        let (mut staged, mut commits) = (Vec::new(), Vec::new());
        for path in paths {
            let written = self.branch.written(&path).await.map_err(told)?;
            let deletion = PathChange { path, change: Change::Delete, condition: None };
            match written {
                Written::Staged => staged.push(deletion),
                Written::Committed => commits.push(deletion),
            }
        }
        let paths = |of: &[PathChange]| of.iter().map(|change| change.path.clone()).collect();
        let mut failed = Vec::new();
        if !staged.is_empty()
            && let Err(error) = self.branch.stage(&staged).await
        {
            failed.push((paths(&staged), told(error)));
        }
        let those = paths(&commits);
        if !commits.is_empty()
            && let Err(error) = self.commit(commits, Deadline::after(PATIENCE)).await
        {
            failed.push((those, told(error)));
        }
        Ok(failed)
    }

    async fn write(
        &self,
        path: &ObjectPath,
        change: Change,
        conditions: &Conditions,
    ) -> ApiResult<()> {
        match self.branch.written(path).await? {
            Written::Staged => stage(&self.branch, path, change, conditions).await,
            Written::Committed => self.commit_where(path, change, conditions).await,
        }
    }

    /// Commits a change where the conditions hold of what is committed, which the log decides: whatever
    /// is overtaken is judged anew.
    async fn commit_where(
        &self,
        path: &ObjectPath,
        change: Change,
        conditions: &Conditions,
    ) -> ApiResult<()> {
        let deadline = Deadline::after(PATIENCE);
        for _ in attempts(deadline) {
            let condition = match conditions.is_none() {
                true => None,
                false => {
                    let mut there = self.branch.committed(std::slice::from_ref(path)).await?;
                    let there = there.pop().flatten();
                    require(conditions, path, there.as_ref())?;
                    Some(unchanged(there))
                }
            };
            let is_conditional = condition.is_some();
            let change = PathChange { path: path.clone(), change: change.clone(), condition };
            if self.commit(vec![change], deadline).await? || !is_conditional {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    /// Whether the changes are committed, or change nothing; not so where a condition did not hold.
    async fn commit(&self, changes: Vec<PathChange>, deadline: Deadline) -> ApiResult<bool> {
        let message = match changes.as_slice() {
            [PathChange { path, change: Change::Put(_), .. }] => format!("S3: put {path}"),
            [PathChange { path, .. }] => format!("S3: delete {path}"),
            several => format!("S3: delete {} objects", several.len()),
        };
        let is_conditional = changes.iter().any(|change| change.condition.is_some());
        let mut commit = self.branch.change().message(message).timeout(deadline.left());
        if !self.by.is_empty() {
            commit = commit.committer(self.by.as_str());
        }
        for change in changes {
            commit.push(change)?;
        }
        match commit.commit().await? {
            Outcome::Conflict { .. } if is_conditional => Ok(false),
            Outcome::NoChanges { .. } => Ok(true),
            outcome => committed(&outcome, "write", &self.branch).map(|_| true),
        }
    }
}

/// The attempts of a write: as many as are made, before one deadline, since a client waits for its answer and
/// not for each of them.
fn attempts(deadline: Deadline) -> impl Iterator<Item = usize> {
    (0..ATTEMPTS).take_while(move |_| !deadline.is_over())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_attempts_have_one_deadline() {
        for (seconds, expected) in [(20, 3), (0, ATTEMPTS)] {
            let mut made = 0;
            for _ in attempts(Deadline::after(PATIENCE)) {
                made += 1;
                tokio::time::advance(Duration::from_secs(seconds)).await;
            }
            assert_eq!(made, expected);
        }
    }
}
