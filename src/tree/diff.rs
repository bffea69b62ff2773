//! The difference of two metaranges, at a cost that follows the difference.
//!
//! Rules, from which exactness follows:
//!
//! 1. Equal levels at the bottom of both stacks decide equally whatever reaches them: they are set
//!    aside as what lies *below*.
//! 2. If then both stacks end with the same run as of different ops, only paths with a record in
//!    between can differ there.
//! 3. Otherwise ranges that both last levels have in common join what lies below.
//! 4. Each path that any other record names is a candidate, and is looked up in both stacks as a
//!    whole. Ranges in common at *other* levels are not skipped: what is above them may differ.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::cursor::{RunCursor, Visible};
use super::get::entry_of;
use super::handle::Tree;
use super::load::Located;
use super::merge::Merge;
use super::metarange::{Level, Metarange};
use super::record::stored_path;
use super::rule::same;
use super::run::{RangeRef, RunPlace, RunRef};
use super::scan::{BoundedMerge, ScanStart};
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;

/// Candidates looked up together.
const CANDIDATES_PER_STEP: usize = 128;

/// A path that differs, and what each side has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The path that differs.
    pub path: ObjectPath,
    /// What the first metarange has.
    pub before: Option<Entry>,
    /// What the second metarange has.
    pub after: Option<Entry>,
}

impl Tree {
    /// The paths at which `before` and `after` differ, in order. Entries that are equal by
    /// [`Entry::same_identity`] are not reported.
    ///
    /// Memory: a block and a read-ahead for each level, and a bounded number of candidates.
    pub fn diff(
        &self,
        before: Metarange,
        after: Metarange,
        start: ScanStart,
    ) -> BoxStream<'static, Result<Diff>> {
        let tree = self.clone();
        let opened = async move {
            let comparison = Comparison::open(tree, before.levels, after.levels, &start).await?;
            Ok(stream::try_unfold(Box::new(comparison), |mut comparison| async move {
                let step = comparison.step().await?;
                Ok::<_, crate::Error>(step.map(|found| (found, comparison)))
            })
            .map_ok(|found| stream::iter(found.into_iter().map(Ok)))
            .try_flatten())
        };
        stream::once(opened).try_flatten().boxed()
    }
}

/// A path some record outside of the common part names, with what it says for each side.
struct Candidate {
    path: ObjectPath,
    before: Option<Bytes>,
    after: Option<Bytes>,
}

struct Comparison {
    tree: Tree,
    /// Cursors of the first side's levels, then of the second's, then over records in between.
    merge: BoundedMerge,
    before_count: usize,
    after_count: usize,
    below_before: Vec<Level>,
    below_after: Vec<Level>,
    /// Whether both sides have the same below, so that one lookup serves both.
    same_below: bool,
}

impl Comparison {
    async fn open(
        tree: Tree,
        mut before: Vec<Level>,
        mut after: Vec<Level>,
        start: &ScanStart,
    ) -> Result<Self> {
        let mut below = strip_equal_bottom(&mut before, &mut after);
        let end = start.upper_bound();
        let visible = |level: &Level| Visible::as_of(level.as_of);
        let mut in_between = None;
        let (mut a_last, mut b_last) = (None, None);
        if let (Some(a), Some(b)) = (before.last().cloned(), after.last().cloned()) {
            before.pop();
            after.pop();
            let a_place = tree.locate(&a.run).await?;
            if a.run.id == b.run.id {
                in_between = Some((a_place, a, b));
            } else {
                let places = (a_place, tree.locate(&b.run).await?);
                let (a_rest, b_rest, common) = split_common(places, a.as_of == b.as_of);
                below.splice(..0, common.map(|ranges| level_of(ranges, &a)));
                a_last = Some(RunCursor::new(&tree, a_rest, visible(&a)));
                b_last = Some(RunCursor::new(&tree, b_rest, visible(&b)));
            }
        }
        let before_count = before.len() + usize::from(a_last.is_some());
        let after_count = after.len() + usize::from(b_last.is_some());
        let mut cursors = Vec::with_capacity(before_count + after_count + 1);
        for (levels, last) in [(before, a_last), (after, b_last)] {
            for level in levels {
                let place = tree.locate(&level.run).await?;
                cursors.push(RunCursor::new(&tree, place, visible(&level)));
            }
            cursors.extend(last);
        }
        let mut below_before = below.clone();
        let mut below_after = below;
        let same_below = in_between.is_none();
        if let Some((place, a, b)) = in_between {
            let (older, newer) = (a.as_of.min(b.as_of), a.as_of.max(b.as_of));
            let visible = Visible { as_of: newer, above: Some(older) };
            cursors.push(RunCursor::new(&tree, place, visible));
            below_before.insert(0, a);
            below_after.insert(0, b);
        }
        let cursors = cursors.into_iter().map(|cursor| cursor.ending_at(end.clone())).collect();
        let mut merge = Merge::new(cursors);
        merge.seek_all(&start.lower_bound()).await?;
        let merge = BoundedMerge { merge, end };
        Ok(Self { tree, merge, before_count, after_count, below_before, below_after, same_below })
    }

