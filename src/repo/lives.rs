//! Every life that a branch of a repository ever had: who is alive, who has ended, and whose logs
//! there are.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use crate::commit::log::lake::Lake;
use crate::commit::log::record::{BranchRecord, Incarnation, incarnations};
use crate::model::error::{Error, ErrorKind, Result};
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
            let record = match read(lake, &name, incarnation).await {
                Err(error) if !is_told(&error) => return Err(error),
                record => record,
            };
            Ok(Life { name, incarnation, live, record })
        })
        .buffered(READS)
        .try_collect()
        .await
}

async fn read(lake: &Lake, name: &BranchName, incarnation: u32) -> Result<BranchRecord> {
    let key = layout::branch(lake.life(), name, incarnation);
    match BranchRecord::read(lake, name, incarnation).await? {
        Some(record) if record.name != *name || record.incarnation != incarnation => {
            Err(Error::corrupt(format!(
                "object '{key}' is the record of branch '{}', incarnation {}",
                record.name, record.incarnation
            )))
        }
        Some(record) => Ok(record),
        None => Err(Error::not_found(format!("object '{key}' is missing"))),
    }
}

/// Whether a record is missing or damaged, which is a finding of its own.
fn is_told(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
}

/// The uids below `log/`. Call it before [`all`]: a branch has its record before its log.
pub(super) async fn logs(lake: &Lake) -> Result<BTreeSet<BranchUid>> {
    let dirs = lake.objects().list_dirs(&layout::logs_dir(lake.life())).await?;
    Ok(dirs.iter().filter_map(|dir| dir.parse().ok()).collect())
}
