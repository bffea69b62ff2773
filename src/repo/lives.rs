//! Every life that a branch of a repository ever had: who is alive, who has ended, and whose logs
//! there are.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use crate::commit::log::lake::Lake;
use crate::commit::log::record::{BranchRecord, Incarnation, incarnations};
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::BranchName;
use crate::objects::layout;

/// Records read at the same time, at most.
const READS: usize = 16;

/// One incarnation of a branch, by what lies in the object store.
#[derive(Debug)]
pub(super) struct Life {
    /// Name of the branch.
    pub(super) name: BranchName,
    /// Which incarnation of the name, from 1.
    pub(super) incarnation: u32,
    /// Whether it is the newest of its name and carries no mark of its end. Its log may still say
    /// that it has ended.
    pub(super) live: bool,
    /// Its record, or why it cannot be had.
    pub(super) record: Result<BranchRecord>,
}

/// Reads every incarnation's record, by name and number. A record that is missing or damaged is
/// told in its place; anything else that fails, fails the call.
pub(super) async fn all(lake: &Lake) -> Result<Vec<Life>> {
    futures::stream::iter(incarnations(lake).await?)
        .map(|Incarnation { name, number: incarnation, live }| async move {
            let record = read(lake, &name, incarnation).await?;
            Ok(Life { name, incarnation, live, record })
        })
        .buffered(READS)
        .try_collect()
        .await
}

async fn read(lake: &Lake, name: &BranchName, incarnation: u32) -> Result<Result<BranchRecord>> {
    let key = layout::branch(lake.repo(), name, incarnation);
    match BranchRecord::read(lake, name, incarnation).await {
        Ok(Some(record)) if record.name != *name || record.incarnation != incarnation => {
            Ok(Err(Error::corrupt(format!(
                "object '{key}' is the record of branch '{}', incarnation {}",
                record.name, record.incarnation
            ))))
        }
        Ok(Some(record)) => Ok(Ok(record)),
        Ok(None) => Ok(Err(Error::not_found(format!("object '{key}' is missing")))),
        Err(error) if error.kind() == crate::ErrorKind::Corrupt => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

/// The uids below `log/`. Call it before [`all`]: a branch has its record before its log.
pub(super) async fn logs(lake: &Lake) -> Result<BTreeSet<BranchUid>> {
    let dirs = lake.objects().list_dirs(&layout::logs_dir(lake.repo())).await?;
    Ok(dirs.iter().filter_map(|dir| dir.parse().ok()).collect())
}
