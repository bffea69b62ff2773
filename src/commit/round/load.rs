//! Loading an op: its record, and its changes from wherever they are.

use std::sync::Arc;

use futures::TryStreamExt;

use crate::coord::areas::Area;
use crate::model::change::decode_value;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, OpId};
use crate::tree::{ALL, ChangeSet, InlineRun, Record, RunRef, ScanStart};

use super::areas::load_sealed;
use super::situation::{
    MergeView, Prepared, SMALL_MAX, Sources, VALIDATED_BYTES_MAX, VALIDATED_MAX, Work,
};
use crate::commit::log::entry::ResetTo;
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::MergeRequest;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::request::{Changes, CommitRequest, Op, PREPARED_MAX, Request};
use crate::commit::op::verdict::Verdict;

/// Loads one op with its changes. What is missing or damaged now will be so the next time: an
/// outcome, not an error.
pub(in crate::commit) async fn load(
    sources: Sources<'_>,
    queued: QueuedOp,
    areas: &[Area],
) -> Result<Prepared> {
    let QueuedOp { id, cancelled, body } = queued;
    let op = match body {
        Body::Op(op) => *op,
        Body::Damaged(reason) => {
            // Whatever it had sealed is given back.
            let owned: Vec<OpId> = owned(id, areas).collect();
            let areas = Some(owned).filter(|owned| !owned.is_empty());
            let work = Work::Settled(Verdict::Failed { reason });
            return Ok(Prepared { id, producers: Vec::new(), areas, fingerprint: None, work });
        }
        Body::Newer(_) => {
            return Err(Error::internal("an op of a newer version was to be decided"));
        }
    };
    let taken = owned_areas(&op.request, id, areas);
    let expired = is_expired(sources, &op).await?;
    let Op { committer, created_ms, producers, fingerprint, request, .. } = op;
    let work = match request {
        _ if cancelled => Ok(Work::Settled(Verdict::Cancelled)),
        _ if expired => Err(Error::invalid(format!(
            "its changes were written more than {} hours ago: submit it again",
            PREPARED_MAX.as_secs() / 3600
        ))),
        Request::DeleteBranch => Ok(Work::DeleteBranch),
        Request::Forget(rows) => Ok(Work::Forget(rows)),
        Request::Fold(fold) => {
            Ok(Work::Fold { levels: fold.levels, bottom: fold.bottom, with: Arc::new(fold.with) })
        }
        Request::Commit(request) => load_changes(sources, id, &request, taken.as_deref())
            .await
            .map(|(changes, validated)| Work::Commit {
                committer,
                created_ms,
                request,
                changes,
                validated,
            }),
        Request::Merge(request) => Box::pin(load_merge(sources.lake, &request))
            .await
            .map(|view| Work::Merge { committer, created_ms, request: Box::new(request), view }),
        Request::Reset(to) => Box::pin(load_reset(sources.lake, to)).await,
    };
    let work = match work {
        // What is missing or damaged now will be so the next time: an outcome, not a retry.
        Err(error) if error.is_permanent() => {
            Work::Settled(Verdict::Failed { reason: error.to_string() })
        }
        work => work?,
    };
    Ok(Prepared { id, producers, areas: taken, fingerprint, work })
}

fn owned_areas(request: &Request, id: OpId, areas: &[Area]) -> Option<Vec<OpId>> {
    match request {
        Request::Commit(commit) if commit.changes == Changes::Sealed => {
            Some(owned(id, areas).collect())
        }
        _ => None,
    }
}

fn owned(id: OpId, areas: &[Area]) -> impl Iterator<Item = OpId> + '_ {
    areas.iter().filter(move |area| area.owner == Some(id)).map(|area| area.id)
}

