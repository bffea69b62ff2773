//! Differences across folds.
//!
//! A fold gives a branch other runs of the same content, so two commits on both sides of it share
//! little that a comparison of runs could see. But the log entry at which a folded level came in
//! still lists the levels it replaced. Putting those back, in thought, makes the two stacks alike
//! again, and the difference costs what it is.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::model::error::Result;
use crate::tree::{Diff, Level, Metarange, ScanStart};

use crate::commit::log::lake::Lake;

/// Folds that are undone for one comparison, at most.
const FOLDS_UNDONE: usize = 16;

/// Levels with fewer records are compared as they are.
const WORTHWHILE: u64 = 4096;

impl Lake {
    /// The paths at which two contents of this repository differ, in order. Costs the difference,
    /// and a read of a log entry for each fold that lies between the two.
    pub fn diff(
        &self,
        before: Metarange,
        after: Metarange,
        start: ScanStart,
    ) -> BoxStream<'static, Result<Diff>> {
        let lake = self.clone();
        let aligned = async move {
            let (before, after) = align(&lake, before, after).await?;
            Ok(lake.tree().diff(before, after, start))
        };
        stream::once(aligned).try_flatten().boxed()
    }
}

/// Two stacks of the same contents that have as much in common as folds allow; the given ones
/// where that is nothing more.
async fn align(lake: &Lake, before: Metarange, after: Metarange) -> Result<(Metarange, Metarange)> {
    let (mut a, mut b) = (before.levels.clone(), after.levels.clone());
    for _ in 0..FOLDS_UNDONE {
        let equal =
            a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a.same_content(b)).count();
        // The lowest level of each side that the other does not have there.
        let at = [a.len(), b.len()].map(|len| len.checked_sub(equal + 1));
        let [Some(in_a), Some(in_b)] = at else { break };
        let records = |levels: &[Level], at: usize| levels.get(at).map_or(0, |l| l.run.records);
        let (of_a, of_b) = (records(&a, in_a), records(&b, in_b));
        if of_a.max(of_b) < WORTHWHILE {
            break;
        }
        // The larger one is the likelier to be the fold of what the other still has.
        let undone = match of_b >= of_a {
            true => undo(lake, &mut b, in_b).await? || undo(lake, &mut a, in_a).await?,
            false => undo(lake, &mut a, in_a).await? || undo(lake, &mut b, in_b).await?,
        };
        if !undone {
            break;
        }
    }
    let alike = a.last().zip(b.last()).is_some_and(|(a, b)| a.same_content(b));
    Ok(match alike {
        true => (Metarange { levels: a }, Metarange { levels: b }),
        false => (before, after),
    })
}

/// Puts the levels that level `at` has taken the place of back there, if they are known.
async fn undo(lake: &Lake, levels: &mut Vec<Level>, at: usize) -> Result<bool> {
    let Some(level) = levels.get(at) else { return Ok(false) };
    let Some(replaced) = lake.unfolded(level).await? else { return Ok(false) };
    levels.splice(at..=at, replaced);
    Ok(true)
}

impl Lake {
    /// The levels that `level` took the place of, newest first, if their log entry tells.
    pub(crate) async fn unfolded(&self, level: &Level) -> Result<Option<Vec<Level>>> {
        let Some(at) = level.folded_at else { return Ok(None) };
        let Some(entry) = self.entry(at.uid, at.first).await? else { return Ok(None) };
        let mut spans = entry.levels.iter().skip_while(|span| !span.level.same_content(level));
        let Some(op) = spans.next().map(|span| span.from) else { return Ok(None) };
        let replaced = spans.take_while(|span| span.until == op && !span.written);
        let replaced: Vec<Level> = replaced.map(|span| span.level.clone()).collect();
        Ok(Some(replaced).filter(|replaced| !replaced.is_empty()))
    }
}