    /// The differences among the next candidates; `None` at the end.
    async fn step(&mut self) -> Result<Option<Vec<Diff>>> {
        let mut candidates = Vec::with_capacity(CANDIDATES_PER_STEP);
        while candidates.len() < CANDIDATES_PER_STEP {
            let Some(candidate) = self.next_candidate().await? else { break };
            if candidate.before.is_none() || candidate.before != candidate.after {
                candidates.push(candidate);
            }
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        self.resolve(candidates).await.map(Some)
    }

    /// Collects what the levels say about the next path.
    async fn next_candidate(&mut self) -> Result<Option<Candidate>> {
        let Some(path) = self.merge.path() else { return Ok(None) };
        let mut candidate = Candidate { path: stored_path(path)?, before: None, after: None };
        while let Some((cursor, number)) = self.merge.merge.head() {
            if cursor.path() != Some(candidate.path.as_str()) {
                break;
            }
            // Newest first within a side: the first that is found stays.
            if number < self.before_count {
                if candidate.before.is_none() {
                    candidate.before = cursor.shared_value();
                }
            } else if number < self.before_count + self.after_count && candidate.after.is_none() {
                candidate.after = cursor.shared_value();
            }
            self.merge.merge.advance().await?;
        }
        Ok(Some(candidate))
    }

    /// Looks up what the levels did not say, and compares.
    async fn resolve(&self, candidates: Vec<Candidate>) -> Result<Vec<Diff>> {
        let unknown = |side: fn(&Candidate) -> &Option<Bytes>| -> Vec<ObjectPath> {
            let open = candidates.iter().filter(|candidate| side(candidate).is_none());
            open.map(|candidate| candidate.path.clone()).collect()
        };
        let (before, after) = (unknown(|c| &c.before), unknown(|c| &c.after));
        debug_assert!(!self.same_below || before.iter().all(|path| !after.contains(path)));
        let (before, after) = futures::try_join!(
            self.tree.get_many_in(&self.below_before, &before),
            self.tree.get_many_in(&self.below_after, &after),
        )?;
        let (mut before, mut after) = (before.into_iter(), after.into_iter());
        let mut found = Vec::new();
        for candidate in candidates {
            let before = match candidate.before {
                Some(value) => entry_of(&value)?,
                None => before.next().flatten(),
            };
            let after = match candidate.after {
                Some(value) => entry_of(&value)?,
                None => after.next().flatten(),
            };
            if !same(before.as_ref(), after.as_ref()) {
                found.push(Diff { path: candidate.path, before, after });
            }
        }
        Ok(found)
    }
}

/// Takes the equal levels off the bottom of both stacks and returns them.
fn strip_equal_bottom(a: &mut Vec<Level>, b: &mut Vec<Level>) -> Vec<Level> {
    let equal = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a.same_content(b)).count();
    b.truncate(b.len() - equal);
    a.split_off(a.len() - equal)
}

/// A level that consists of some of the ranges of `level`.
fn level_of(ranges: Vec<RangeRef>, level: &Level) -> Level {
    let run = RunRef { place: RunPlace::Ranges(ranges), ..RunRef::clone(&level.run) };
    Level::as_of(Arc::new(run), level.as_of)
}

/// Splits two lists of ranges into what only each has and what both have. Ranges with several
/// versions show the same only as of the same op.
fn split_common(
    places: (Located, Located),
    same_as_of: bool,
) -> (Located, Located, Option<Vec<RangeRef>>) {
    let (a, b) = match places {
        (Located::Ranges(a), Located::Ranges(b)) => (a, b),
        (a, b) => return (a, b, None),
    };
    let a_ids: HashSet<_> = a.iter().map(|range| range.id).collect();
    let comparable = |range: &&RangeRef| same_as_of || range.settled;
    let common: Vec<RangeRef> =
        b.iter().filter(|range| a_ids.contains(&range.id)).filter(comparable).cloned().collect();
    if common.is_empty() {
        return (Located::Ranges(a), Located::Ranges(b), None);
    }
    let ids: HashSet<_> = common.iter().map(|range| range.id).collect();
    let rest = |ranges: &[RangeRef]| -> Arc<[RangeRef]> {
        ranges.iter().filter(|range| !ids.contains(&range.id)).cloned().collect()
    };
    (Located::Ranges(rest(&a)), Located::Ranges(rest(&b)), Some(common))
}
