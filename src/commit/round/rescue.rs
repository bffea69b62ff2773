//! A batch that meets damage: something it needs is missing from the object store, or is not what
//! it was. The ops that cannot be carried out without it fail; the branch goes on.

use futures::TryStreamExt;

use crate::model::error::Result;
use crate::tree::{ALL, ChangeSet, ScanStart};

use super::situation::{Prepared, Situation, Work};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::op::verdict::Verdict;

/// Levels that a stack may grow to while damage keeps it from being folded.
const LEVELS_MAX: usize = 64;

/// Settles the ops that damage keeps from being carried out: those that bring a run which cannot be
/// read; and every commit, once the stack has become too high because nothing can be folded.
///
/// Cost: a read of all runs that the batch brings.
pub(in crate::commit) async fn fail_damaged(
    lake: &Lake,
    head: &Head,
    situation: &mut Situation,
    damage: &str,
) -> Result<()> {
    let too_high = head.metarange.levels.len() >= LEVELS_MAX;
    for op in &mut situation.ops {
        let reason = match &op.work {
            Work::Commit { .. } | Work::Merge { .. } if too_high => Some(damage.to_owned()),
            _ => match read_all(lake, op).await {
                Ok(()) => None,
                Err(error) if error.is_permanent() => Some(error.to_string()),
                Err(error) => return Err(error),
            },
        };
        if let Some(reason) = reason {
            op.work = Work::Settled(Verdict::Failed { reason });
        }
    }
    Ok(())
}

async fn read_all(lake: &Lake, op: &Prepared) -> Result<()> {
    let run = match &op.work {
        Work::Commit { changes: ChangeSet::Large(run), .. } => run.clone(),
        Work::Merge { view, .. } => match &view.run {
            Some(run) => run.clone(),
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    let mut records = lake.tree().scan_run(run, ALL, ScanStart::all());
    while records.try_next().await?.is_some() {}
    Ok(())
}
