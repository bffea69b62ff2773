//! Ops in a log, by their ids.

use std::collections::{HashMap, HashSet};

use super::lake::Lake;
use crate::commit::op::verdict::OutcomeRecord;
use crate::model::error::Result;
use crate::model::ids::{BranchUid, OpId, Ticket};

/// Looks for an op in the log behind ticket `after`: exact, and as long as the log is behind it.
pub async fn find_in_log(
    lake: &Lake,
    uid: BranchUid,
    op_id: OpId,
    after: u64,
) -> Result<Option<(Ticket, OutcomeRecord)>> {
    Ok(find_all_in_log(lake, uid, HashSet::from([op_id]), after).await?.remove(&op_id))
}

/// Looks for many ops in one reading, as [`find_in_log`] does.
pub async fn find_all_in_log(
    lake: &Lake,
    uid: BranchUid,
    mut wanted: HashSet<OpId>,
    after: u64,
) -> Result<HashMap<OpId, (Ticket, OutcomeRecord)>> {
    let mut found = HashMap::new();
    let Some(first) = lake.near(uid, Ticket(after + 1)).await? else {
        return Ok(found);
    };
    let mut log = lake.log_from(uid, first).await?;
    let mut last_of_use = None;
    while !wanted.is_empty()
        && let Some(entry) = log.next().await?
    {
        for (index, op) in entry.ops.iter().enumerate() {
            if wanted.remove(&op.op_id) {
                let ticket = entry.first.plus(index as u64);
                found.insert(op.op_id, (ticket, entry.outcome(index, op)?));
                last_of_use = Some(entry.first);
            }
        }
    }
    if let Some(first) = last_of_use {
        lake.outlasts_power(uid, first).await?;
    }
    Ok(found)
}
