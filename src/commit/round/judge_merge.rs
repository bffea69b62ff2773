//! Deciding a merge in its turn: what was worked out beforehand, corrected where the branch has
//! moved on in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::conflict::Retry;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::rule::same;
use crate::tree::{ChangeSet, ChangeSetWriter, Record, RunRef, ScanStart};

use super::judge_commit::{Rule, stamp, validate};
use super::judged::{Judged, Step};
use super::situation::{MergeView, SMALL_MAX};
use super::state::State;
use crate::commit::merge::correct::correct;
use crate::commit::merge::crossings::{Changed, Crossing, crossing};
use crate::commit::merge::settle::{Settling, settle_all};
use crate::commit::merge::three_way::{Values, three_way};
use crate::commit::op::merge::{MergeKind, MergePlan, MergeRequest, Survivors};
use crate::commit::op::verdict::Verdict;

/// What a merge brings, in numbers and pieces.
struct Brought {
    run: Option<Arc<RunRef>>,
    records: Vec<Record>,
    /// Changes from base to source.
    changes: u64,
    /// Those that survived the rule.
    surviving: u64,
}

/// Decides one merge. Conflicting paths take from `room`.
pub(super) async fn judge_merge(
    state: &mut State<'_>,
    room: &mut usize,
    index: u16,
    request: &MergeRequest,
    view: &MergeView,
) -> Step<Judged> {
    let base = base_now(state, request, view).await?;
    let brought = bring(state, room, index, request, view, base).await?;
    let merge = &request.merge;
    if merge.kind.brings_nothing(brought.changes, brought.surviving) && !request.allow_empty {
        return Err(Verdict::NoChanges.into());
    }
    // A squash leaves the source out of history.
    if let (MergeKind::Merge, Some(source)) = (merge.kind, merge.source) {
        // What the base has, the branch has.
        state.contain(source, base).await?;
    }
    Ok(Judged::changes(brought.run, brought.records))
}

/// The base as of now: merges that came in between may have brought a nearer one, and a
/// reset may have taken it away.
async fn base_now(
    state: &State<'_>,
    request: &MergeRequest,
    view: &MergeView,
) -> Step<Option<CommitId>> {
    let merge = &request.merge;
    match (view.base, merge.source) {
        (Some(base), Some(source)) if merge.kind.follows_merge_base() => {
            Ok(Some(state.contained.nearest(state.lake, source, base).await?))
        }
        (None, _) if merge.kind.follows_merge_base() => {
            let reason =
                "the branch has been reset: it has no history in common with the source any more";
            Err(Verdict::Failed { reason: reason.into() }.into())
        }
        _ => Ok(merge.base),
    }
}

/// What the merge brings from `base` to the branch as it is by now. Whatever would have to be
/// decided again ends it where its client wants to try that itself.
async fn bring(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    request: &MergeRequest,
    view: &MergeView,
    base: Option<CommitId>,
) -> Step<Brought> {
    let merge = &request.merge;
    let again = || match request.retry {
        Retry::Server => Ok(()),
        Retry::Client => Err(Verdict::LostRace(Some(Box::new(merge.clone())))),
    };
    if base != merge.base {
        again()?;
        return anew(state, room, index, request, base).await;
    }
    match &merge.plan {
        MergePlan::Changes(_) => {
            if request.retry == Retry::Client && has_moved(state, request, view).await? {
                again()?;
            }
            few(state, room, index, request, view).await
        }
        MergePlan::Survivors(survivors) => match crossings(state, request, view).await? {
            Some(crossings) if crossings.is_empty() => Ok(as_prepared(index, survivors, view)),
            Some(crossings) => {
                again()?;
                corrected(state, room, index, request, survivors, view, crossings).await
            }
            None => {
                again()?;
                anew(state, room, index, request, base).await
            }
        },
    }
}

