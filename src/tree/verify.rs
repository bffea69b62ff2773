//! Reading stored pieces again, past the caches, and computing their names anew.

use futures::{StreamExt, TryStreamExt, stream};

use super::handle::Tree;
use super::load::{decode_block, decode_list, in_range};
use super::range::MAGIC;
use super::range_index::RangeIndex;
use super::record::{Totals, put_record};
use super::run::{RangeRef, RunPlace, RunRef};
use super::store::Span;
use crate::model::error::{Error, Result};
use crate::model::ids::{RangeId, first_16};

/// Blocks fetched by one read.
const BLOCKS_PER_READ: usize = 32;

impl Tree {
    /// Reads every byte of a range file, checks every checksum and limit, and recomputes its name
    /// from its records. Fails with [`crate::ErrorKind::Corrupt`]. Returns what the file holds.
    pub async fn verify_range(&self, id: RangeId) -> Result<RangeRef> {
        self.verify_range_with(id, |_, _| Ok(())).await
    }

    /// Reads and checks a range as [`Tree::verify_range`] does; `visit` is given the path and the
    /// value of every record, all versions of a path, as they are read: before the whole of the
    /// range is known to be good.
    pub async fn verify_range_with(
        &self,
        id: RangeId,
        mut visit: impl FnMut(&str, &[u8]) -> Result<()> + Send,
    ) -> Result<RangeRef> {
        let index = self.read_index_of(id).await?;
        let span = Span::From { offset: 0, len: MAGIC.len() as u64 };
        if *self.pieces.store.read_range(id, span).await? != MAGIC {
            return Err(in_range(Error::corrupt("header is damaged"), id));
        }
        let past_end = Span::From { offset: index.file_len, len: 1 };
        if let Ok(more) = self.pieces.store.read_range(id, past_end).await
            && !more.is_empty()
        {
            return Err(in_range(Error::corrupt("file goes on behind its end"), id));
        }
        let mut content = Content::default();
        for first in (0..index.blocks.len()).step_by(BLOCKS_PER_READ) {
            let mut frames = self.frames(&index, first, BLOCKS_PER_READ).await?;
            let handles = index.blocks.iter().enumerate().skip(first).take(BLOCKS_PER_READ);
            for (number, handle) in handles {
                content.add_block(&index, number, &frames, &mut visit)?;
                frames = frames.slice(handle.len..);
            }
        }
        content.check(&index.range).map_err(|error| in_range(error, id))?;
        Ok(index.range.clone())
    }

    /// Verifies all ranges of a run, and that they are what the run says they are.
    pub async fn verify_run(&self, run: &RunRef) -> Result<()> {
        let ranges = self.verify_list(run).await?;
        let checks = ranges.into_iter().map(|range| async move {
            let found = self.verify_range(range.id).await?;
            same(found == range, format!("range {}", range.id))
        });
        let parallel = self.pieces.options.reads_max.clamp(1, 4);
        stream::iter(checks).buffer_unordered(parallel).try_collect().await
    }

    /// Verifies that the list of a run's ranges has the name and the totals that the run says, and
    /// returns it; none of the ranges is read. Of an inline run all records are verified, and there
    /// are no ranges. Memory: the list, at most [`super::run::MAX_RANGES`].
    pub async fn verify_list(&self, run: &RunRef) -> Result<Vec<RangeRef>> {
        let ranges = match &run.place {
            RunPlace::Inline(at) => {
                let found = self.inline(*at).await?.run_ref(*at);
                same(&found == run, format!("inline run {}", run.id))?;
                return Ok(Vec::new());
            }
            RunPlace::Ranges(ranges) => ranges.clone(),
            RunPlace::Stored { .. } => {
                let list = self.pieces.store.read_run(run.id).await?;
                let context = |error: Error| error.context(format_args!("list of run {}", run.id));
                decode_list(&list).map_err(context)?.to_vec()
            }
        };
        let found = RunRef::of_ranges(ranges.clone())?;
        same(found == *run, format!("run {}", run.id))?;
        Ok(ranges)
    }
}

fn same(is_same: bool, what: String) -> Result<()> {
    if is_same { Ok(()) } else { Err(Error::corrupt(format!("{what} is not what its name says"))) }
}

/// The content of a range as its blocks show it.
#[derive(Default)]
struct Content {
    hasher: Option<blake3::Hasher>,
    totals: Totals,
    several_versions: bool,
    first: Option<String>,
    last: Option<(String, u16)>,
}

impl Content {
    fn add_block(
        &mut self,
        index: &RangeIndex,
        no: usize,
        frames: &bytes::Bytes,
        visit: &mut (impl FnMut(&str, &[u8]) -> Result<()> + Send),
    ) -> Result<()> {
        let block = decode_block(index, no, frames)?;
        let mut canonical = Vec::with_capacity(64 * 1024);
        for at in 0..block.len() {
            let parts = (block.path(at), block.op(at), block.value(at));
            let (Some(path), Some(op), Some(value)) = parts else { break };
            if at == 0 {
                self.check_step(path, op).map_err(|error| in_range(error, index.range.id))?;
                self.first.get_or_insert_with(|| path.to_owned());
            }
            self.several_versions |= block.same_path(at);
            self.totals.add(path, op, value);
            put_record(&mut canonical, path, op, value);
            visit(path, value).map_err(|error| in_range(error, index.range.id))?;
            if at + 1 == block.len() {
                self.last = Some((path.to_owned(), op));
            }
        }
        let hasher =
            self.hasher.get_or_insert_with(|| blake3::Hasher::new_derive_key("onward 2026 range"));
        hasher.update(&canonical);
        Ok(())
    }

    /// Blocks are in order among each other.
    fn check_step(&mut self, path: &str, op: u16) -> Result<()> {
        let Some((last_path, last_op)) = &self.last else { return Ok(()) };
        let same_path = last_path == path;
        self.several_versions |= same_path;
        let in_order = if same_path { op < *last_op } else { last_path.as_str() < path };
        if in_order { Ok(()) } else { Err(Error::corrupt("blocks are out of order")) }
    }

    fn check(&self, range: &RangeRef) -> Result<()> {
        let id = self.hasher.as_ref().map(|hasher| RangeId(first_16(&hasher.finalize())));
        let totals = &self.totals;
        let agrees = id == Some(range.id)
            && self.first.as_deref() == Some(range.first.as_str())
            && self.last.as_ref().map(|(path, _)| path.as_str()) == Some(range.last.as_str())
            && (totals.records, totals.deletes, totals.bytes, totals.conditions)
                == (range.records, range.deletes, range.bytes, range.conditions)
            && range.settled == (!self.several_versions && !totals.unsettled);
        if agrees {
            Ok(())
        } else {
            Err(Error::corrupt("content is not what the name and the summary say"))
        }
    }
}
