//! Folding levels into one run of the same content.

use std::borrow::Cow;
use std::sync::Arc;

use super::boundary::is_cut;
use super::change_set::{ChangeSet, ChangeSetWriter, SmallMax};
use super::cursor::{RunCursor, Visible};
use super::handle::Tree;
use super::load::Located;
use super::merge::Merge;
use super::metarange::Level;
use super::record::Record;
use super::run::RangeRef;
use crate::clock;
use crate::measures;
use crate::model::change::{decode_value, encode_value, value_has_condition, value_is_delete};
use crate::model::error::Result;

/// A fold of at most so many records stays in memory: no range is written, or read again, while a
/// batch is waiting. [`super::fold::FoldLimits`] lets a batch fold as many.
pub const INLINE_RECORDS: usize = 4 * 1024;

/// Records of a long fold after which others have their turn: it has no deadline, and commits that share
/// its thread do.
const TAKEN_AT_ONCE: usize = 128;

const INLINE_MAX: SmallMax = SmallMax { records: INLINE_RECORDS, bytes: 1024 * 1024 };

impl Tree {
    /// Folds neighbouring `levels`, newest first, into one run that as a whole shows what they show
    /// together. Its records have op 0 and no conditions. With `bottom`, nothing lies below, and
    /// tombstones are dropped.
    ///
    /// Ranges of the oldest level that nothing above touches are taken over without being read.
    pub async fn fold(&self, levels: &[Level], bottom: bool) -> Result<ChangeSet> {
        if let Some(records) = self.fold_inline(levels, bottom).await? {
            return ChangeSetWriter::with(self, INLINE_MAX, records).await?.finish().await;
        }
        let mut sink = Sink { bottom, folded: ChangeSetWriter::new(self, INLINE_MAX), taken: 0 };
        let Some((oldest, newer)) = levels.split_last() else { return sink.folded.finish().await };
        let mut cursors = Vec::with_capacity(levels.len());
        for level in newer {
            let place = self.locate(&level.run).await?;
            cursors.push(RunCursor::new(self, place, Visible::as_of(level.as_of)).in_bulk());
        }
        let visible = Visible::as_of(oldest.as_of);
        match self.locate(&oldest.run).await? {
            inline @ Located::Inline(_) => {
                cursors.push(RunCursor::new(self, inline, visible));
                let mut all = Merge::new(cursors);
                all.seek_all(&[]).await?;
                sink.drain(&mut all).await?;
            }
            Located::Ranges(ranges) => {
                let mut newer = Merge::new(cursors);
                newer.seek_all(&[]).await?;
                self.fold_onto(&mut newer, &ranges, visible, &mut sink).await?;
            }
        }
        sink.folded.finish().await
    }

    /// The fold of levels that are all inline, in memory; `None` when one is not. This is what a
    /// batch does while others wait for it.
    async fn fold_inline(&self, levels: &[Level], bottom: bool) -> Result<Option<Vec<Record>>> {
        let mut runs = Vec::with_capacity(levels.len());
        for level in levels {
            let Located::Inline(run) = self.locate(&level.run).await? else { return Ok(None) };
            runs.push((run, level.as_of));
        }
        // Newest first, and within a level by op descending: a stable sort by path keeps that
        // order, and finds that the pieces are sorted already.
        let mut all: Vec<&Record> = Vec::new();
        for (run, as_of) in &runs {
            all.extend(run.records().iter().filter(|record| record.op <= *as_of));
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|later, first| later.path == first.path);
        let kept = all.into_iter().filter(|record| !(bottom && value_is_delete(&record.value)));
        let settled = kept.map(|record| {
            let value = match without_condition(&record.value)? {
                Cow::Borrowed(_) => record.value.clone(),
                Cow::Owned(bare) => bare.into(),
            };
            Ok(Record { path: record.path.clone(), op: 0, value })
        });
        settled.collect::<Result<Vec<Record>>>().map(Some)
    }