/// A merge of few changes: every one of them is decided now.
async fn few(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    request: &MergeRequest,
    view: &MergeView,
) -> Step<Brought> {
    let rule = Rule::ThreeWay { base: request.merge.base, strategy: request.merge.strategy };
    let records = validate(state, room, index, rule, &view.records).await?;
    let (changes, surviving) = (view.records.len() as u64, records.len() as u64);
    Ok(Brought { run: None, records, changes, surviving })
}

/// Whether the branch has changed a path of a merge of few changes.
async fn has_moved(state: &State<'_>, request: &MergeRequest, view: &MergeView) -> Step<bool> {
    let paths: Vec<ObjectPath> = view.records.iter().map(|r| r.path.clone()).collect();
    let against = state.lake.content(request.merge.against).await?;
    let then = state.lake.tree().get_many(&against, &paths).await?;
    let now = state.values(&paths).await?;
    Ok(then.iter().zip(&now).any(|(a, b)| !same(a.as_ref(), b.as_ref())))
}

/// The changes of a merge of many whose paths the branch has changed since it was worked out:
/// up to the head, and by ops of this batch. `None` when they are too many.
async fn crossings(
    state: &State<'_>,
    request: &MergeRequest,
    view: &MergeView,
) -> Step<Option<Vec<Crossing>>> {
    let MergePlan::Survivors(Survivors { span: Some(span), .. }) = &request.merge.plan else {
        return Ok(Some(Vec::new()));
    };
    let Some(mut crossings) = view.crossings.clone() else { return Ok(None) };
    let max = state.lake.merge_limits().crossings;
    let Some(mut changed) = state.changed_in(span, max).await? else {
        return Ok(None);
    };
    let known: BTreeSet<&ObjectPath> = crossings.iter().map(|c| &c.path).collect();
    changed.retain(|path| !known.contains(path));
    if !changed.is_empty() {
        // Between the preparation and this batch nothing has changed there.
        let before = state.at_head(&changed).await?;
        let changed = changed.into_iter().zip(before);
        let changed = changed.map(|(path, before)| Changed { path, before }).collect();
        crossings.extend(crossing(state.lake, &request.merge, changed).await?);
        crossings.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(Some(crossings))
}

/// What was worked out beforehand, as it is.
fn as_prepared(index: u16, survivors: &Survivors, view: &MergeView) -> Brought {
    Brought {
        run: view.run.clone(),
        records: stamp(index, &view.records),
        changes: survivors.changes,
        surviving: survivors.surviving,
    }
}

/// What was worked out beforehand, with crossings decided again.
async fn corrected(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    request: &MergeRequest,
    survivors: &Survivors,
    view: &MergeView,
    crossings: Vec<Crossing>,
) -> Step<Brought> {
    let Brought { run, records, changes, surviving } = as_prepared(index, survivors, view);
    let settling = Settling::new(request.merge.strategy, room);
    let corrected = correct(index, records, crossings, state, settling).await?;
    corrected.conflicts.none()?;
    let surviving = surviving.saturating_add_signed(corrected.more);
    Ok(Brought { run, records: corrected.records, changes, surviving })
}

/// The merge from scratch, on top of what the batch has made of the branch so far.
async fn anew(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    request: &MergeRequest,
    base: Option<CommitId>,
) -> Step<Brought> {
    let lake = state.lake;
    let source = lake.content(request.merge.source).await?;
    let base = lake.content(base).await?;
    let all = three_way(lake, base, source, state, ScanStart::all());
    let settling = Settling::new(request.merge.strategy, room);
    let mut surviving = ChangeSetWriter::new(lake.tree(), SMALL_MAX);
    let tally = settle_all(all, settling, &mut surviving).await?;
    tally.conflicts.none()?;
    let (run, records) = match surviving.finish().await? {
        ChangeSet::Large(run) => (Some(run), Vec::new()),
        ChangeSet::Small(records) => (None, stamp(index, &records)),
    };
    Ok(Brought { run, records, changes: tally.changes, surviving: tally.surviving })
}
