//! Joining runs that have no paths' neighbourhood in common: one run out of two without reading or
//! writing a record.

use std::sync::Arc;

use super::handle::Tree;
use super::load::{Located, encode_list};
use super::run::{RangeRef, RunPlace, RunRef};
use crate::model::error::Result;

impl Tree {
    /// The run that has the ranges of both, if no two of them overlap; `None` if some do, or if one
    /// of the runs is inline.
    ///
    /// Cost: the lists of ranges. Where ranges end is then not what the content alone says; the
    /// next fold that rewrites them mends that.
    pub async fn join(&self, a: &RunRef, b: &RunRef) -> Result<Option<RunRef>> {
        let (Located::Ranges(a), Located::Ranges(b)) =
            (self.locate(a).await?, self.locate(b).await?)
        else {
            return Ok(None);
        };
        let mut ranges: Vec<RangeRef> = a.iter().chain(b.iter()).cloned().collect();
        ranges.sort_by(|a, b| a.first.cmp(&b.first));
        let apart = |pair: &[RangeRef]| match pair {
            [left, right] => left.last < right.first,
            _ => true,
        };
        if !ranges.windows(2).all(apart) {
            return Ok(None);
        }
        self.run_of(ranges).await.map(Some)
    }

    /// The run made of stored ranges in order. A long list of them is stored under the run's id.
    pub(crate) async fn run_of(&self, ranges: Vec<RangeRef>) -> Result<RunRef> {
        let run = RunRef::of_ranges(ranges.clone())?;
        if let RunPlace::Stored { .. } = run.place {
            self.pieces.store.write_run(run.id, encode_list(&ranges)?).await?;
        }
        Ok(run)
    }

    /// The ranges of a run, in order; none of an inline one. Reads the list of a long run.
    pub async fn ranges_of(&self, run: &RunRef) -> Result<Vec<RangeRef>> {
        Ok(match self.locate(run).await? {
            Located::Ranges(ranges) => ranges.to_vec(),
            Located::Inline(_) => Vec::new(),
        })
    }

    /// First and last path of a run; `None` for an empty one. Reads nothing but an inline run.
    pub async fn span_of(&self, run: &Arc<RunRef>) -> Result<Option<PathSpan>> {
        Ok(match &run.place {
            RunPlace::Stored { first, last } => Some((first.clone(), last.clone())),
            RunPlace::Ranges(ranges) => ranges
                .first()
                .zip(ranges.last())
                .map(|(first, last)| (first.first.clone(), last.last.clone())),
            RunPlace::Inline(at) => {
                let run = self.inline(*at).await?;
                let (first, last) = (run.records().first(), run.records().last());
                first.zip(last).map(|(first, last)| (first.path.clone(), last.path.clone()))
            }
        })
    }
}

/// The smallest and the largest path of something, both included.
pub type PathSpan = (crate::model::path::ObjectPath, crate::model::path::ObjectPath);
