//! A cursor over one run: the visible record of each path, in order.
//!
//! It holds one block and a read-ahead that doubles while reading goes on in order, so that a
//! lookup reads one block and a long scan few large pieces.

use std::cmp::Reverse;
use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::handle::Tree;
use super::load::{Located, decode_block};
use super::page::Page;
use super::range_index::RangeIndex;
use super::record::{Key, Record, stored_path};
use super::run::RangeRef;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;

/// The most blocks one read fetches: at most 512 KiB before compression for common blocks.
const MAX_READ_AHEAD: usize = 32;
/// So many blocks in order are kept in the cache; a longer scan would push out what lookups need.
const KEPT_IN_ORDER: usize = 8;

/// Which records of a run can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visible {
    /// Records with a larger op are invisible.
    pub(crate) as_of: u16,
    /// Paths whose visible record has this op or a smaller one are passed over.
    pub(crate) above: Option<u16>,
}

impl Visible {
    pub(crate) fn as_of(as_of: u16) -> Self {
        Self { as_of, above: None }
    }
}

/// Frames that were read but not yet decoded.
#[derive(Default)]
struct ReadAhead {
    range: usize,
    block: usize,
    frames: Bytes,
}

/// Where in its ranges a cursor stands.
struct Ranges {
    tree: Tree,
    list: Arc<[RangeRef]>,
    range: usize,
    index: Option<Arc<RangeIndex>>,
    block: usize,
    ahead: ReadAhead,
    /// Blocks the next read fetches.
    read_count: usize,
    /// Blocks taken in order since the last seek.
    in_order: usize,
    /// Whether all of it is going to be read, once.
    bulk: bool,
}

/// Stands at a visible record, or at the end.
pub(crate) struct RunCursor {
    page: Page,
    at: usize,
    ranges: Option<Ranges>,
    visible: Visible,
    /// The path that was passed last, when its records may go on in the next block.
    passed: Option<Box<str>>,
    /// Nothing from here on is wanted.
    end: Option<Arc<[u8]>>,
}

impl RunCursor {
    /// A cursor that stands nowhere until [`RunCursor::seek`].
    pub(crate) fn new(tree: &Tree, place: Located, visible: Visible) -> Self {
        let (page, ranges) = match place {
            Located::Inline(run) => (Page::Inline(run), None),
            Located::Ranges(list) => (
                Page::None,
                Some(Ranges {
                    tree: tree.clone(),
                    list,
                    range: 0,
                    index: None,
                    block: 0,
                    ahead: ReadAhead::default(),
                    read_count: 1,
                    in_order: 0,
                    bulk: false,
                }),
            ),
        };
        Self { page, at: 0, ranges, visible, passed: None, end: None }
    }

    /// Paths at or behind `end` need not be read.
    pub(crate) fn ending_at(mut self, end: Option<Arc<[u8]>>) -> Self {
        self.end = end;
        self
    }

    /// Read in large pieces from the start, past the cache.
    pub(crate) fn in_bulk(mut self) -> Self {
        if let Some(ranges) = &mut self.ranges {
            ranges.bulk = true;
        }
        self
    }

    pub(crate) fn path(&self) -> Option<&str> {
        self.page.path(self.at)
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.page.value(self.at)
    }

    pub(crate) fn op(&self) -> Option<u16> {
        self.page.op(self.at)
    }

    /// The value under the cursor, which keeps its block alive.
    pub(crate) fn shared_value(&self) -> Option<Bytes> {
        self.page.shared_value(self.at)
    }

    /// The record under the cursor; its value keeps the block alive.
    pub(crate) fn record(&self) -> Result<Option<Record>> {
        let parts = (self.path(), self.page.op(self.at), self.shared_value());
        let (Some(path), Some(op), Some(value)) = parts else { return Ok(None) };
        Ok(Some(Record { path: stored_path(path)?, op, value }))
    }

    /// Moves to the first visible record whose path is not in front of `bound`. Moving backwards is
    /// allowed.
    pub(crate) async fn seek(&mut self, bound: &[u8]) -> Result<()> {
        self.passed = None;
        match &mut self.ranges {
            None => self.at = self.page.lower_bound(bound),
            Some(ranges) => {
                let inside = self.page.path(0).is_some_and(|first| first.as_bytes() < bound)
                    && ranges.last_path().is_some_and(|last| last.as_bytes() >= bound);
                if !inside {
                    self.page = match ranges.seek(bound).await? {
                        Some(block) => Page::Block(block),
                        None => Page::None,
                    };
                }
                self.at = self.page.lower_bound(bound);
            }
        }
        self.settle().await
    }

    /// Moves to the visible record of the next path.
    pub(crate) async fn advance(&mut self) -> Result<()> {
        self.pass_path();
        self.settle().await
    }

    /// Moves to the next visible record, which may be an older one of the same path.
    pub(crate) async fn advance_version(&mut self) -> Result<()> {
        self.at += 1;
        self.settle().await
    }

