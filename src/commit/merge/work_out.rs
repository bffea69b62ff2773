//! Working a merge out beforehand, by its submitter: what it brings on top of a head.
//!
//! A merge brings the *changes* from its base to its source. Each is put through the three-way
//! rule with what the branch has there; those that *survive* are written. Few changes travel in
//! the op, all of them, to be decided one by one in their turn.

use crate::model::conflict::Strategy;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::tree::{ChangeSetWriter, EncodedChanges, InlineRun, Record, ScanStart, SmallMax};

use super::settle::{Conflicts, Receive, Resolved, Settling, Tally, settle_all};
use super::three_way::{Committed, Ruled, three_way};
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::{BESIDE_MAX, MergeKind, MergePlan, PreparedMerge, Survivors};
use crate::commit::op::request::INLINE_MAX;

/// What is to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeSpec {
    /// What it is in history.
    pub kind: MergeKind,
    /// Where the changes start.
    pub base: Option<CommitId>,
    /// Where they lead.
    pub source: Option<CommitId>,
    /// What happens to conflicts.
    pub strategy: Strategy,
}

/// A merge, worked out.
#[derive(Debug)]
pub enum WorkedOut {
    /// Ready to be queued.
    Merge {
        /// The merge, ready to be queued.
        merge: Box<PreparedMerge>,
        /// How many changes the source brings.
        changes: u64,
        /// How many of them survive.
        surviving: u64,
    },
    /// In conflict with the head.
    Conflicts(Conflicts),
}

/// Works out a merge against head `against`, and writes what survives of many changes. When that began
/// is for the caller to say, where a run was written.
///
/// What is `resolved` stands in place of both sides. Such a merge travels as one of many changes does, however few
/// they are: so it holds as long as the branch has those paths as it had them, and is a conflict otherwise.
pub async fn work_out(
    lake: &Lake,
    spec: MergeSpec,
    against: Option<CommitId>,
    resolved: &Resolved,
) -> Result<WorkedOut> {
    let mut plan = Plan::new(lake, resolved.is_empty());
    let tally = try_merge(lake, spec, against, resolved, &mut plan).await?;
    if !tally.conflicts.is_empty() {
        return Ok(WorkedOut::Conflicts(tally.conflicts));
    }
    let (changes, surviving) = (tally.changes, tally.surviving);
    let plan = plan.finish(tally).await?;
    let MergeSpec { kind, base, source, strategy } = spec;
    let merge = PreparedMerge { kind, base, source, strategy, against, prepared_ms: 0, plan };
    let merge = Box::new(merge);
    Ok(WorkedOut::Merge { merge, changes, surviving })
}

/// What a merge would bring to head `against`. Writes nothing.
pub async fn preview(lake: &Lake, spec: MergeSpec, against: Option<CommitId>) -> Result<Tally> {
    try_merge(lake, spec, against, &Resolved::new(), &mut ()).await
}

async fn try_merge(
    lake: &Lake,
    spec: MergeSpec,
    against: Option<CommitId>,
    resolved: &Resolved,
    receiver: &mut impl Receive,
) -> Result<Tally> {
    let base = lake.content(spec.base).await?;
    let source = lake.content(spec.source).await?;
    let dest = Committed::at(lake, against).await?;
    let all = three_way(lake, base, source, &dest, ScanStart::all());
    // Nobody else's conflicts take room beside these.
    let mut room = usize::MAX;
    settle_all(all, Settling::new(spec.strategy, &mut room).with(resolved), receiver).await
}

/// What travels in the op: all changes while they are few, those that survive when they are many.
struct Plan<'a> {
    /// All changes, and whether each survives; `None` when they are too many, or not to be decided one by one.
    few: Option<Vec<(Record, bool)>>,
    few_max: usize,
    /// Those that survive, when the changes are many.
    many: ChangeSetWriter<'a>,
}

impl Receive for Plan<'_> {
    async fn receive(&mut self, ruled: Ruled, survives: bool) -> Result<()> {
        let Some(few) = &mut self.few else {
            return self.many.receive(ruled, survives).await;
        };
        few.push((ruled.into_record(0), survives));
        if few.len() > self.few_max {
            self.take_as_many().await?;
        }
        Ok(())
    }
}

impl<'a> Plan<'a> {
    /// No change yet. Where all could be decided again one by one in their turn, they are while they are `few`.
    fn new(lake: &'a Lake, few: bool) -> Self {
        let limits = lake.merge_limits();
        let many = ChangeSetWriter::new(lake.tree(), SmallMax::bytes(limits.beside_bytes));
        Self { few: few.then(Vec::new), few_max: limits.few, many }
    }

    async fn take_as_many(&mut self) -> Result<()> {
        for (record, survives) in self.few.take().unwrap_or_default() {
            if survives {
                self.many.push(record).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self, tally: Tally) -> Result<MergePlan> {
        if let Some(few) = &self.few {
            let records = few.iter().map(|(record, _)| record.clone()).collect();
            if let Some(encoded) = InlineRun::from_records(records)?.encode_within(INLINE_MAX) {
                return Ok(MergePlan::Changes(encoded.into()));
            }
            self.take_as_many().await?;
        }
        let (run, records) = match self.many.finish_encoded(BESIDE_MAX).await? {
            EncodedChanges::Inline(records) => (None, records),
            EncodedChanges::Run(run) => (Some(run), InlineRun::default().encode()),
        };
        let Tally { changes, surviving, span, .. } = tally;
        let records = records.into();
        Ok(MergePlan::Survivors(Survivors { run, records, span, changes, surviving }))
    }
}
