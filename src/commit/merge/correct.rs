//! Correcting a merge: its crossings are decided again, and what comes out differently is put on top
//! of what was worked out.

use std::collections::BTreeSet;

use crate::model::conflict::Strategy;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{Decision, InlineRun, Record, decide};

use super::crossings::{Crossing, crossings};
use super::settle::{Conflicts, Settling, settled};
use super::three_way::{Committed, Ruled, Values, record_of};
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::{BESIDE_MAX, MergePlan, PreparedMerge, Survivors};

/// Crossings that are decided again for a hint, at most.
const CARRIED_MAX: usize = 512;

/// What they take in memory, in bytes, at most.
const CARRIED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The same merge as if it had been worked out against the head `against`: only crossings are
/// decided again. `None` where that is not worth it, or where conflicts have to be listed.
pub async fn carry_on(
    lake: &Lake,
    merge: &PreparedMerge,
    against: Option<CommitId>,
) -> Result<Option<PreparedMerge>> {
    let MergePlan::Survivors(survivors) = &merge.plan else { return Ok(None) };
    let dest = Committed::at(lake, against).await?;
    let crossings =
        crossings(lake, merge, survivors, &dest.metarange, (CARRIED_MAX, CARRIED_BYTES_MAX))
            .await?;
    let Some(crossings) = crossings else { return Ok(None) };
    let records = InlineRun::decode(&survivors.records)?.into_records();
    let mut room = usize::MAX;
    let settling = Settling::new(merge.strategy, &mut room);
    let corrected = correct(0, records, crossings, &dest, settling).await?;
    if !corrected.conflicts.is_empty() {
        return Ok(None);
    }
    let records = InlineRun::from_records(corrected.records)?;
    let Some(records) = records.encode_within(BESIDE_MAX) else { return Ok(None) };
    let surviving = survivors.surviving.saturating_add_signed(corrected.more);
    let survivors = Survivors { records: records.into(), surviving, ..survivors.clone() };
    let plan = MergePlan::Survivors(survivors);
    Ok(Some(PreparedMerge { against, plan, ..merge.clone() }))
}

/// A merge with its crossings decided again.
pub(in crate::commit) struct Corrected {
    /// What lies on top of its run.
    pub(in crate::commit) records: Vec<Record>,
    /// Changes that survive and did not before, less those the other way around.
    pub(in crate::commit) more: i64,
    /// Crossings that are conflicts by now.
    pub(in crate::commit) conflicts: Conflicts,
}

/// Decides the crossings of a merge again, on what `dest` has by now, as op `op`. `records` is what
/// lies on top of its run: whatever stays with the branch there has to follow it.
pub(in crate::commit) async fn correct(
    op: u16,
    mut records: Vec<Record>,
    crossings: Vec<Crossing>,
    dest: &dyn Values,
    mut settling: Settling<'_>,
) -> Result<Corrected> {
    let paths: Vec<ObjectPath> = crossings.iter().map(|c| c.path.clone()).collect();
    let now = dest.values(&paths).await?;
    let pinned: BTreeSet<&ObjectPath> = records.iter().map(|record| &record.path).collect();
    let mut corrections = Vec::new();
    let mut more = 0;
    for (crossing, dest) in crossings.into_iter().zip(now) {
        let before = crossing.settled(settling.strategy());
        // A conflict that was no end of the merge was resolved: what stands there is neither side's.
        let was_resolved = before == Decision::Conflict;
        let took = was_resolved || before == Decision::TakeSource;
        let Crossing { path, base, source, .. } = crossing;
        let settled = settling.settle(Ruled::new(path, base, source, dest));
        let Some((ruled, takes)) = settled else { continue };
        more += i64::from(takes) - i64::from(took);
        if takes && (!took || was_resolved) {
            corrections.push(ruled.into_record(op));
        } else if !takes && (took || pinned.contains(&ruled.path)) {
            corrections.push(record_of(op, ruled.path, ruled.dest));
        }
    }
    let corrected: BTreeSet<&ObjectPath> = corrections.iter().map(|record| &record.path).collect();
    records.retain(|record| !corrected.contains(&record.path));
    records.extend(corrections);
    Ok(Corrected { records, more, conflicts: settling.conflicts() })
}

impl Crossing {
    /// What became of it when the merge was worked out.
    fn settled(&self, strategy: Strategy) -> Decision {
        let decision = decide(self.base.as_ref(), self.source.as_ref(), self.before.as_ref());
        settled(decision, strategy)
    }
}
