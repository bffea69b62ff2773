//! The one way in which a path of a branch is changed: staged, on conditions that cannot come to be wrong in
//! between.

use s3s::S3Result;

use super::error::told;
use crate::conditions::Conditions;
use crate::writes::{stage, withdrawn};
use onward::internals::repo::Branch;
use onward::{Change, Entry, ObjectPath, PathChange};

/// Changes a path on the conditions of a request.
pub async fn change(
    branch: &Branch,
    path: &ObjectPath,
    change: Change,
    conditions: &Conditions,
) -> S3Result<()> {
    stage(branch, path, change, conditions).await.map_err(told)
}

/// Gives a path what was uploaded for it; where it certainly does not get it, the bytes go again.
pub async fn store(
    branch: &Branch,
    path: &ObjectPath,
    entry: &Entry,
    conditions: &Conditions,
) -> S3Result<()> {
    match stage(branch, path, Change::Put(entry.clone()), conditions).await {
        Ok(()) => Ok(()),
        Err(error) => Err(told(withdrawn(branch, entry, error).await)),
    }
}

/// Deletes many paths.
pub async fn delete_all(branch: &Branch, paths: Vec<ObjectPath>) -> S3Result<()> {
    let deletion = |path| PathChange { path, change: Change::Delete, condition: None };
    let changes: Vec<PathChange> = paths.into_iter().map(deletion).collect();
    branch.stage(&changes).await.map_err(told)
}
