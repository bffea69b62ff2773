//! Deciding a merge in its turn: what was worked out beforehand, corrected where the branch has
//! moved on in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;

use crate::model::conflict::Retry;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, ChangeSetWriter, Decision, Record, RunRef, ScanStart};

use super::judge::{Conflicts, Judge, Judged, Rule, stamp};
use super::prepare::{MergeView, SMALL_MAX};
use crate::commit::merge::prepared::{
    Changed, Crossing, Values, crossing, record_of, redecide, settle, three_way,
};
use crate::commit::op::queued::{MergeKind, MergePlan, MergeRequest, Survivors};
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

impl Judge<'_> {
    /// Decides one merge.
    pub(in crate::commit) async fn merge(
        &mut self,
        index: u16,
        request: &MergeRequest,
        view: &MergeView,
    ) -> Result<Judged> {
        let merge = &request.merge;
        let base = match self.base_now(request, view).await? {
            Ok(base) => base,
            Err(verdict) => return Ok(Judged::idle(verdict)),
        };
        let lost = || Ok(Judged::idle(Verdict::LostRace(Some(Box::new(merge.clone())))));
        let brought = if base != merge.base {
            if request.retry == Retry::Client {
                return lost();
            }
            self.anew(index, request, base).await?
        } else {
            match &merge.plan {
                MergePlan::Changes(_) => {
                    if request.retry == Retry::Client && self.has_moved(request, view).await? {
                        return lost();
                    }
                    self.few(index, request, view).await?
                }
                MergePlan::Survivors(survivors) => match self.crossings(request, view).await? {
                    Some(crossings) if crossings.is_empty() => {
                        Ok(as_prepared(index, survivors, view))
                    }
                    _ if request.retry == Retry::Client => return lost(),
                    Some(crossings) => {
                        self.corrected(index, request, survivors, view, crossings).await?
                    }
                    None => self.anew(index, request, base).await?,
                },
            }
        };
        let brought = match brought {
            Ok(brought) => brought,
            Err(verdict) => return Ok(Judged::idle(verdict)),
        };
        let is_merge = merge.kind.follows_merge_base();
        let nothing = if is_merge { brought.changes == 0 } else { brought.surviving == 0 };
        if nothing && !request.allow_empty {
            return Ok(Judged::idle(Verdict::NoChanges));
        }
        // A squash leaves the source out of history.
        if let (MergeKind::Merge, Some(source)) = (merge.kind, merge.source) {
            // What the base has, the branch has.
            self.contained.insert_merged(self.lake, source, base).await?;
        }
        Ok(Judged::changes(brought.run, brought.records))
    }

    /// The base as of now: merges that came in between may have brought a nearer one, and a
    /// reset may have taken it away.
    async fn base_now(
        &self,
        request: &MergeRequest,
        view: &MergeView,
    ) -> Result<Result<Option<CommitId>, Verdict>> {
        let merge = &request.merge;
        match (view.base, merge.source) {
            (Some(base), Some(source)) if merge.kind.follows_merge_base() => {
                self.contained.nearest(self.lake, source, base).await.map(|base| Ok(Some(base)))
            }
            (None, _) if merge.kind.follows_merge_base() => Ok(Err(Verdict::Failed {
                reason: "the branch has been reset: it has no history in common with the source any more"
                    .into(),
            })),
            _ => Ok(Ok(merge.base)),
        }
    }

    /// A merge of few changes: every one of them is decided now.
    async fn few(
        &mut self,
        index: u16,
        request: &MergeRequest,
        view: &MergeView,
    ) -> Result<Result<Brought, Verdict>> {
        let rule = Rule { base: Some(request.merge.base), strategy: request.merge.strategy };
        let decided = self.validate(index, rule, &view.records).await?;
        Ok(decided.map(|records| Brought {
            run: None,
            changes: view.records.len() as u64,
            surviving: records.len() as u64,
            records,
        }))
    }

    /// Whether the branch has changed a path of a merge of few changes.
    async fn has_moved(&self, request: &MergeRequest, view: &MergeView) -> Result<bool> {
        let paths: Vec<ObjectPath> = view.records.iter().map(|r| r.path.clone()).collect();
        let against = self.lake.content(request.merge.against).await?;
        let then = self.lake.tree().get_many(&against, &paths).await?;
        let now = self.state.values(&paths).await?;
        Ok(then.iter().zip(&now).any(|(a, b)| !crate::tree::rule::same(a.as_ref(), b.as_ref())))
    }

    /// The changes of a merge of many whose paths the branch has changed since it was worked out:
    /// up to the head, and by ops of this batch. `None` when they are too many.
    async fn crossings(
        &self,
        request: &MergeRequest,
        view: &MergeView,
    ) -> Result<Option<Vec<Crossing>>> {
        let MergePlan::Survivors(Survivors { span: Some(span), .. }) = &request.merge.plan else {
            return Ok(Some(Vec::new()));
        };
        let Some(mut crossings) = view.crossings.clone() else { return Ok(None) };
        let max = self.lake.merge_limits().crossings;
        let Some(mut changed) = self.state.changed_in(span, max).await? else {
            return Ok(None);
        };
        let known: BTreeSet<&ObjectPath> = crossings.iter().map(|c| &c.path).collect();
        changed.retain(|path| !known.contains(path));
        if !changed.is_empty() {
            // Between the preparation and this batch nothing has changed there.
            let before = self.state.at_head(&changed).await?;
            let changed = changed.into_iter().zip(before);
            let changed = changed.map(|(path, before)| Changed { path, before }).collect();
            crossings.extend(crossing(self.lake, &request.merge, changed).await?);
            crossings.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(Some(crossings))
    }

    /// The prepared result, with crossings decided again.
    async fn corrected(
        &mut self,
        index: u16,
        request: &MergeRequest,
        survivors: &Survivors,
        view: &MergeView,
        crossings: Vec<Crossing>,
    ) -> Result<Result<Brought, Verdict>> {
        let paths: Vec<ObjectPath> = crossings.iter().map(|c| c.path.clone()).collect();
        let now = self.state.values(&paths).await?;
        let pinned = view.records.iter().map(|record| record.path.clone()).collect();
        let corrections = redecide(index, crossings, now, request.merge.strategy, &pinned);
        let mut conflicts = Conflicts::default();
        for conflict in corrections.conflicts {
            conflicts.add(&mut self.conflict_bytes, conflict);
        }
        if let Some(verdict) = conflicts.verdict() {
            return Ok(Err(verdict));
        }
        let mut brought = as_prepared(index, survivors, view);
        brought.surviving = brought.surviving.saturating_add_signed(corrections.surviving);
        let corrected: BTreeSet<ObjectPath> =
            corrections.records.iter().map(|record| record.path.clone()).collect();
        brought.records.retain(|record| !corrected.contains(&record.path));
        brought.records.extend(corrections.records);
        Ok(Ok(brought))
    }

    /// The merge from scratch, on top of what the batch has made of the branch so far.
    async fn anew(
        &mut self,
        index: u16,
        request: &MergeRequest,
        base: Option<CommitId>,
    ) -> Result<Result<Brought, Verdict>> {
        let lake = self.lake;
        let source = lake.content(request.merge.source).await?;
        let base = lake.content(base).await?;
        let mut conflicts = Conflicts::default();
        let mut collector = ChangeSetWriter::new(lake.tree(), SMALL_MAX);
        let (mut changes, mut surviving) = (0, 0);
        {
            let mut all = three_way(lake, base, source, &self.state, ScanStart::all());
            while let Some(ruled) = all.try_next().await? {
                changes += 1;
                match settle(ruled.decision, request.merge.strategy) {
                    Decision::KeepDest => {}
                    Decision::TakeSource => {
                        surviving += 1;
                        collector.push(record_of(0, ruled.path, ruled.source)).await?;
                    }
                    Decision::Conflict => {
                        conflicts.add(&mut self.conflict_bytes, ruled.into_conflict());
                    }
                }
            }
        }
        if let Some(verdict) = conflicts.verdict() {
            return Ok(Err(verdict));
        }
        let (run, records) = match collector.finish().await? {
            ChangeSet::Large(run) => (Some(run), Vec::new()),
            ChangeSet::Small(records) => (None, stamp(index, &records)),
        };
        Ok(Ok(Brought { run, records, changes, surviving }))
    }
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
