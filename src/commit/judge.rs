//! Deciding a batch: a function from values to values. Given the same head and ops, every helper
//! comes to the same verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::change::{Change, decode_value, encode_value};
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::{CommitId, RunId};
use crate::model::path::ObjectPath;
use crate::tree::rule::{Decision, decide};
use crate::tree::{Level, Record, RunRef};

use super::op::{CommitRequest, ProducerSequence, Strategy};
use super::prepare::{ChangeSet, Lookups, Prepared, Situation, Work, is_validated};
use super::verdict::{CONFLICTS_MAX, ConflictPath, ProducerRow, Verdict};

/// Conflicting paths of a batch, in bytes, at most; their numbers are always told in full.
const CONFLICT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an op does to the branch.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Nothing.
    None,
    /// These records, each carrying the op's index, become a commit.
    Records(Vec<Record>),
    /// This run, as it is, becomes a commit.
    Run(Arc<RunRef>),
    /// The branch ends.
    Close,
    /// These levels of the head give way to a run of equal content.
    Fold {
        /// The first of them, as an index into the head's stack.
        at: usize,
        /// How many they are.
        len: usize,
        /// What replaces them.
        with: Arc<RunRef>,
    },
}

/// One op, decided.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its outcome.
    pub verdict: Verdict,
    /// What it does.
    pub effect: Effect,
}

/// A batch, decided.
#[derive(Debug)]
pub struct Judgement {
    /// One per op, in order.
    pub ops: Vec<Judged>,
    /// For each op that carries a producer's sequence and was decided in it: the producer.
    pub advances: Vec<Option<ProducerSequence>>,
}

/// Decides every op of `situation`, in order, each against what the ones before it left. `levels`
/// is the stack of the head.
pub fn judge(situation: &Situation, levels: &[Level]) -> Result<Judgement> {
    let mut state = State {
        lookups: &situation.lookups,
        overlay: BTreeMap::new(),
        producers: situation.producers.clone(),
        folded: vec![false; levels.len()],
        levels,
        large: BTreeSet::new(),
        conflict_bytes: CONFLICT_BYTES_MAX,
    };
    let mut judgement = Judgement { ops: Vec::new(), advances: Vec::new() };
    for (index, op) in situation.ops.iter().enumerate() {
        let index = u16::try_from(index)
            .map_err(|_| crate::Error::internal("a batch has more ops than its limit"))?;
        let (judged, advance) = state.op(index, op)?;
        judgement.ops.push(judged);
        judgement.advances.push(advance);
    }
    Ok(judgement)
}

struct State<'a> {
    lookups: &'a Lookups,
    /// What the batch has made of the paths that some op of it needs to know.
    overlay: BTreeMap<ObjectPath, (u16, Option<Entry>)>,
    producers: BTreeMap<String, ProducerRow>,
    levels: &'a [Level],
    /// Levels of the head that an op of this batch has replaced.
    folded: Vec<bool>,
    /// Large ops that took effect; others have changed nothing.
    large: BTreeSet<u16>,
    /// What conflicting paths of this batch may still take in the log entry, in bytes.
    conflict_bytes: usize,
}

