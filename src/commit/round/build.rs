//! The steps between deciding and the log: writing the batch's runs, keeping the stack short, and
//! putting the log entry together.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::error::Result;
use crate::tree::Tree;

use super::commits::add_ops;
use super::judged::{Effect, Judgement};
use super::runs::{Embedded, write_runs};
use super::situation::Situation;
use super::stack::stack;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;

/// The log entry for a judged batch on top of `head`, with every object it names written. Without
/// `folds` the stack is left as it is, whatever its height.
pub async fn build(
    tree: &Tree,
    head: &Head,
    situation: Situation,
    judgement: Judgement,
    folds: bool,
) -> Result<LogEntry> {
    let mut embedded = Embedded::new(head);
    let written = write_runs(tree, &mut embedded, &judgement).await?;
    let levels = stack(tree, head, &mut embedded, written, &judgement, folds).await?;
    let entry = LogEntry {
        uid: head.uid,
        first: head.next(),
        sequence: head.entries,
        before: head.position,
        parent: head.commit,
        parent_generation: head.generation,
        ops: Vec::new(),
        levels,
        runs: embedded.into_runs(),
        producers: BTreeMap::new(),
        forgotten: BTreeSet::new(),
        closes: judgement.ops.iter().any(|op| matches!(op.effect, Effect::Close)),
    };
    add_ops(entry, situation, judgement)
}
