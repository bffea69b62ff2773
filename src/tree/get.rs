//! Point lookups.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::cursor::lookup_key;
use super::handle::Tree;
use super::metarange::{Level, Metarange};
use super::run::{RangeRef, RunPlace, RunRef};
use crate::model::change::decode_value;
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;

/// Paths one task of a [`Tree::get_many`] looks up in a row: neighbours share blocks.
const PATHS_PER_TASK: usize = 32;

impl Tree {
    /// What `path` has in the metarange. Reads at most one list, one index and one block for each
    /// level, newest first, and stops at the first that knows the path.
    pub async fn get(&self, metarange: &Metarange, path: &ObjectPath) -> Result<Option<Entry>> {
        self.get_in(&metarange.levels, path).await
    }

    /// What each of `sorted_paths` has, in the same order. Paths next to each other should be
    /// close, so that they share blocks; the result does not depend on it.
    pub async fn get_many(
        &self,
        metarange: &Metarange,
        sorted_paths: &[ObjectPath],
    ) -> Result<Vec<Option<Entry>>> {
        self.get_many_in(&metarange.levels, sorted_paths).await
    }

    pub(crate) async fn get_many_in(
        &self,
        levels: &[Level],
        paths: &[ObjectPath],
    ) -> Result<Vec<Option<Entry>>> {
        self.each(paths, |path| self.get_in(levels, path)).await
    }

    /// What the records of one run say of each of `sorted_paths`, in the same order: the encoded
    /// change, which may be a delete, or `None` where the run does not know the path.
    pub async fn changes_in_run(
        &self,
        run: &Arc<RunRef>,
        sorted_paths: &[ObjectPath],
    ) -> Result<Vec<Option<Bytes>>> {
        let level = Level::all(Arc::clone(run));
        self.each(sorted_paths, |path| self.read_in_level(&level, path, Ok)).await
    }

    /// One lookup for each path: some in a row, and some rows at the same time.
    async fn each<'a, T, F>(
        &self,
        paths: &'a [ObjectPath],
        lookup: impl Fn(&'a ObjectPath) -> F,
    ) -> Result<Vec<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let lookup = &lookup;
        let mut lookups = Vec::with_capacity(paths.len().div_ceil(PATHS_PER_TASK));
        for part in paths.chunks(PATHS_PER_TASK) {
            lookups.push(async move {
                let mut found = Vec::with_capacity(part.len());
                for path in part {
                    found.push(lookup(path).await?);
                }
                Ok::<_, crate::Error>(found)
            });
        }
        let parts = stream::iter(lookups).buffered(self.pieces.options.reads_max.max(1));
        let mut found = Vec::with_capacity(paths.len());
        futures::pin_mut!(parts);
        while let Some(part) = parts.try_next().await? {
            found.extend(part);
        }
        Ok(found)
    }

    pub(crate) async fn get_in(
        &self,
        levels: &[Level],
        path: &ObjectPath,
    ) -> Result<Option<Entry>> {
        for level in levels {
            let read = |value: Bytes| Ok(decode_value(&value)?.0);
            if let Some(change) = self.read_in_level(level, path, read).await? {
                return Ok(change.into_entry());
            }
        }
        Ok(None)
    }

    /// What `read` makes of the encoded change that one level has for a path.
    async fn read_in_level<T>(
        &self,
        level: &Level,
        path: &ObjectPath,
        read: impl Fn(Bytes) -> Result<T>,
    ) -> Result<Option<T>> {
        match &level.run.place {
            RunPlace::Inline(at) => {
                let run = self.inline(*at).await?;
                run.get(path, level.as_of).map(|record| read(record.value.clone())).transpose()
            }
            RunPlace::Ranges(ranges) => self.read_in_ranges(ranges, path, level.as_of, read).await,
            RunPlace::Stored { first, last } if path < first || path > last => Ok(None),
            RunPlace::Stored { .. } => {
                let ranges = self.stored_list(level.run.id).await?;
                self.read_in_ranges(&ranges, path, level.as_of, read).await
            }
        }
    }

    async fn read_in_ranges<T>(
        &self,
        ranges: &[RangeRef],
        path: &ObjectPath,
        as_of: u16,
        read: impl Fn(Bytes) -> Result<T>,
    ) -> Result<Option<T>> {
        let no = ranges.partition_point(|range| range.last < *path);
        let Some(range) = ranges.get(no).filter(|range| range.first <= *path) else {
            return Ok(None);
        };
        let index = self.index(range).await?;
        let key = lookup_key(path, as_of);
        let block_no = index.block_of(key);
        if block_no >= index.blocks.len() {
            return Ok(None);
        }
        let block = self.block(&index, block_no).await?;
        let at = block.lower_bound(key);
        let value = block.shared_value(at).filter(|_| block.path(at) == Some(path.as_str()));
        value.map(read).transpose().map_err(|error| super::load::in_range(error, range.id))
    }
}

/// The entry an encoded value puts, `None` if it deletes.
pub(crate) fn entry_of(value: &[u8]) -> Result<Option<Entry>> {
    Ok(decode_value(value)?.0.into_entry())
}
