//! Writing a run: records in order, cut into ranges, compressed and stored in the background.

use std::cmp::Reverse;

use tokio::task::JoinSet;

use super::handle::Tree;
use super::range::RangeBuilder;
use super::record::{MAX_VALUE_LEN, Record, value_too_long};
use super::run::{RangeRef, RunRef};
use crate::clock;
use crate::model::error::{Error, Result};

/// Writes one run. Memory: about 5 MiB for each of [`super::TreeOptions::writes_max`] ranges under
/// way, however long the run is; only a path with very many versions makes a range longer.
///
/// Dropping it before [`RunWriter::finish`] leaves at most some ranges that nothing names.
pub struct RunWriter {
    tree: Tree,
    open: RangeBuilder,
    last_path: String,
    last_op: Option<u16>,
    /// The ranges so far, in order; `None` while one is being written.
    ranges: Vec<Option<RangeRef>>,
    writes: JoinSet<Result<(usize, RangeRef)>>,
}

impl Tree {
    /// A writer of a new run. It needs a Tokio runtime.
    pub fn run_writer(&self) -> RunWriter {
        RunWriter {
            tree: self.clone(),
            open: RangeBuilder::new(),
            last_path: String::new(),
            last_op: None,
            ranges: Vec::new(),
            writes: JoinSet::new(),
        }
    }

    /// Writes the run of these records, which come sorted as for [`RunWriter::push`].
    pub async fn write_run(&self, records: impl IntoIterator<Item = Record>) -> Result<RunRef> {
        let mut writer = self.run_writer();
        writer.push_all(records).await?;
        writer.finish().await
    }
}

impl RunWriter {
    /// Appends records, see [`RunWriter::push`].
    pub async fn push_all(&mut self, records: impl IntoIterator<Item = Record>) -> Result<()> {
        for record in records {
            self.push(record).await?;
        }
        Ok(())
    }

    /// Appends a record. Waits when too many ranges are under way.
    ///
    /// Fails with [`crate::ErrorKind::Internal`] unless records come by path ascending, op
    /// descending, and with [`crate::ErrorKind::InvalidInput`] when a value is over its limit.
    pub async fn push(&mut self, record: Record) -> Result<()> {
        self.push_parts(record.path.as_str(), record.op, &record.value).await
    }

    /// [`RunWriter::push`] for a record that is somewhere else: nothing is copied but bytes.
    pub(crate) async fn push_parts(&mut self, path: &str, op: u16, value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE_LEN {
            return Err(value_too_long(path, value.len()));
        }
        let is_new_path = self.last_path != path;
        self.check_order(path, op, is_new_path)?;
        if is_new_path {
            self.close_if_complete().await?;
            self.last_path.clear();
            self.last_path.push_str(path);
        }
        self.last_op = Some(op);
        self.open.push(path, op, value)
    }

    fn check_order(&self, path: &str, op: u16, is_new_path: bool) -> Result<()> {
        let Some(last_op) = self.last_op else { return Ok(()) };
        let in_order = if is_new_path { self.last_path.as_str() < path } else { op < last_op };
        if in_order {
            return Ok(());
        }
        Err(Error::internal(format!(
            "records of a run are out of order: '{}' op {:?} after '{}' op {last_op}",
            path.escape_debug(),
            Reverse(op).0,
            self.last_path.escape_debug()
        )))
    }

    /// Whether a range that starts here would start here in any run of this content.
    pub(crate) async fn at_boundary(&mut self) -> Result<bool> {
        self.close_if_complete().await?;
        Ok(self.open.is_empty())
    }

    /// Takes over a stored range as it is. The writer stands at a boundary and the range is behind
    /// everything written.
    pub(crate) fn adopt(&mut self, range: &RangeRef) -> Result<()> {
        if !self.open.is_empty() {
            return Err(Error::internal("a range was adopted inside of another"));
        }
        self.check_order(range.first.as_str(), 0, true)?;
        range.last.as_str().clone_into(&mut self.last_path);
        self.last_op = Some(0);
        self.ranges.push(Some(range.clone()));
        Ok(())
    }

    async fn close_if_complete(&mut self) -> Result<()> {
        if self.open.is_complete() { self.close().await } else { Ok(()) }
    }

    async fn close(&mut self) -> Result<()> {
        while self.writes.len() >= self.tree.pieces.options.writes_max.max(1) {
            self.collect_one().await?;
        }
        let range = std::mem::replace(&mut self.open, RangeBuilder::new());
        let number = self.ranges.len();
        self.ranges.push(None);
        let tree = self.tree.clone();
        self.writes.spawn(async move {
            let (range, bytes) = clock::on_other_thread(move || range.finish()).await??;
            tree.pieces.store.write_range(range.id, bytes).await?;
            Ok((number, range))
        });
        Ok(())
    }

    async fn collect_one(&mut self) -> Result<()> {
        let Some(joined) = self.writes.join_next().await else { return Ok(()) };
        let (number, range) =
            joined.map_err(|error| Error::internal("writing a range").with_source(error))??;
        if let Some(place) = self.ranges.get_mut(number) {
            *place = Some(range);
        }
        Ok(())
    }

    /// Waits until everything is stored and returns the run's reference.
    pub async fn finish(mut self) -> Result<RunRef> {
        if !self.open.is_empty() {
            self.close().await?;
        }
        while !self.writes.is_empty() {
            self.collect_one().await?;
        }
        let ranges: Option<Vec<RangeRef>> = self.ranges.into_iter().collect();
        let ranges = ranges.ok_or_else(|| Error::internal("a range was not written"))?;
        self.tree.run_of(ranges).await
    }
}
