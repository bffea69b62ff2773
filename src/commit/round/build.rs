//! The steps between deciding and the log: writing the batch's runs, keeping the stack short, and
//! putting the log entry together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::commit::Commit;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, MetarangeId, RunId};
use crate::model::path::ObjectPath;
use crate::tree::fold::{FoldLimits, LevelSize, plan_fold};
use crate::tree::inline;
use crate::tree::{
    ALL, ChangeSet, FoldedAt, InlineAddress, InlineRun, Level, Record, RunRef, SmallMax, StackHash,
    Tree,
};

use super::judge::{Effect, Judged, Judgement};
use super::large::LargeStack;
use super::prepare::{Prepared, Situation, Work};
use crate::commit::log::entry::{DecidedOp, LogEntry, SpanLevel, metarange_at};
use crate::commit::log::head::Head;
use crate::commit::op::queued::MergeKind;
use crate::commit::op::verdict::ProducerRow;

/// Up to where the records of a batch stay inside its log entry.
const EMBEDDED_MAX: SmallMax = SmallMax { records: inline::MAX_RECORDS, bytes: 1024 * 1024 };

/// The log entry for a judged batch on top of `head`, with every object it names written. Without
/// `folds` the stack is left as it is, whatever its height.
pub async fn build(
    tree: &Tree,
    head: &Head,
    situation: Situation,
    judgement: Judgement,
    folds: bool,
) -> Result<LogEntry> {
    let mut builder = Builder { tree, head, folds, runs: Vec::new() };
    let written = builder.write_runs(&judgement).await?;
    let levels = builder.levels(written, &judgement).await?;
    let Builder { runs, .. } = builder;
    let entry = LogEntry {
        uid: head.uid,
        first: head.next(),
        sequence: head.entries,
        before: head.position,
        parent: head.commit,
        parent_generation: head.generation,
        ops: Vec::new(),
        levels,
        runs,
        producers: BTreeMap::new(),
        closes: judgement.ops.iter().any(|op| matches!(op.effect, Effect::Close)),
    };
    add_ops(entry, situation, judgement)
}

/// Writes what a batch adds.
pub(in crate::commit) struct Builder<'a> {
    pub(in crate::commit) tree: &'a Tree,
    head: &'a Head,
    folds: bool,
    /// Inline runs, by segment.
    runs: Vec<Arc<InlineRun>>,
}

