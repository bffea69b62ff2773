//! Which ops of a batch wrote about some paths, and whether what they wrote was news.
//!
//! A history of one path is read with this: runs that name none of the paths are passed over by
//! their bounds alone, without a read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cursor::{RunCursor, Visible};
use super::get::entry_of;
use super::handle::Tree;
use super::load::Located;
use super::metarange::Metarange;
use super::record::stored_path;
use super::rule::same;
use super::run::{RangeRef, RunPlace, RunRef};
use super::scan::{behind, behind_prefix};
use crate::model::error::Result;
use crate::model::path::ObjectPath;

/// Records compared with what was there before in one go.
const COMPARED_PER_STEP: usize = 64;

/// The paths from one text up to, not including, another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    from: Vec<u8>,
    end: Option<Arc<[u8]>>,
}

impl Stretch {
    /// The stretch of one path.
    pub fn object(path: &ObjectPath) -> Self {
        let from = path.as_str().as_bytes().to_vec();
        Self { from, end: Some(behind(path.as_str()).into()) }
    }

    /// All paths that begin with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        Self { from: prefix.as_bytes().to_vec(), end: behind_prefix(prefix).map(Arc::from) }
    }

    /// Whether paths between `first` and `last`, both included, can be among them.
    fn meets(&self, first: &ObjectPath, last: &ObjectPath) -> bool {
        last.as_str().as_bytes() >= self.from.as_slice()
            && self.end.as_ref().is_none_or(|end| first.as_str().as_bytes() < &**end)
    }

    fn holds(&self, path: &str) -> bool {
        self.end.as_ref().is_none_or(|end| path.as_bytes() < &**end)
    }
}

/// Which records of a run are of one op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRecords {
    /// The op's index in its batch.
    pub op: u16,
    /// The smallest index in the run. A run that one op brought along as it is says 0 in every
    /// record and belongs to this op as a whole.
    pub from: u16,
}

impl OpRecords {
    fn visible(self) -> Visible {
        let above = if self.op > self.from { self.op.checked_sub(1) } else { None };
        Visible { as_of: self.op, above }
    }
}

impl Tree {
    /// The ops with a record about a path of `stretch` in `run`; `from` is the run's smallest op.
    ///
    /// Reads nothing when the run's bounds say that there is none. Otherwise an inline run, or the
    /// list, indexes and blocks that can hold such records, up to the first one where all are of
    /// one op.
    pub async fn ops_within(
        &self,
        run: &RunRef,
        from: u16,
        stretch: &Stretch,
    ) -> Result<BTreeSet<u16>> {
        let mut ops = BTreeSet::new();
        let Some(place) = self.place_within(run, stretch).await? else { return Ok(ops) };
        let of_one_op = match &place {
            Located::Inline(_) => false,
            Located::Ranges(ranges) => ranges.iter().all(|range| range.settled),
        };
        let mut cursor = self.cursor_within(place, Visible::as_of(super::ALL), stretch).await?;
        while cursor.path().is_some_and(|path| stretch.holds(path)) {
            let Some(op) = cursor.op() else { break };
            ops.insert(op.max(from));
            if of_one_op {
                break;
            }
            cursor.advance_version().await?;
        }
        Ok(ops)
    }

    /// Whether a path of `stretch` that the records of one op in `run` name has other content
    /// `after` the op than `before` it, by [`crate::Entry::same_identity`]. Stops at the first that has.
    ///
    /// A run that was joined out of those of several ops names paths of all of them: so a record
    /// that is news is looked up once more.
    pub async fn is_news(
        &self,
        run: &RunRef,
        records: OpRecords,
        stretch: &Stretch,
        (before, after): (&Metarange, &Metarange),
    ) -> Result<bool> {
        let Some(place) = self.place_within(run, stretch).await? else { return Ok(false) };
        let mut cursor = self.cursor_within(place, records.visible(), stretch).await?;
        // The first is news nearly always, so it is compared alone.
        let mut at_once = 1;
        loop {
            let (mut paths, mut values) = (Vec::new(), Vec::new());
            while paths.len() < at_once && cursor.path().is_some_and(|path| stretch.holds(path)) {
                paths.push(stored_path(cursor.path().unwrap_or_default())?);
                values.push(cursor.value().map(entry_of).transpose()?.flatten());
                cursor.advance().await?;
            }
            if paths.is_empty() {
                return Ok(false);
            }
            let older = self.get_many(before, &paths).await?;
            for ((path, value), older) in paths.iter().zip(&values).zip(&older) {
                if same(value.as_ref(), older.as_ref()) {
                    continue;
                }
                let now = self.get(after, path).await?;
                if !same(now.as_ref(), older.as_ref()) {
                    return Ok(true);
                }
            }
            at_once = COMPARED_PER_STEP;
        }
    }

    /// The records of a run, if its bounds leave open that some are within `stretch`.
    async fn place_within(&self, run: &RunRef, stretch: &Stretch) -> Result<Option<Located>> {
        if let RunPlace::Stored { first, last } = &run.place
            && !stretch.meets(first, last)
        {
            return Ok(None);
        }
        let meets = |range: &RangeRef| stretch.meets(&range.first, &range.last);
        if let RunPlace::Ranges(ranges) = &run.place
            && !ranges.iter().any(meets)
        {
            return Ok(None);
        }
        match self.locate(run).await? {
            Located::Ranges(ranges) => {
                let near: Vec<RangeRef> = ranges.iter().filter(|r| meets(r)).cloned().collect();
                Ok(Some(near).filter(|near| !near.is_empty()).map(|n| Located::Ranges(n.into())))
            }
            inline => Ok(Some(inline)),
        }
    }

    async fn cursor_within(
        &self,
        place: Located,
        visible: Visible,
        stretch: &Stretch,
    ) -> Result<RunCursor> {
        let mut cursor = RunCursor::new(self, place, visible).ending_at(stretch.end.clone());
        cursor.seek(&stretch.from).await?;
        Ok(cursor)
    }
}
