//! Scans: the live entries of a metarange, or the raw records of a run, in order.

use std::sync::Arc;

use futures::future::try_join_all;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::cursor::{RunCursor, Visible};
use super::get::entry_of;
use super::handle::Tree;
use super::merge::Merge;
use super::metarange::{Level, Metarange};
use super::record::{Record, stored_path};
use super::run::RunRef;
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;

/// Where among the paths of a prefix to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Position {
    /// At the first.
    #[default]
    First,
    /// At this text or behind it.
    At(String),
    /// Behind this text.
    After(String),
}

/// Which paths to go through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanStart {
    /// Only paths that begin with this. Empty: all.
    pub prefix: String,
    /// Where to start among them.
    pub position: Position,
}

impl ScanStart {
    /// From the first path to the last.
    pub fn all() -> Self {
        Self::default()
    }

    /// All paths that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), position: Position::First }
    }

    /// From `path` on, including it.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.position = Position::At(path.into());
        self
    }

    /// From the first path behind `path` on.
    #[must_use]
    pub fn after(mut self, path: impl Into<String>) -> Self {
        self.position = Position::After(path.into());
        self
    }

    /// The smallest bytes that are wanted.
    pub(crate) fn lower_bound(&self) -> Vec<u8> {
        let prefix = self.prefix.as_bytes().to_vec();
        let position = match &self.position {
            Position::First => Vec::new(),
            Position::At(path) => path.as_bytes().to_vec(),
            Position::After(path) => behind(path),
        };
        prefix.max(position)
    }

    /// The first bytes behind all that are wanted; `None` if there is no end.
    pub(crate) fn upper_bound(&self) -> Option<Arc<[u8]>> {
        behind_prefix(&self.prefix).map(Arc::from)
    }
}

/// The smallest bytes behind `path`.
pub(crate) fn behind(path: &str) -> Vec<u8> {
    let mut bytes = path.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The smallest bytes behind everything that begins with `prefix`; `None` for an empty prefix.
/// UTF-8 has no byte 0xff, so the last byte can always grow.
pub(crate) fn behind_prefix(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    let last = bytes.last_mut()?;
    *last = last.saturating_add(1);
    Some(bytes)
}

/// A merge that ends at a bound.
pub(crate) struct BoundedMerge {
    pub(crate) merge: Merge,
    pub(crate) end: Option<Arc<[u8]>>,
}

impl BoundedMerge {
    /// The path under the merge, `None` at the bound or the end.
    pub(crate) fn path(&self) -> Option<&str> {
        self.merge.path().filter(|path| match &self.end {
            Some(end) => path.as_bytes() < &**end,
            None => true,
        })
    }

    /// Moves past tombstones to an entry and returns it, without passing it.
    pub(crate) async fn live(&mut self) -> Result<Option<Entry>> {
        while self.path().is_some() {
            let value = self.merge.head().and_then(|(cursor, _)| cursor.value());
            let entry = value.map(entry_of).transpose()?.flatten();
            if entry.is_some() {
                return Ok(entry);
            }
            self.merge.next_path().await?;
        }
        Ok(None)
    }
}

impl Tree {
    /// The live entries of a metarange, in order. Memory: a block and a read-ahead for each level.
    pub fn scan(
        &self,
        metarange: Metarange,
        start: ScanStart,
    ) -> BoxStream<'static, Result<(ObjectPath, Entry)>> {
        let tree = self.clone();
        let opened = async move {
            let merge = tree.merge_levels(&metarange.levels, &start).await?;
            Ok(stream::try_unfold(Box::new(merge), |mut merge| async move {
                let Some(entry) = merge.live().await? else { return Ok(None) };
                let path = stored_path(merge.path().unwrap_or_default())?;
                merge.merge.next_path().await?;
                Ok(Some(((path, entry), merge)))
            }))
        };
        stream::once(opened).try_flatten().boxed()
    }

    /// The records of a run as of an op, tombstones included: for each path the newest visible.
    pub fn scan_run(
        &self,
        run: Arc<RunRef>,
        as_of: u16,
        start: ScanStart,
    ) -> BoxStream<'static, Result<Record>> {
        let tree = self.clone();
        let opened = async move {
            let levels = [Level::as_of(run, as_of)];
            let merge = tree.merge_levels(&levels, &start).await?;
            Ok(stream::try_unfold(Box::new(merge), |mut merge| async move {
                if merge.path().is_none() {
                    return Ok(None);
                }
                let Some((cursor, _)) = merge.merge.head() else { return Ok(None) };
                let Some(record) = cursor.record()? else { return Ok(None) };
                merge.merge.advance().await?;
                Ok(Some((record, merge)))
            }))
        };
        stream::once(opened).try_flatten().boxed()
    }

    /// Cursors over `levels`, newest first, merged and placed at the start.
    pub(crate) async fn merge_levels(
        &self,
        levels: &[Level],
        start: &ScanStart,
    ) -> Result<BoundedMerge> {
        let mut merge = self.open_levels(levels, start.upper_bound()).await?;
        merge.merge.seek_all(&start.lower_bound()).await?;
        Ok(merge)
    }

    /// Cursors over `levels`, newest first, merged and standing nowhere.
    pub(crate) async fn open_levels(
        &self,
        levels: &[Level],
        end: Option<Arc<[u8]>>,
    ) -> Result<BoundedMerge> {
        let opened = levels.iter().map(|level| self.cursor(level, end.clone()));
        Ok(BoundedMerge { merge: Merge::new(try_join_all(opened).await?), end })
    }

    /// A cursor over one level.
    pub(crate) async fn cursor(&self, level: &Level, end: Option<Arc<[u8]>>) -> Result<RunCursor> {
        let place = self.locate(&level.run).await?;
        Ok(RunCursor::new(self, place, Visible::as_of(level.as_of)).ending_at(end))
    }
}
