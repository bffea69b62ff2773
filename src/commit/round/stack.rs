//! The stack of a branch during and after a batch: what the batch adds, on top of what was there, with
//! small levels folded together and what ops have exchanged or left behind.

use std::ops::Range;
use std::sync::Arc;

use crate::model::error::Result;
use crate::tree::fold::{FoldLimits, LevelSize, plan_fold};
use crate::tree::{ALL, FoldedAt, Level, RunRef, Tree};

use super::judged::{Effect, Judged, Judgement};
use super::runs::Embedded;
use crate::commit::log::head::Head;
use crate::commit::log::levels::SpanLevel;

/// The levels, newest first, of a batch that has `written` some on top of `head`.
pub(super) async fn stack(
    tree: &Tree,
    head: &Head,
    embedded: &mut Embedded,
    written: Vec<SpanLevel>,
    judgement: &Judgement,
    folds: bool,
) -> Result<Vec<SpanLevel>> {
    let mut levels = written;
    let incoming = levels.iter().filter(|span| span.until == ALL).count();
    let older = &head.metarange.levels;
    let exchanges = exchanges(judgement);
    // Levels that an op of this batch exchanges stay out of the inline fold.
    let foldable = exchanges.iter().map(|e| e.at).min().unwrap_or(older.len());
    let kept = older.get(..foldable).unwrap_or_default();
    let below = older.len() - foldable;
    // What ends needs no short stack, and must be able to end whatever is wrong with it.
    let ends = |op: &Judged| matches!(op.effect, Effect::Close | Effect::Reset { .. });
    let fold = match folds && !judgement.ops.iter().any(ends) {
        true => inline_fold(tree, embedded, kept, incoming + below, below == 0).await?,
        false => None,
    };
    add_older(&mut levels, head, fold, &exchanges);
    if let Some((op, target)) = reset(judgement) {
        for span in &mut levels {
            span.until = span.until.min(op);
        }
        levels.extend(target.iter().map(|level| SpanLevel::lasting(level.clone(), op)));
    }
    Ok(levels)
}

/// An accepted fold: levels `at..at + len` of the head give way to `with` from op `op` on.
struct Exchange {
    at: usize,
    len: usize,
    op: u16,
    with: Arc<RunRef>,
}

fn exchanges(judgement: &Judgement) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for (index, op) in judgement.ops.iter().enumerate() {
        if let Effect::Fold { at, len, with } = &op.effect {
            let with = Arc::clone(with);
            exchanges.push(Exchange { at: *at, len: *len, op: index as u16, with });
        }
    }
    exchanges
}

/// Levels of the head that were folded together, and their fold.
type InlineFold = (Range<usize>, Arc<RunRef>);

/// Folds small levels together, where the policy says so.
async fn inline_fold(
    tree: &Tree,
    embedded: &mut Embedded,
    levels: &[Level],
    others: usize,
    reaches_bottom: bool,
) -> Result<Option<InlineFold>> {
    let sizes: Vec<LevelSize> =
        levels.iter().map(|level| LevelSize { records: level.run.records }).collect();
    let Some(plan) = plan_fold(&sizes, others, &FoldLimits::default()) else {
        return Ok(None);
    };
    let folded = levels.get(plan.from..plan.to).unwrap_or_default();
    let bottom = reaches_bottom && plan.to == levels.len();
    let run = embedded.add(tree.fold(folded, bottom).await?)?;
    Ok(Some((plan.from..plan.to, run)))
}

/// Adds the levels of the head, or what stands in their place.
fn add_older(
    levels: &mut Vec<SpanLevel>,
    head: &Head,
    fold: Option<InlineFold>,
    exchanges: &[Exchange],
) {
    let older = &head.metarange.levels;
    let mut index = 0;
    while let Some(level) = older.get(index) {
        if let Some((folded, run)) = fold.as_ref().filter(|(folded, _)| folded.start == index) {
            levels.push(SpanLevel::lasting(Level::all(Arc::clone(run)), 0));
            index = folded.end;
        } else if let Some(exchange) = exchanges.iter().find(|exchange| exchange.at == index) {
            let mut with = SpanLevel::lasting(Level::all(Arc::clone(&exchange.with)), exchange.op);
            with.level.folded_at = Some(FoldedAt { uid: head.uid, first: head.next() });
            levels.push(with);
            let replaced = older.get(index..index + exchange.len).unwrap_or_default();
            levels.extend(replaced.iter().map(|level| SpanLevel {
                until: exchange.op,
                ..SpanLevel::lasting(level.clone(), 0)
            }));
            index += exchange.len;
        } else {
            levels.push(SpanLevel::lasting(level.clone(), 0));
            index += 1;
        }
    }
}

/// The reset of a batch, which is its last op, and what it leads to.
fn reset(judgement: &Judgement) -> Option<(u16, &[Level])> {
    let (index, op) = judgement.ops.iter().enumerate().next_back()?;
    match &op.effect {
        Effect::Reset { levels, .. } => Some((index as u16, levels)),
        _ => None,
    }
}
