//! The steps between deciding and the log: writing the batch's runs, keeping the stack short, and
//! putting the log entry together.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use serde_bytes::ByteBuf;

use crate::model::commit::Commit;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::tree::fold::{FoldLimits, LevelSize, plan_fold};
use crate::tree::inline;
use crate::tree::{ALL, Folded, InlineAddress, InlineRun, Level, Record, RunRef, Tree};

use super::head::Head;
use super::judge::{Effect, Judgement};
use super::log::{DecidedOp, LogEntry, SpanLevel, metarange_at};
use super::prepare::{Prepared, Situation, Work};
use super::verdict::ProducerRow;

/// Records of a batch that stay inside its log entry, in bytes of keys and values, at most.
const INLINE_BYTES_MAX: usize = 1024 * 1024;

/// Large ops of a batch whose runs become levels as they are, at most. The runs of more are merged
/// first, so that the stack stays within its limit.
const LARGE_LEVELS_MAX: usize = 4;

/// The log entry for a judged batch on top of `head`, with every object it names written.
pub async fn build(
    tree: &Tree,
    head: &Head,
    situation: Situation,
    judgement: Judgement,
) -> Result<LogEntry> {
    let mut builder = Builder { tree, head, runs: Vec::new() };
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

struct Builder<'a> {
    tree: &'a Tree,
    head: &'a Head,
    /// Encoded inline runs, by segment.
    runs: Vec<ByteBuf>,
}

/// What one stretch of ops adds to the branch.
enum Piece {
    /// Records of several ops, each carrying its op's index.
    Records { from: u16, records: Vec<Record> },
    /// The run of one large op.
    Run { op: u16, run: Arc<RunRef> },
}

impl Piece {
    fn from(&self) -> u16 {
        match self {
            Self::Records { from, .. } => *from,
            Self::Run { op, .. } => *op,
        }
    }
}

impl Builder<'_> {
    /// Writes what the batch adds: newest first, each a level of its own.
    async fn write_runs(&mut self, judgement: &Judgement) -> Result<Vec<SpanLevel>> {
        let mut levels = Vec::new();
        let mut pieces = pieces(judgement);
        let large = pieces.iter().filter(|piece| matches!(piece, Piece::Run { .. })).count();
        if large > LARGE_LEVELS_MAX {
            let from = pieces.first().map_or(0, Piece::from);
            let run = self.merge(std::mem::take(&mut pieces)).await?;
            return Ok(vec![written_level(run, from)]);
        }
        for piece in pieces {
            let from = piece.from();
            let run = match piece {
                Piece::Run { run, .. } => run,
                Piece::Records { records, .. } => self.write_records(records).await?,
            };
            levels.push(written_level(run, from));
        }
        levels.reverse();
        Ok(levels)
    }

    async fn write_records(&mut self, records: Vec<Record>) -> Result<Arc<RunRef>> {
        let bytes: usize = records.iter().map(|r| r.path.as_str().len() + r.value.len()).sum();
        if bytes <= INLINE_BYTES_MAX && records.len() <= inline::MAX_RECORDS {
            return self.embed(InlineRun::from_records(records)?);
        }
        let mut records = records;
        records.sort_by(|a, b| a.path.cmp(&b.path).then(b.op.cmp(&a.op)));
        self.write_sorted(records).await
    }

    /// Puts a small run into the log entry.
    fn embed(&mut self, run: InlineRun) -> Result<Arc<RunRef>> {
        let segment = u16::try_from(self.runs.len())
            .map_err(|_| Error::internal("a log entry has too many runs"))?;
        let at = InlineAddress { uid: self.head.uid, first: self.head.next(), segment };
        self.runs.push(ByteBuf::from(run.encode()));
        Ok(Arc::new(run.run_ref(at)))
    }

    /// Merges many pieces into one run whose records carry their op's index.
    async fn merge(&self, pieces: Vec<Piece>) -> Result<Arc<RunRef>> {
        let mut runs = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Run { op, run } => runs.push((op, Level::all(run))),
                Piece::Records { records, .. } => {
                    runs.extend(self.write_by_op(records).await?);
                }
            }
        }
        let mut merged = self.tree.merge_ops(runs);
        let mut writer = self.tree.run_writer();
        while let Some(record) = merged.try_next().await? {
            writer.push(record).await?;
        }
        Ok(Arc::new(writer.finish().await?))
    }

    /// Writes the records of each op as a run of its own, to be merged with others.
    async fn write_by_op(&self, records: Vec<Record>) -> Result<Vec<(u16, Level)>> {
        let mut by_op: BTreeMap<u16, Vec<Record>> = BTreeMap::new();
        for record in records {
            by_op.entry(record.op).or_default().push(record);
        }
        let mut runs = Vec::with_capacity(by_op.len());
        for (op, records) in by_op {
            // The records of one op are in path order.
            runs.push((op, Level::all(self.write_sorted(records).await?)));
        }
        Ok(runs)
    }

    async fn write_sorted(&self, records: Vec<Record>) -> Result<Arc<RunRef>> {
        let mut writer = self.tree.run_writer();
        for record in records {
            writer.push(record).await?;
        }
        Ok(Arc::new(writer.finish().await?))
    }

    /// The stack during and after the batch, newest first.
    async fn levels(
        &mut self,
        written: Vec<SpanLevel>,
        judgement: &Judgement,
    ) -> Result<Vec<SpanLevel>> {
        let mut levels = written;
        let incoming = levels.len();
        let older = &self.head.metarange.levels;
        let exchanges = exchanges(judgement);
        // Levels that an op of this batch exchanges stay out of the inline fold.
        let foldable = exchanges.iter().map(|e| e.at).min().unwrap_or(older.len());
        let kept = older.get(..foldable).unwrap_or_default();
        let below = older.len() - foldable;
        let fold = self.inline_fold(kept, incoming + below, below == 0).await?;
        let mut index = 0;
        while let Some(level) = older.get(index) {
            if let Some((plan, run)) = fold.as_ref().filter(|(plan, _)| plan.start == index) {
                levels.push(lasting_level(Arc::clone(run), 0));
                index = plan.end;
                continue;
            }
            if let Some(exchange) = exchanges.iter().find(|exchange| exchange.at == index) {
                levels.push(lasting_level(Arc::clone(&exchange.with), exchange.op));
                let replaced = older.get(index..index + exchange.len).unwrap_or_default();
                levels.extend(replaced.iter().map(|level| SpanLevel {
                    level: level.clone(),
                    from: 0,
                    until: exchange.op,
                    written: false,
                }));
                index += exchange.len;
                continue;
            }
            levels.push(SpanLevel { level: level.clone(), from: 0, until: ALL, written: false });
            index += 1;
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
        let run = match self.tree.fold(folded, bottom).await? {
            Folded::Inline(run) => self.embed(run)?,
            Folded::Run(run) => Arc::new(run),
        };
        Ok(Some((plan.from..plan.to, run)))
    }
}

