//! The runs of a batch's large ops as levels: few at any time, however many ops there are, and
//! where their paths lie apart without writing a record again.

use std::sync::Arc;

use crate::model::error::Result;
use crate::tree::fold::INCOMING_MAX;
use crate::tree::{Level, RunRef, Tree};

use crate::commit::log::levels::SpanLevel;

/// Levels that the large ops of a batch are seen as at the same time, at most: of what a batch may
/// add, one is for its small ops.
const LEVELS_MAX: usize = INCOMING_MAX - 1;

/// The runs of large ops, as levels that come and go from op to op.
#[derive(Default)]
pub(super) struct LargeStack {
    /// What the last op sees, oldest first.
    seen: Vec<OpsLevel>,
    /// What only earlier ops see.
    past: Vec<OpsLevel>,
}

/// A level with the changes of some ops in a row.
struct OpsLevel {
    /// The first of the ops.
    first: u16,
    span: SpanLevel,
}

impl LargeStack {
    /// Op `op` brings `run`. Where there would be too many levels two neighbours become one, as
    /// of this op: the two that are cheapest to put together.
    pub(super) async fn push(&mut self, tree: &Tree, op: u16, run: Arc<RunRef>) -> Result<()> {
        self.seen.push(OpsLevel { first: op, span: SpanLevel::whole(run, op) });
        while self.seen.len() > LEVELS_MAX {
            let at = self.cheapest();
            let newer = self.seen.remove(at + 1);
            let Some(older) = self.seen.get_mut(at) else { break };
            let run = together(tree, &older.span.level, &newer.span.level).await?;
            let both = OpsLevel { first: older.first, span: SpanLevel::whole(run, op) };
            let older = std::mem::replace(older, both);
            for mut part in [older, newer] {
                part.span.until = op;
                // What this very op brought was never seen by itself.
                if part.span.from < part.span.until {
                    self.past.push(part);
                }
            }
        }
        Ok(())
    }

    /// Of all neighbours those with the fewest records: so each record takes part in few steps.
    fn cheapest(&self) -> usize {
        let records = |pair: &[OpsLevel]| -> u64 {
            pair.iter().fold(0, |sum: u64, part| sum.saturating_add(part.span.level.run.records))
        };
        let sums = self.seen.windows(2).map(records).enumerate();
        sums.min_by_key(|(_, records)| *records).map_or(0, |(at, _)| at)
    }

    /// All levels, newest first. Those that one op sees together are of different ops, so that the
    /// first op of each tells their order.
    pub(super) fn into_levels(self) -> Vec<SpanLevel> {
        let mut parts = self.seen;
        parts.extend(self.past);
        parts.sort_by_key(|part| std::cmp::Reverse(part.first));
        parts.into_iter().map(|part| part.span).collect()
    }
}

async fn together(tree: &Tree, older: &Level, newer: &Level) -> Result<Arc<RunRef>> {
    if let Some(joined) = tree.join(&older.run, &newer.run).await? {
        return Ok(Arc::new(joined));
    }
    let folded = tree.fold(&[newer.clone(), older.clone()], false).await?;
    // The next step may have to read it, which it could not inside an entry yet to be written.
    Ok(Arc::new(folded.stored(tree).await?))
}