impl State<'_> {
    fn op(&mut self, index: u16, op: &Prepared) -> Result<(Judged, Option<ProducerSequence>)> {
        // An op that was called off did not use its sequence up.
        if matches!(op.work, Work::Settled(Verdict::Cancelled)) {
            return Ok((Judged { verdict: Verdict::Cancelled, effect: Effect::None }, None));
        }
        if let Some(verdict) = op.producer.as_ref().and_then(|sequence| self.fence(sequence)) {
            return Ok((Judged { verdict, effect: Effect::None }, None));
        }
        let judged = match &op.work {
            Work::Settled(verdict) => Judged { verdict: verdict.clone(), effect: Effect::None },
            Work::DeleteBranch => Judged { verdict: Verdict::Committed, effect: Effect::Close },
            Work::Fold { levels, bottom, with } => self.fold(levels, *bottom, with),
            Work::Commit { request, changes, .. } => self.commit(index, request, changes)?,
        };
        if let Some(sequence) = &op.producer {
            let row = ProducerRow {
                epoch: sequence.epoch,
                sequence: sequence.sequence,
                // Known only once the commit has its id; within the batch nobody asks.
                commit: None,
            };
            self.producers.insert(sequence.producer.clone(), row);
        }
        Ok((judged, op.producer.clone()))
    }

    fn fence(&self, op: &ProducerSequence) -> Option<Verdict> {
        let row = self.producers.get(&op.producer)?;
        let fenced =
            |reason: String, earlier: Option<CommitId>| Some(Verdict::Fenced { reason, earlier });
        if op.epoch < row.epoch {
            return fenced(
                format!(
                    "producer '{}' has moved on to epoch {}; this is epoch {}",
                    op.producer, row.epoch, op.epoch
                ),
                None,
            );
        }
        if op.epoch == row.epoch && op.sequence <= row.sequence {
            let earlier = row.commit.filter(|_| op.sequence == row.sequence);
            return fenced(
                format!(
                    "sequence {} of producer '{}' (epoch {}) is decided already; the last one is {}",
                    op.sequence, op.producer, op.epoch, row.sequence
                ),
                earlier,
            );
        }
        None
    }

    fn fold(&mut self, wanted: &[(RunId, u16)], bottom: bool, with: &Arc<RunRef>) -> Judged {
        let nothing = Judged { verdict: Verdict::NoChanges, effect: Effect::None };
        // A fold of the bottom has dropped its tombstones: anywhere else it would uncover what
        // they hide.
        let at = match bottom {
            true => self.levels.len().checked_sub(wanted.len()),
            false => Some(0),
        };
        let at = at.and_then(|from| {
            find_levels(self.levels.get(from..)?, wanted).map(|found| from + found)
        });
        let Some(at) = at else {
            return nothing;
        };
        let Some(marks) = self.folded.get_mut(at..at + wanted.len()) else {
            return nothing;
        };
        if marks.contains(&true) {
            return nothing;
        }
        marks.fill(true);
        let effect = Effect::Fold { at, len: wanted.len(), with: Arc::clone(with) };
        Judged { verdict: Verdict::Committed, effect }
    }

    fn commit(
        &mut self,
        index: u16,
        request: &CommitRequest,
        changes: &ChangeSet,
    ) -> Result<Judged> {
        let records = match changes {
            ChangeSet::Large(run) => {
                self.large.insert(index);
                return Ok(Judged {
                    verdict: Verdict::Committed,
                    effect: Effect::Run(Arc::clone(run)),
                });
            }
            ChangeSet::Small(records) if is_validated(request, records)? => {
                match self.validate(index, request, records)? {
                    Ok(records) => records,
                    Err(verdict) => return Ok(Judged { verdict, effect: Effect::None }),
                }
            }
            ChangeSet::Small(records) => {
                records.iter().map(|record| Record { op: index, ..record.clone() }).collect()
            }
        };
        if records.is_empty() && !request.allow_empty {
            return Ok(Judged { verdict: Verdict::NoChanges, effect: Effect::None });
        }
        self.remember(index, &records)?;
        Ok(Judged { verdict: Verdict::Committed, effect: Effect::Records(records) })
    }

    /// Checks conditions and applies the three-way rule, path by path. Returns the records that
    /// survive, or the conflict.
    fn validate(
        &mut self,
        index: u16,
        request: &CommitRequest,
        records: &[Record],
    ) -> Result<Result<Vec<Record>, Verdict>> {
        let mut surviving = Vec::with_capacity(records.len());
        let mut conflicts = Vec::new();
        let mut total = 0u64;
        for record in records {
            let (change, condition) = decode_value(&record.value)?;
            let source = change.entry();
            let dest = self.current(index, &record.path);
            let holds = condition.as_ref().is_none_or(|condition| condition.holds(dest.as_ref()));
            let base = request.base.and_then(|base| {
                self.lookups.bases.get(&(base, record.path.clone())).cloned().flatten()
            });
            let decision = match request.base {
                _ if !holds => Decision::Conflict,
                None => Decision::TakeSource,
                Some(_) => decide(base.as_ref(), source, dest.as_ref()),
            };
            let take = match (decision, request.strategy) {
                (Decision::TakeSource, _) => true,
                (Decision::KeepDest, _) => false,
                // A condition is the caller's own word: no strategy overrules it.
                (Decision::Conflict, Strategy::SourceWins) if holds => true,
                (Decision::Conflict, Strategy::DestWins) if holds => false,
                (Decision::Conflict, _) => {
                    total += 1;
                    let path = record.path.clone();
                    let source = source.cloned();
                    let conflict = ConflictPath { path, base, source, dest };
                    let left = self.conflict_bytes.checked_sub(conflict.bytes());
                    if let (true, Some(left)) = (conflicts.len() < CONFLICTS_MAX, left) {
                        self.conflict_bytes = left;
                        conflicts.push(conflict);
                    }
                    false
                }
            };
            if take {
                surviving.push(stamped(index, &record.path, &change));
            }
        }
        if total > 0 {
            return Ok(Err(Verdict::Conflict { paths: conflicts, total }));
        }
        Ok(Ok(surviving))
    }

    /// What `path` names right before op `index`.
    fn current(&self, index: u16, path: &ObjectPath) -> Option<Entry> {
        let small = self.overlay.get(path);
        let large = self
            .lookups
            .large
            .get(path)
            .and_then(|by_op| by_op.range(..index).rfind(|(op, _)| self.large.contains(op)));
        match (small, large) {
            (Some((small_op, entry)), Some((large_op, _))) if small_op > large_op => entry.clone(),
            (_, Some((_, entry))) => entry.clone(),
            (Some((_, entry)), None) => entry.clone(),
            (None, None) => self.lookups.head.get(path).cloned().flatten(),
        }
    }

    /// Keeps in mind what later ops of this batch may ask for.
    fn remember(&mut self, index: u16, records: &[Record]) -> Result<()> {
        if self.lookups.head.is_empty() {
            return Ok(());
        }
        for record in records {
            if self.lookups.head.contains_key(&record.path) {
                let entry = decode_value(&record.value)?.0.entry().cloned();
                self.overlay.insert(record.path.clone(), (index, entry));
            }
        }
        Ok(())
    }
}

/// Where `wanted` stands among `levels`, without a gap.
fn find_levels(levels: &[Level], wanted: &[(RunId, u16)]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let same = |(level, wanted): (&Level, &(RunId, u16))| (level.run.id, level.as_of) == *wanted;
    levels.windows(wanted.len()).position(|window| window.iter().zip(wanted).all(same))
}

/// The record of a change without its condition, which has been checked.
fn stamped(op: u16, path: &ObjectPath, change: &Change) -> Record {
    let mut value = Vec::new();
    encode_value(change, None, &mut value);
    Record { path: path.clone(), op, value: Bytes::from(value) }
}