fn written_level(run: Arc<RunRef>, from: u16) -> SpanLevel {
    SpanLevel { level: Level { run, as_of: ALL }, from, until: ALL, written: true }
}

fn lasting_level(run: Arc<RunRef>, from: u16) -> SpanLevel {
    SpanLevel { level: Level { run, as_of: ALL }, from, until: ALL, written: false }
}

/// Stretches of small ops become one piece each, large ops one of their own; in op order.
fn pieces(judgement: &Judgement) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (index, op) in judgement.ops.iter().enumerate() {
        let index = index as u16;
        match &op.effect {
            Effect::Records(added) if !added.is_empty() => match pieces.last_mut() {
                Some(Piece::Records { records, .. }) => records.extend_from_slice(added),
                _ => pieces.push(Piece::Records { from: index, records: added.clone() }),
            },
            Effect::Run(run) => pieces.push(Piece::Run { op: index, run: Arc::clone(run) }),
            _ => {}
        }
    }
    pieces
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
    let count = judgement.ops.len();
    let decided = situation.ops.into_iter().zip(judgement.ops).zip(judgement.advances);
    for (index, ((op, judged), advance)) in decided.enumerate() {
        let position = index as u16;
        let makes_commit = matches!(judged.effect, Effect::Records(_) | Effect::Run(_));
        let Prepared { id, areas, work, .. } = op;
        let mut commit = None;
        let mut commit_id: Option<CommitId> = None;
        if let (true, Work::Commit { committer, created_ms, request, .. }) = (makes_commit, work) {
            generation += 1;
            let made = Commit {
                op_id: id,
                parents: parent.into_iter().collect(),
                generation,
                committer,
                message: request.message,
                created_ms,
                metadata: request.metadata,
                metarange: metarange_at(&entry.levels, position, index + 1 == count).id(),
            };
            commit_id = Some(made.id(entry.uid, entry.first, position)?);
            parent = commit_id;
            commit = Some(made);
        }
        if let Some(advance) = advance {
            let row =
                ProducerRow { epoch: advance.epoch, sequence: advance.sequence, commit: commit_id };
            entry.producers.insert(advance.producer, row);
        }
        entry.ops.push(DecidedOp { op_id: id, verdict: judged.verdict, commit, areas });
    }
    Ok(entry)
}
