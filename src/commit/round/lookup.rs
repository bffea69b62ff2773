//! What the ops of a batch need to know of the branch and of their bases before they are decided.

use std::collections::HashMap;

use futures::{FutureExt, StreamExt};

use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, Metarange, Record};

use super::situation::{Lookups, Prepared, Work};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::crossings::{Crossing, bytes_of, crossings};
use crate::commit::op::merge::MergePlan;
use crate::commit::op::verdict::Verdict;

/// Ops whose questions are asked at the same time, at most.
const LOOKUPS: usize = 16;

/// Changes of a commit that are asked about beforehand, at most.
const ASKED_MAX: usize = 512;

/// What is looked up beforehand, in bytes, at most, besides the [`LOOKUPS`] that are asked for last.
const LOOKUP_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one op needs to know to be decided.
struct Asked {
    lookups: Lookups,
    crossings: Option<Vec<Crossing>>,
    /// What both take in memory, roughly.
    bytes: usize,
}

/// What the ops with conditions or a base need to know. An op whose question can never be answered,
/// because an object is missing or damaged, is settled as failed; it must not stop the others.
///
/// It is asked beforehand so that many ops are asked at the same time. A commit of many changes asks in
/// its turn, a part at a time, and so do those behind which the answers take more than
/// [`LOOKUP_BYTES_MAX`].
pub(in crate::commit) async fn look_up(
    lake: &Lake,
    head: &Head,
    ops: &mut [Prepared],
) -> Result<Lookups> {
    let merges = ops.iter().filter(|op| matches!(&op.work, Work::Merge { .. })).count().max(1);
    let room = Room {
        crossings: lake.merge_limits().crossings / merges,
        bytes: LOOKUP_BYTES_MAX / merges,
    };
    let asks = |op: &Prepared| op.asks() && !asks_later(op);
    let asking = ops.iter().enumerate().filter(|(_, op)| asks(op));
    let asking: Vec<_> = asking
        .map(|(at, op)| look_up_for(lake, head, op, room).map(move |asked| (at, asked)))
        .collect();
    let mut asked = futures::stream::iter(asking).buffered(LOOKUPS);
    let mut lookups = Lookups::default();
    let (mut bytes, mut found) = (0, Vec::new());
    while let Some((at, answer)) = asked.next().await {
        match answer {
            Ok(asked) => {
                bytes += asked.bytes;
                // A merge has to know its crossings, and has limits of its own.
                if bytes <= LOOKUP_BYTES_MAX {
                    lookups.head.extend(asked.lookups.head);
                    lookups.bases.extend(asked.lookups.bases);
                }
                found.push((at, Ok(asked.crossings)));
            }
            Err(error) if error.is_permanent() => found.push((at, Err(error.to_string()))),
            Err(error) => return Err(error),
        }
    }
    drop(asked);
    for (at, found) in found {
        let Some(op) = ops.get_mut(at) else { continue };
        match (found, &mut op.work) {
            (Ok(crossings), Work::Merge { view, .. }) => view.crossings = crossings,
            (Ok(_), _) => {}
            (Err(reason), work) => *work = Work::Settled(Verdict::Failed { reason }),
        }
    }
    Ok(lookups)
}

/// Whether an op has so many changes that it asks in its turn.
fn asks_later(op: &Prepared) -> bool {
    match &op.work {
        Work::Commit { changes: ChangeSet::Small(records), validated: true, .. } => {
            records.len() > ASKED_MAX
        }
        _ => false,
    }
}

/// How much the crossings of one merge may be.
#[derive(Clone, Copy)]
struct Room {
    crossings: usize,
    bytes: usize,
}

/// Looks up what one op needs to know; `room` is how much the crossings may be that it finds.
async fn look_up_for(lake: &Lake, head: &Head, op: &Prepared, room: Room) -> Result<Asked> {
    let mut lookups = Lookups::default();
    let mut found = None;
    match &op.work {
        Work::Commit { request, changes: ChangeSet::Small(records), validated: true, .. } => {
            look_up_paths(lake, head, request.base, records, &mut lookups).await?;
        }
        // Nearly always the first one tells whether they change anything.
        Work::Commit { changes: ChangeSet::Small(records), .. } => {
            let first = records.get(..1).unwrap_or_default();
            look_up_paths(lake, head, None, first, &mut lookups).await?;
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
                found = crossings(
                    lake,
                    &request.merge,
                    survivors,
                    metarange,
                    (room.crossings, room.bytes),
                )
                .await?;
            }
        },
        _ => {}
    }
    let entries = lookups.head.iter().map(|(path, entry)| bytes_of(path, entry.as_ref()));
    let bases = lookups.bases.iter().map(|((_, path), entry)| bytes_of(path, entry.as_ref()));
    let crossings = found.iter().flatten().map(Crossing::bytes);
    let bytes = entries.chain(bases).chain(crossings).sum();
    Ok(Asked { lookups, crossings: found, bytes })
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
