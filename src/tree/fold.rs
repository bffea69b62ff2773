//! When to fold which levels. Pure: sizes in, a plan out.
//!
//! Two forces: every level costs each lookup a probe, and every fold writes its records again. So
//! small levels are gathered a few at a time, and a level is folded into the ones above when it is
//! no longer four times as large as they are together. A record is then rewritten about once for
//! each power of five between its batch and the whole: ten levels hold 10^9 records.

use std::ops::Range;

use super::folding::INLINE_RECORDS;
use super::metarange::MAX_LEVELS;

/// The size of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelSize {
    /// Number of records.
    pub records: u64,
}

/// Levels that one batch adds, at most.
pub const INCOMING_MAX: usize = 5;

/// What the plans weigh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldLimits {
    /// The most records a batch folds by itself. Default: 4,096.
    pub inline_records: u64,
    /// The most levels a stack has after a batch. Default: [`MAX_LEVELS`] less what one batch can
    /// add, so that a batch that may not fold stays within the limit.
    pub levels_max: usize,
    /// Levels with fewer records are tiny. Default: 128.
    pub tiny_records: u64,
    /// The most tiny levels on top. Default: 4.
    pub tiny_levels_max: usize,
    /// How many times larger a level is than those above it together. Default: 4.
    pub ratio: u64,
}

impl Default for FoldLimits {
    fn default() -> Self {
        Self {
            inline_records: INLINE_RECORDS as u64,
            levels_max: MAX_LEVELS - INCOMING_MAX,
            tiny_records: 128,
            tiny_levels_max: 4,
            ratio: 4,
        }
    }
}

/// Levels to replace by one: indices into the stack, newest first, `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldPlan {
    /// The newest level to fold.
    pub from: usize,
    /// One behind the oldest level to fold.
    pub to: usize,
}

/// What to fold of `levels` (newest first) before `incoming` levels are put on top, while a batch
/// is waiting. `None`: nothing.
///
/// Never more than [`FoldLimits::inline_records`], except where the stack would get too high: then
/// the neighbours that are cheapest to fold, whatever they cost.
pub fn plan_fold(levels: &[LevelSize], incoming: usize, limits: &FoldLimits) -> Option<FoldPlan> {
    let room = limits.levels_max.saturating_sub(incoming).max(1);
    let regular = plan_regular(levels, incoming, limits);
    let height = levels.len() - regular.map_or(0, |plan| plan.to - plan.from - 1);
    if height <= room {
        return regular;
    }
    // Folding w neighbours takes w - 1 levels away.
    cheapest(levels, levels.len() - room + 1)
}

fn plan_regular(levels: &[LevelSize], incoming: usize, limits: &FoldLimits) -> Option<FoldPlan> {
    let tiny = levels.iter().take_while(|level| level.records < limits.tiny_records).count();
    let gather = if tiny + incoming > limits.tiny_levels_max { tiny } else { 0 };
    let mut above = 0u64;
    let mut to = 0;
    for (at, level) in levels.iter().enumerate() {
        let too_small = at > 0 && level.records < above.saturating_mul(limits.ratio);
        let is_tiny = at < tiny;
        above = above.saturating_add(level.records);
        if above > limits.inline_records {
            break;
        }
        if (is_tiny && at < gather) || (!is_tiny && too_small) {
            to = at + 1;
        }
    }
    (to >= 2).then_some(FoldPlan { from: 0, to })
}

/// The `width` neighbours with the fewest records.
fn cheapest(levels: &[LevelSize], width: usize) -> Option<FoldPlan> {
    let width = width.clamp(2, levels.len().max(2));
    levels
        .windows(width)
        .map(|window| window.iter().fold(0u64, |sum, level| sum.saturating_add(level.records)))
        .enumerate()
        .min_by_key(|(_, records)| *records)
        .map(|(from, _)| FoldPlan { from, to: from + width })
}

/// Which levels (newest first) to fold in the background, where cost does not delay a batch.
/// `None`: nothing is worth it.
///
/// Small levels on top are left alone: batches fold them while this fold is under way.
pub fn plan_background_fold(levels: &[LevelSize], limits: &FoldLimits) -> Option<Range<usize>> {
    let small = limits.inline_records / 2;
    let from = levels.iter().take_while(|level| level.records < small).count();
    let mut above = 0u64;
    let mut to = None;
    for (at, level) in levels.iter().enumerate().skip(from) {
        if at > from && level.records < above.saturating_mul(limits.ratio) {
            to = Some(at + 1);
        }
        above = above.saturating_add(level.records);
    }
    to.map(|to| from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(records: &[u64]) -> Vec<LevelSize> {
        records.iter().map(|records| LevelSize { records: *records }).collect()
    }

    fn apply(levels: &mut Vec<LevelSize>, range: Range<usize>) -> u64 {
        let records = levels[range.clone()].iter().map(|level| level.records).sum();
        levels.splice(range, [LevelSize { records }]);
        records
    }

    #[test]
    fn plans_do_what_the_policy_says() {
        let limits = FoldLimits::default();
        let plan = |records: &[u64]| plan_fold(&sizes(records), 1, &limits);
        assert_eq!(plan(&[]), None);
        assert_eq!(plan(&[1, 1, 1]), None, "a few tiny levels may wait");
        assert_eq!(plan(&[1, 1, 1, 1]), Some(FoldPlan { from: 0, to: 4 }));
        assert_eq!(plan(&[1, 1, 1, 1, 5000]), Some(FoldPlan { from: 0, to: 4 }));
        assert_eq!(plan(&[1_000, 1_000]), Some(FoldPlan { from: 0, to: 2 }));
        assert_eq!(plan(&[800, 3_200]), None);
        assert_eq!(plan(&[3_000, 3_000]), None, "too large to wait for");
        let high = [1 << 20; MAX_LEVELS - INCOMING_MAX];
        assert_eq!(plan(&high), Some(FoldPlan { from: 0, to: 2 }), "or the stack gets too high");
        let background = |records: &[u64]| plan_background_fold(&sizes(records), &limits);
        assert_eq!(background(&[1, 600, 30_000, 40_000, 1_000_000]), Some(2..4));
        assert_eq!(background(&[1, 600, 30_000, 400_000]), None);
        assert_eq!(background(&[10_000, 30_000, 100_000]), Some(0..3));
    }

    #[test]
    fn the_stack_stays_low_and_writes_stay_few() {
        let limits = FoldLimits::default();
        for (batch, batches, in_background) in
            [(1u64, 100_000, true), (1, 20_000, false), (700, 20_000, true), (50_000, 20_000, true)]
        {
            let mut levels = Vec::new();
            let (mut highest, mut rewritten) = (0, 0);
            for _ in 0..batches {
                if let Some(plan) = plan_fold(&levels, 1, &limits) {
                    rewritten += apply(&mut levels, plan.from..plan.to);
                }
                levels.insert(0, LevelSize { records: batch });
                highest = highest.max(levels.len());
                if in_background && let Some(range) = plan_background_fold(&levels, &limits) {
                    rewritten += apply(&mut levels, range);
                }
            }
            let total = batch * batches;
            assert!(highest <= 16, "{highest} levels with batches of {batch}");
            let amplification = rewritten / total;
            println!(
                "batch {batch} x {batches}: {highest} levels, rewritten {amplification} times"
            );
            assert!(amplification <= 120, "{amplification} times with batches of {batch}");
        }
    }
}