    /// Leaves the rest of the path under the cursor behind.
    fn pass_path(&mut self) {
        let next = self.page.next_path(self.at);
        if self.ranges.is_some() && self.page.op(next).is_none() {
            self.passed = self.page.path(self.at).map(Box::from);
        }
        self.at = next;
    }

    /// Moves on to a visible record, from block to block if need be.
    async fn settle(&mut self) -> Result<()> {
        while !self.settle_in_page() {
            let Some(ranges) = &mut self.ranges else { return Ok(()) };
            let at_end = match (&self.end, ranges.last_path()) {
                (Some(end), Some(last)) => last.as_bytes() >= &**end,
                _ => false,
            };
            let block = if at_end { None } else { ranges.next(self.end.as_deref()).await? };
            self.at = 0;
            match block {
                Some(block) => self.page = Page::Block(block),
                None => {
                    self.page = Page::None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn settle_in_page(&mut self) -> bool {
        while let Some(op) = self.page.op(self.at) {
            if let Some(passed) = &self.passed {
                if self.page.path(self.at) == Some(passed) {
                    self.at += 1;
                    continue;
                }
                self.passed = None;
            }
            if op > self.visible.as_of {
                self.at += 1;
            } else if self.visible.above.is_some_and(|above| op <= above) {
                self.pass_path();
            } else {
                return true;
            }
        }
        false
    }
}

impl Ranges {
    /// The last path of the block at hand.
    fn last_path(&self) -> Option<&str> {
        let index = self.index.as_ref()?;
        index.blocks.get(self.block).map(|block| &*block.last_path)
    }

    /// Opens the block that holds the first path not in front of `bound`.
    async fn seek(&mut self, bound: &[u8]) -> Result<Option<Arc<Block>>> {
        let range = self.list.partition_point(|range| range.last.as_str().as_bytes() < bound);
        self.in_order = 0;
        self.read_count = if self.bulk { MAX_READ_AHEAD } else { 1 };
        self.open(range).await?;
        let Some(index) = &self.index else { return Ok(None) };
        self.block = index.block_of_path(bound);
        if self.bulk {
            return self.take(None).await;
        }
        if self.block >= index.blocks.len() {
            return Err(Error::corrupt(format!(
                "range {} ends in front of the path its run names as the last",
                index.range.id
            )));
        }
        self.tree.block(index, self.block).await.map(Some)
    }

    async fn open(&mut self, range: usize) -> Result<()> {
        let is_open = self.index.is_some() && self.range == range;
        if !is_open {
            self.range = range;
            self.index = match self.list.get(range) {
                Some(range) => Some(self.tree.index(range).await?),
                None => None,
            };
        }
        self.block = 0;
        Ok(())
    }

    /// The block behind the one at hand.
    async fn next(&mut self, end: Option<&[u8]>) -> Result<Option<Arc<Block>>> {
        let Some(index) = &self.index else { return Ok(None) };
        self.block += 1;
        if self.block >= index.blocks.len() {
            let beyond = match (end, self.list.get(self.range + 1)) {
                (Some(end), Some(range)) => range.first.as_str().as_bytes() >= end,
                (_, next) => next.is_none(),
            };
            if beyond {
                self.index = None;
                return Ok(None);
            }
            self.open(self.range + 1).await?;
        }
        self.take(end).await
    }

    /// The block at hand: from what was read ahead, the cache, or the store.
    async fn take(&mut self, end: Option<&[u8]>) -> Result<Option<Arc<Block>>> {
        let Some(index) = self.index.clone() else { return Ok(None) };
        let Some(handle) = index.blocks.get(self.block) else { return Ok(None) };
        self.in_order += 1;
        let is_ahead = self.ahead.range == self.range
            && self.ahead.block == self.block
            && !self.ahead.frames.is_empty();
        if !is_ahead {
            if let Some(block) = self.tree.cached_block(&index, self.block) {
                return Ok(Some(block));
            }
            let wanted = blocks_before(&index, self.block, self.read_count, end);
            self.ahead.frames = self.tree.frames(&index, self.block, wanted).await?;
            self.ahead.range = self.range;
            self.read_count = (self.read_count * 2).min(MAX_READ_AHEAD);
        }
        let block = Arc::new(decode_block(&index, self.block, &self.ahead.frames)?);
        self.ahead.frames = self.ahead.frames.slice(handle.len..);
        self.ahead.block = self.block + 1;
        if !self.bulk && self.in_order <= KEPT_IN_ORDER {
            self.tree.keep_block(&index, self.block, Arc::clone(&block));
        }
        Ok(Some(block))
    }
}

/// How many of the `count` blocks from `no` on can hold a path in front of `end`.
fn blocks_before(index: &RangeIndex, no: usize, count: usize, end: Option<&[u8]>) -> usize {
    let Some(end) = end else { return count };
    let blocks = index.blocks.iter().skip(no).take(count);
    1 + blocks.take_while(|block| block.last_path.as_bytes() < end).count()
}

/// The key at which a lookup of `path` as of an op starts.
pub(crate) fn lookup_key(path: &ObjectPath, as_of: u16) -> Key<'_> {
    (path.as_str(), Reverse(as_of))
}
