//! The commits of a batch, each on top of the one before it, and the rows of producers.

use std::collections::BTreeMap;

use crate::model::commit::Commit;
use crate::model::error::Result;
use crate::model::ids::{CommitId, MetarangeId, RunId};
use crate::model::producer::Producer;
use crate::tree::{ALL, StackHash};

use super::judged::{Effect, Judgement};
use super::situation::{Prepared, Situation, Work};
use crate::commit::log::entry::{DecidedOp, LogEntry};
use crate::commit::log::levels::{SpanLevel, metarange_at};
use crate::commit::op::merge::MergeKind;
use crate::commit::op::verdict::ProducerRow;

/// Puts what became of each op into the entry: commits, and the rows of producers.
pub(super) fn add_ops(
    mut entry: LogEntry,
    situation: Situation,
    judgement: Judgement,
) -> Result<LogEntry> {
    let mut parent = entry.parent;
    let mut generation = entry.parent_generation;
    let mut contents = Contents::new(judgement.ops.len());
    let decided = situation.ops.into_iter().zip(judgement.ops).zip(judgement.advances);
    for (index, ((op, judged), advances)) in decided.enumerate() {
        let position = index as u16;
        let makes_commit = matches!(judged.effect, Effect::Changes { .. });
        let reset = match &judged.effect {
            Effect::Reset { to, .. } => Some(*to),
            _ => None,
        };
        let Prepared { id, areas, fingerprint, work, producers } = op;
        let mut commit = None;
        let mut commit_id: Option<CommitId> = None;
        if let Some(words) = words_of(work).filter(|_| makes_commit) {
            generation = generation.max(words.second_generation) + 1;
            let made = Commit {
                op_id: id,
                parents: parent.into_iter().chain(words.second_parent).collect(),
                generation,
                committer: words.committer,
                message: words.message,
                created_ms: words.created_ms,
                metadata: words.metadata,
                metarange: contents.id(&entry.levels, position),
            };
            commit_id = Some(made.id(entry.uid, entry.first, position)?);
            parent = commit_id;
            commit = Some(made);
        }
        if let Effect::Forget(names) = judged.effect {
            for name in names {
                entry.producers.remove(&name);
                entry.forgotten.insert(name);
            }
        }
        for Producer { name, epoch, sequence } in producers.into_iter().filter(|_| advances) {
            entry.forgotten.remove(&name);
            let row = ProducerRow { epoch, sequence, commit: commit_id, used: None };
            entry.producers.insert(name, row);
        }
        entry.ops.push(DecidedOp {
            op_id: id,
            verdict: judged.verdict,
            commit,
            areas,
            reset,
            fingerprint,
            id: commit_id.into(),
        });
    }
    Ok(entry)
}

/// The ids of the contents after the ops of a batch, one after the other. They differ in their top
/// level, and seldom in more: what lies below is hashed when it changes.
struct Contents {
    ops: usize,
    below: StackHash,
    /// The run at the top that grows with every op, if there is one by now.
    growing: Option<RunId>,
    /// The first op that sees other levels than these.
    until: u16,
}

impl Contents {
    fn new(ops: usize) -> Self {
        Self { ops, below: StackHash::over(&[]), growing: None, until: 0 }
    }

    /// The id after op `index`; ops come in order.
    fn id(&mut self, levels: &[SpanLevel], index: u16) -> MetarangeId {
        if usize::from(index) + 1 == self.ops {
            return metarange_at(levels, index, true).id();
        }
        if index >= self.until {
            let stack = metarange_at(levels, index, false).levels;
            let top = levels.first().filter(|span| {
                span.written && !span.whole && span.from <= index && index < span.until
            });
            self.growing = top.map(|span| span.level.run.id);
            self.below = StackHash::over(stack.get(usize::from(top.is_some())..).unwrap_or(&[]));
            let bounds = levels.iter().flat_map(|span| [span.from, span.until]);
            self.until = bounds.filter(|bound| *bound > index).min().unwrap_or(ALL);
        }
        match self.growing {
            Some(run) => self.below.id_with_top(run, index),
            None => self.below.id(),
        }
    }
}

/// What an op says of the commit that it makes.
struct Words {
    committer: String,
    created_ms: i64,
    message: String,
    metadata: BTreeMap<String, String>,
    second_parent: Option<CommitId>,
    second_generation: u64,
}

fn words_of(work: Work) -> Option<Words> {
    match work {
        Work::Commit { committer, created_ms, request, .. } => Some(Words {
            committer,
            created_ms: request.date_ms.unwrap_or(created_ms),
            message: request.message,
            metadata: request.metadata,
            second_parent: None,
            second_generation: 0,
        }),
        Work::Merge { committer, created_ms, request, view } => {
            let has_two = request.merge.kind == MergeKind::Merge;
            Some(Words {
                committer,
                created_ms,
                message: request.message,
                metadata: request.metadata,
                second_parent: request.merge.source.filter(|_| has_two),
                second_generation: if has_two { view.source_generation } else { 0 },
            })
        }
        _ => None,
    }
}