    /// Goes through the ranges of the oldest level one by one.
    async fn fold_onto(
        &self,
        newer: &mut Merge,
        ranges: &[RangeRef],
        visible: Visible,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        for (number, range) in ranges.iter().enumerate() {
            while newer.path().is_some_and(|path| path < range.first.as_str()) {
                sink.take_head(newer).await?;
            }
            let untouched = newer.path().is_none_or(|path| path > range.last.as_str());
            let is_last = number + 1 == ranges.len() && newer.path().is_none();
            if untouched && sink.can_adopt(range, is_last).await? {
                sink.adopt(range).await?;
                continue;
            }
            let place = Located::Ranges(Arc::from([range.clone()]));
            let mut older = RunCursor::new(self, place, visible).in_bulk();
            older.seek(&[]).await?;
            merge_range(newer, &mut older, range, sink).await?;
        }
        sink.drain(newer).await
    }
}

/// Merges one range of the oldest level with what the newer ones have up to its end.
async fn merge_range(
    newer: &mut Merge,
    older: &mut RunCursor,
    range: &RangeRef,
    sink: &mut Sink<'_>,
) -> Result<()> {
    loop {
        let above = newer.path().filter(|path| *path <= range.last.as_str());
        match (above, older.path()) {
            (None, None) => return Ok(()),
            (Some(above), Some(below)) if above == below => {
                older.advance().await?;
                sink.take_head(newer).await?;
            }
            (Some(above), Some(below)) if above > below => sink.take_cursor(older).await?,
            (Some(_), _) => sink.take_head(newer).await?,
            (None, Some(_)) => sink.take_cursor(older).await?,
        }
    }
}

/// Where folded records go.
struct Sink<'a> {
    bottom: bool,
    folded: ChangeSetWriter<'a>,
    /// Records taken so far.
    taken: usize,
}

impl Sink<'_> {
    async fn drain(&mut self, merge: &mut Merge) -> Result<()> {
        while merge.path().is_some() {
            self.take_head(merge).await?;
        }
        Ok(())
    }

    /// Takes the newest record of the path under the merge and passes the path.
    async fn take_head(&mut self, merge: &mut Merge) -> Result<()> {
        if let Some((cursor, _)) = merge.head() {
            self.put(cursor).await?;
        }
        merge.next_path().await
    }

    async fn take_cursor(&mut self, cursor: &mut RunCursor) -> Result<()> {
        self.put(cursor).await?;
        cursor.advance().await
    }

    async fn put(&mut self, cursor: &RunCursor) -> Result<()> {
        let (Some(path), Some(value)) = (cursor.path(), cursor.value()) else { return Ok(()) };
        self.taken += 1;
        if self.taken.is_multiple_of(TAKEN_AT_ONCE) {
            clock::yield_now().await;
        }
        if self.bottom && value_is_delete(value) {
            return Ok(());
        }
        self.folded.push_parts(path, 0, &without_condition(value)?).await
    }

    /// Whether a range can be part of the result as it is: it has to say only what the fold keeps,
    /// and to start and end where the content would be cut anyway.
    async fn can_adopt(&mut self, range: &RangeRef, is_last: bool) -> Result<bool> {
        let is_content = range.settled && !(self.bottom && range.deletes > 0);
        let ends_at_cut = is_last || is_cut(range.last.as_str(), range.records, range.bytes);
        let is_long = self.folded.is_large() || range.records > INLINE_RECORDS as u64;
        if !(is_content && ends_at_cut && is_long) {
            return Ok(false);
        }
        // The range makes the result too long to be held in any case.
        match self.folded.is_empty() {
            true => Ok(true),
            false => self.folded.as_run().await?.at_boundary().await,
        }
    }

    async fn adopt(&mut self, range: &RangeRef) -> Result<()> {
        measures::range_reused();
        self.folded.as_run().await?.adopt(range)
    }
}

/// A condition is decided when its op is; what remains is the change.
fn without_condition(value: &[u8]) -> Result<Cow<'_, [u8]>> {
    if !value_has_condition(value) {
        return Ok(Cow::Borrowed(value));
    }
    let (change, _) = decode_value(value)?;
    let mut bare = Vec::with_capacity(value.len());
    encode_value(&change, None, &mut bare);
    Ok(Cow::Owned(bare))
}
