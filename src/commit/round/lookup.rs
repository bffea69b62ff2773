//! What the ops of a batch need to know of the branch and of their bases before they are decided.

use std::collections::HashMap;

use futures::StreamExt;

use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, Metarange, Record};

use super::situation::{Lookups, Prepared, Work};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::crossings::{Crossing, crossings};
use crate::commit::op::merge::MergePlan;
use crate::commit::op::verdict::Verdict;

/// Ops whose questions are asked at the same time, at most.
const LOOKUPS: usize = 16;

/// What one op needs to know to be decided.
struct Asked {
    lookups: Lookups,
    crossings: Option<Vec<Crossing>>,
}

/// What the ops with conditions or a base need to know. An op whose question can never be answered,
/// because an object is missing or damaged, is settled as failed; it must not stop the others.
pub(in crate::commit) async fn look_up(
    lake: &Lake,
    head: &Head,
    ops: &mut [Prepared],
) -> Result<Lookups> {
    let asks = |op: &&Prepared| matches!(&op.work, Work::Merge { .. });
    let room = lake.merge_limits().crossings / ops.iter().filter(asks).count().max(1);
    let asking = ops.iter().filter(|op| op.asks());
    let asking: Vec<_> = asking.map(|op| look_up_for(lake, head, op, room)).collect();
    let asked: Vec<Result<Asked>> = futures::stream::iter(asking).buffered(LOOKUPS).collect().await;
    let mut lookups = Lookups::default();
    for (op, asked) in ops.iter_mut().filter(|op| op.asks()).zip(asked) {
        match asked {
            Ok(asked) => {
                lookups.head.extend(asked.lookups.head);
                lookups.bases.extend(asked.lookups.bases);
                if let Work::Merge { view, .. } = &mut op.work {
                    view.crossings = asked.crossings;
                }
            }
            Err(error) if error.is_permanent() => {
                op.work = Work::Settled(Verdict::Failed { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lookups)
}

/// Looks up what one op needs to know; `room` is how many crossings it may find.
async fn look_up_for(lake: &Lake, head: &Head, op: &Prepared, room: usize) -> Result<Asked> {
    let mut lookups = Lookups::default();
    let mut found = None;
    match &op.work {
        Work::Commit { request, changes: ChangeSet::Small(records), validated: true, .. } => {
            look_up_paths(lake, head, request.base, records, &mut lookups).await?;
        }
        Work::Merge { request, view, .. } => match &request.merge.plan {
            MergePlan::Changes(_) => {
                look_up_paths(lake, head, request.merge.base, &view.records, &mut lookups).await?;
            }
            MergePlan::Survivors(_) if request.merge.against == head.commit => {
                found = Some(Vec::new());
            }
            MergePlan::Survivors(survivors) => {
                let metarange = &head.metarange;
                found = crossings(lake, &request.merge, survivors, metarange, room).await?;
            }
        },
        _ => {}
    }
    Ok(Asked { lookups, crossings: found })
}

async fn look_up_paths(
    lake: &Lake,
    head: &Head,
    base: Option<CommitId>,
    records: &[Record],
    lookups: &mut Lookups,
) -> Result<()> {
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    if let Some(base) = base {
        let metarange = lake.metarange(&base).await?;
        for (path, entry) in get_all(lake, &metarange, paths.clone()).await? {
            lookups.bases.insert((base, path), entry);
        }
    }
    lookups.head.extend(get_all(lake, &head.metarange, paths).await?);
    Ok(())
}

async fn get_all(
    lake: &Lake,
    metarange: &Metarange,
    paths: Vec<ObjectPath>,
) -> Result<HashMap<ObjectPath, Option<Entry>>> {
    let entries = lake.tree().get_many(metarange, &paths).await?;
    Ok(paths.into_iter().zip(entries).collect())
}
