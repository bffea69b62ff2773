//! What a batch adds to the branch: one level with the records of all its small ops, and under it the
//! runs of its large ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, Ticket};
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, InlineAddress, InlineRun, Record, RunRef, SmallMax, Tree, inline};

use super::judged::{Effect, Judgement};
use super::large::LargeStack;
use crate::commit::log::head::Head;
use crate::commit::log::levels::SpanLevel;

/// Up to where the records of a batch stay inside its log entry.
const EMBEDDED_MAX: SmallMax = SmallMax { records: inline::MAX_RECORDS, bytes: 1024 * 1024 };

/// Writes what the batch adds, newest level first.
///
/// A record of a small op can so come to lie above the run of a later op. What that run says of
/// the path is then repeated in the upper level, under the later op's index.
pub(super) async fn write_runs(
    tree: &Tree,
    embedded: &mut Embedded,
    judgement: &Judgement,
) -> Result<Vec<SpanLevel>> {
    let (mut records, large) = pieces(judgement);
    for (op, run) in &large {
        let repeated = repeated(tree, &records, *op, run).await?;
        records.extend(repeated);
    }
    let mut levels = Vec::new();
    if let Some(from) = records.iter().map(|record| record.op).min() {
        let small = tree.change_set(records, EMBEDDED_MAX).await?;
        levels.push(SpanLevel::written(embedded.add(small)?, from));
    }
    let mut stack = LargeStack::default();
    for (op, run) in large {
        stack.push(tree, op, run).await?;
    }
    levels.extend(stack.into_levels());
    Ok(levels)
}

/// The records of small ops, and the runs of large ones, both in op order.
fn pieces(judgement: &Judgement) -> (Vec<Record>, Vec<(u16, Arc<RunRef>)>) {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for (index, op) in judgement.ops.iter().enumerate() {
        if let Effect::Changes { run, records } = &op.effect {
            small.extend_from_slice(records);
            large.extend(run.iter().map(|run| (index as u16, Arc::clone(run))));
        }
    }
    (small, large)
}

/// Records of `run`, the run of op `op`, for paths that earlier small ops have changed.
async fn repeated(
    tree: &Tree,
    records: &[Record],
    op: u16,
    run: &Arc<RunRef>,
) -> Result<Vec<Record>> {
    let Some((first, last)) = tree.span_of(run).await? else { return Ok(Vec::new()) };
    let mut newest: BTreeMap<&ObjectPath, u16> = BTreeMap::new();
    for record in records.iter().filter(|r| r.op <= op && first <= r.path && r.path <= last) {
        let newest = newest.entry(&record.path).or_default();
        *newest = record.op.max(*newest);
    }
    // What the op itself has on top of its run counts more than the run.
    let paths: Vec<ObjectPath> = newest
        .into_iter()
        .filter(|(_, newest)| *newest < op)
        .map(|(path, _)| path.clone())
        .collect();
    let values = tree.changes_in_run(run, &paths).await?;
    let found = paths.into_iter().zip(values);
    Ok(found.filter_map(|(path, value)| Some(Record { path, op, value: value? })).collect())
}

/// The small runs that the log entry will have in it.
pub(super) struct Embedded {
    uid: BranchUid,
    first: Ticket,
    /// The runs by their segment of the entry.
    runs: Vec<Arc<InlineRun>>,
}

impl Embedded {
    /// None yet, of the entry behind `head`.
    pub(super) fn new(head: &Head) -> Self {
        Self { uid: head.uid, first: head.next(), runs: Vec::new() }
    }

    /// The run of these changes, put into the entry where they are few.
    pub(super) fn add(&mut self, changes: ChangeSet) -> Result<Arc<RunRef>> {
        let records = match changes {
            ChangeSet::Small(records) => records,
            ChangeSet::Large(run) => return Ok(run),
        };
        let segment = u16::try_from(self.runs.len())
            .map_err(|_| Error::internal("a log entry has too many runs"))?;
        let at = InlineAddress { uid: self.uid, first: self.first, segment };
        let run = Arc::new(InlineRun::from_records(records)?);
        self.runs.push(Arc::clone(&run));
        Ok(Arc::new(run.run_ref(at)))
    }

    /// All of them.
    pub(super) fn into_runs(self) -> Vec<Arc<InlineRun>> {
        self.runs
    }
}