/// Whether garbage collection may have taken what the op names. By the clock of Redis, which all share:
/// helpers must not fail for their own clock, or for a submitter's, what others would commit.
async fn is_expired(sources: Sources<'_>, op: &Op) -> Result<bool> {
    if op.runs().is_empty() {
        return Ok(false);
    }
    let age = sources.redis.now_ms().await?.saturating_sub(op.prepared_ms());
    Ok(u128::try_from(age).is_ok_and(|age| age > PREPARED_MAX.as_millis()))
}

/// The changes of a commit, and whether they have conditions or a base by which each is judged.
async fn load_changes(
    sources: Sources<'_>,
    id: OpId,
    request: &CommitRequest,
    areas: Option<&[OpId]>,
) -> Result<(ChangeSet, bool)> {
    let changes = match &request.changes {
        Changes::Inline(bytes) => ChangeSet::Small(InlineRun::decode(bytes)?.into_records()),
        // Boxed: what seldom happens should not make every batch's futures large.
        _ => Box::pin(load_elsewhere(sources, id, request, areas)).await?,
    };
    let validated = match &changes {
        ChangeSet::Small(records) => is_validated(request, records)?,
        ChangeSet::Large(_) => false,
    };
    Ok((changes, validated))
}

/// Changes that do not travel in the op.
async fn load_elsewhere(
    sources: Sources<'_>,
    id: OpId,
    request: &CommitRequest,
    areas: Option<&[OpId]>,
) -> Result<ChangeSet> {
    let changes = match &request.changes {
        Changes::Inline(_) => return Err(Error::internal("changes in the op are elsewhere")),
        Changes::Run(run) => ChangeSet::Large(Arc::new(run.clone())),
        Changes::Sealed => load_sealed(sources, id, areas.unwrap_or_default()).await?,
    };
    match changes {
        ChangeSet::Large(run) => {
            let validated = run.conditions || request.base.is_some();
            if validated && run.records > VALIDATED_MAX {
                return Err(Error::invalid(format!(
                    "it has {} changes with conditions or a base, the limit is {VALIDATED_MAX}: split it",
                    run.records
                )));
            }
            if validated && run.bytes > VALIDATED_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "its changes with conditions or a base have {} bytes, the limit is {VALIDATED_BYTES_MAX}: split it",
                    run.bytes
                )));
            }
            if validated || is_small(&run) {
                let scan = sources.lake.tree().scan_run(run, ALL, ScanStart::default());
                return Ok(ChangeSet::Small(scan.try_collect().await?));
            }
            Ok(ChangeSet::Large(run))
        }
        small => Ok(small),
    }
}

/// Whether the records of a run are merged into the batch's own.
pub(super) fn is_small(run: &RunRef) -> bool {
    let (records, bytes) = (usize::try_from(run.records), usize::try_from(run.bytes));
    records.is_ok_and(|records| bytes.is_ok_and(|bytes| SMALL_MAX.holds(records, bytes)))
}

/// Whether deciding a commit needs to know what its paths name. Fails when a change cannot be read.
fn is_validated(request: &CommitRequest, records: &[Record]) -> Result<bool> {
    let mut validated = request.base.is_some();
    for record in records {
        validated |= decode_value(&record.value)?.1.is_some();
    }
    Ok(validated)
}

async fn load_merge(lake: &Lake, request: &MergeRequest) -> Result<MergeView> {
    let merge = &request.merge;
    for commit in [merge.base, merge.against].iter().flatten() {
        lake.node(commit).await?;
    }
    let source_generation = match &merge.source {
        Some(source) => lake.node(source).await?.generation(),
        None => 0,
    };
    let records = InlineRun::decode(merge.plan.records())?.into_records();
    let run = merge.run().cloned().map(Arc::new);
    Ok(MergeView { records, run, crossings: None, base: merge.base, source_generation })
}

async fn load_reset(lake: &Lake, to: CommitId) -> Result<Work> {
    let generation = lake.commit(&to).await?.generation;
    let levels = lake.metarange(&to).await?.levels;
    Ok(Work::Reset { to: ResetTo { commit: to, generation }, levels })
}