impl Builder<'_> {
    /// What the batch adds, newest first: one level with the records of all its small ops, and
    /// under it the runs of its large ones.
    ///
    /// A record of a small op can so come to lie above the run of a later op. What that run says of
    /// the path is then repeated in the upper level, under the later op's index.
    async fn write_runs(&mut self, judgement: &Judgement) -> Result<Vec<SpanLevel>> {
        let (mut records, large) = pieces(judgement);
        for (op, run) in &large {
            let repeated = self.repeated(&records, *op, run).await?;
            records.extend(repeated);
        }
        let mut levels = Vec::new();
        if let Some(from) = records.iter().map(|record| record.op).min() {
            levels.push(written_level(self.write_records(records).await?, from));
        }
        let mut stack = LargeStack::default();
        for (op, run) in large {
            stack.push(self, op, run).await?;
        }
        levels.extend(stack.into_levels());
        Ok(levels)
    }

    /// Records of `run`, the run of op `op`, for paths that earlier small ops have changed.
    async fn repeated(
        &self,
        records: &[Record],
        op: u16,
        run: &Arc<RunRef>,
    ) -> Result<Vec<Record>> {
        let Some((first, last)) = self.tree.span_of(run).await? else { return Ok(Vec::new()) };
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
        let values = self.tree.changes_in_run(run, &paths).await?;
        let found = paths.into_iter().zip(values);
        Ok(found.filter_map(|(path, value)| Some(Record { path, op, value: value? })).collect())
    }

    async fn write_records(&mut self, records: Vec<Record>) -> Result<Arc<RunRef>> {
        let records = self.tree.change_set(records, EMBEDDED_MAX).await?;
        self.embed_if_small(records)
    }

    fn embed_if_small(&mut self, changes: ChangeSet) -> Result<Arc<RunRef>> {
        match changes {
            ChangeSet::Small(records) => self.embed(InlineRun::from_records(records)?),
            ChangeSet::Large(run) => Ok(run),
        }
    }

    /// Puts a small run into the log entry.
    pub(in crate::commit) fn embed(&mut self, run: InlineRun) -> Result<Arc<RunRef>> {
        let segment = u16::try_from(self.runs.len())
            .map_err(|_| Error::internal("a log entry has too many runs"))?;
        let at = InlineAddress { uid: self.head.uid, first: self.head.next(), segment };
        let run = Arc::new(run);
        self.runs.push(Arc::clone(&run));
        Ok(Arc::new(run.run_ref(at)))
    }

    /// The stack during and after the batch, newest first.
    async fn levels(
        &mut self,
        written: Vec<SpanLevel>,
        judgement: &Judgement,
    ) -> Result<Vec<SpanLevel>> {
        let mut levels = written;
        let incoming = levels.iter().filter(|span| span.until == ALL).count();
        let older = &self.head.metarange.levels;
        let exchanges = exchanges(judgement);
        // Levels that an op of this batch exchanges stay out of the inline fold.
        let foldable = exchanges.iter().map(|e| e.at).min().unwrap_or(older.len());
        let kept = older.get(..foldable).unwrap_or_default();
        let below = older.len() - foldable;
        // What ends needs no short stack, and must be able to end whatever is wrong with it.
        let ends = |op: &Judged| matches!(op.effect, Effect::Close | Effect::Reset { .. });
        let fold = match self.folds && !judgement.ops.iter().any(ends) {
            true => self.inline_fold(kept, incoming + below, below == 0).await?,
            false => None,
        };
        let mut index = 0;
        while let Some(level) = older.get(index) {
            if let Some((plan, run)) = fold.as_ref().filter(|(plan, _)| plan.start == index) {
                levels.push(lasting_level(Level::all(Arc::clone(run)), 0));
                index = plan.end;
                continue;
            }
            if let Some(exchange) = exchanges.iter().find(|exchange| exchange.at == index) {
                let with = Level::all(Arc::clone(&exchange.with));
                let mut folded = lasting_level(with, exchange.op);
                let (uid, first) = (self.head.uid, self.head.next());
                folded.level.folded_at = Some(FoldedAt { uid, first });
                levels.push(folded);
                let replaced = older.get(index..index + exchange.len).unwrap_or_default();
                levels.extend(replaced.iter().map(|level| SpanLevel {
                    level: level.clone(),
                    from: 0,
                    until: exchange.op,
                    written: false,
                    whole: true,
                }));
                index += exchange.len;
                continue;
            }
            levels.push(lasting_level(level.clone(), 0));
            index += 1;
        }
        if let Some((op, target)) = reset(judgement) {
            for span in &mut levels {
                span.until = span.until.min(op);
            }
            levels.extend(target.iter().map(|level| lasting_level(level.clone(), op)));
        }
        Ok(levels)
    }

    /// Folds small levels together, where the policy says so.
    async fn inline_fold(
        &mut self,
        levels: &[Level],
        others: usize,
        reaches_bottom: bool,
    ) -> Result<Option<(std::ops::Range<usize>, Arc<RunRef>)>> {
        let sizes: Vec<LevelSize> =
            levels.iter().map(|level| LevelSize { records: level.run.records }).collect();
        let Some(plan) = plan_fold(&sizes, others, &FoldLimits::default()) else {
            return Ok(None);
        };
        let folded = levels.get(plan.from..plan.to).unwrap_or_default();
        let bottom = reaches_bottom && plan.to == levels.len();
        let run = self.tree.fold(folded, bottom).await?;
        let run = self.embed_if_small(run)?;
        Ok(Some((plan.from..plan.to, run)))
    }
}

/// A level whose records carry the indexes of ops, from op `from` on.
fn written_level(run: Arc<RunRef>, from: u16) -> SpanLevel {
    SpanLevel { level: Level::all(run), from, until: ALL, written: true, whole: false }
}

/// What large ops of the batch brought, from op `from` on.
pub(in crate::commit) fn whole_level(run: Arc<RunRef>, from: u16) -> SpanLevel {
    SpanLevel { level: Level::all(run), from, until: ALL, written: true, whole: true }
}

/// A level of earlier batches, or a fold of such, from op `from` on.
fn lasting_level(level: Level, from: u16) -> SpanLevel {
    SpanLevel { level, from, until: ALL, written: false, whole: true }
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

/// The reset of a batch, which is its last op, and what it leads to.
fn reset(judgement: &Judgement) -> Option<(u16, &[Level])> {
    let (index, op) = judgement.ops.iter().enumerate().next_back()?;
    match &op.effect {
        Effect::Reset { levels, .. } => Some((index as u16, levels)),
        _ => None,
    }
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

/// Makes the commits, each on top of the one before it, and the rows of producers.
fn add_ops(mut entry: LogEntry, situation: Situation, judgement: Judgement) -> Result<LogEntry> {
    let mut parent = entry.parent;
    let mut generation = entry.parent_generation;
    let mut contents = Contents::new(judgement.ops.len());
    let decided = situation.ops.into_iter().zip(judgement.ops).zip(judgement.advances);
    for (index, ((op, judged), advance)) in decided.enumerate() {
        let position = index as u16;
        let makes_commit = matches!(judged.effect, Effect::Changes { .. });
        let reset = match &judged.effect {
            Effect::Reset { to, .. } => Some(*to),
            _ => None,
        };
        let Prepared { id, areas, work, .. } = op;
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
        if let Some(advance) = advance {
            let row =
                ProducerRow { epoch: advance.epoch, sequence: advance.sequence, commit: commit_id };
            entry.producers.insert(advance.name, row);
        }
        entry.ops.push(DecidedOp {
            op_id: id,
            verdict: judged.verdict,
            commit,
            areas,
            reset,
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
