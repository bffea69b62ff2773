//! Deciding a batch: every op in ticket order, each against what the ones before it left. Given
//! the same head and ops, every helper comes to the same verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::change::decode_value;
use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, RunId};
use crate::model::path::ObjectPath;
use crate::model::producer::Producer;
use crate::tree::{ChangeSet, Decision, Level, Record, RunRef, decide};

use super::prepare::{Prepared, Situation, Work};
use super::state::State;
use crate::commit::log::entry::ResetTo;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::merge::graph::Contained;
use crate::commit::merge::prepared::{Values, settle};
use crate::commit::op::queued::CommitRequest;
use crate::commit::op::verdict::{CONFLICTS_MAX, ProducerRow, Verdict};

/// Conflicting paths of a batch, in bytes, at most; their numbers are always told in full.
const CONFLICT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an op does to the branch.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Nothing.
    None,
    /// These changes become a commit.
    Changes {
        /// A run, taken as it is.
        run: Option<Arc<RunRef>>,
        /// Records on top of it, each carrying the op's index.
        records: Vec<Record>,
    },
    /// Another commit becomes the head.
    Reset {
        /// Which.
        to: ResetTo,
        /// Its content.
        levels: Vec<Level>,
    },
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

impl Judged {
    /// An op that changes nothing.
    pub(in crate::commit) fn idle(verdict: Verdict) -> Self {
        Self { verdict, effect: Effect::None }
    }

    /// An op that makes a commit.
    pub(in crate::commit) fn changes(run: Option<Arc<RunRef>>, records: Vec<Record>) -> Self {
        Self { verdict: Verdict::Committed, effect: Effect::Changes { run, records } }
    }
}

/// A batch, decided.
#[derive(Debug)]
pub struct Judgement {
    /// One per op, in order.
    pub ops: Vec<Judged>,
    /// For each op that carries a producer's sequence and was decided in it: the producer.
    pub advances: Vec<Option<Producer>>,
    /// Bytes of runs that merges had written beforehand and that came to nothing.
    pub wasted: u64,
}

/// Decides every op of `situation`, in order, on top of `head`.
///
/// A read that fails for good may be that of another op's run: unless the batch is `rescued`, with
/// all its runs read, that is an error of the whole, so that no op fails for another's damage.
pub async fn judge(
    lake: &Lake,
    head: &Head,
    situation: &mut Situation,
    rescued: bool,
) -> Result<Judgement> {
    let contained = std::mem::take(&mut situation.contained);
    let situation = &*situation;
    let asked = situation.ops.iter().any(Prepared::asks);
    let mut judge = Judge {
        lake,
        rescued,
        state: State::new(lake, head, &situation.lookups.head, asked),
        situation,
        producers: situation.producers.clone(),
        folded: vec![false; head.metarange.levels.len()],
        levels: &head.metarange.levels,
        conflict_bytes: CONFLICT_BYTES_MAX,
        contained,
    };
    let mut judgement = Judgement { ops: Vec::new(), advances: Vec::new(), wasted: 0 };
    for (index, op) in situation.ops.iter().enumerate() {
        let index = u16::try_from(index)
            .map_err(|_| Error::internal("a batch has more ops than its limit"))?;
        let (judged, advance) = judge.op(index, op).await?;
        judgement.wasted += wasted(op, &judged);
        judgement.ops.push(judged);
        judgement.advances.push(advance);
    }
    Ok(judgement)
}

/// What a merge had written and is not used.
fn wasted(op: &Prepared, judged: &Judged) -> u64 {
    let Work::Merge { request, .. } = &op.work else { return 0 };
    let Some(written) = request.merge.run() else { return 0 };
    match &judged.effect {
        Effect::Changes { run: Some(run), .. } if run.id == written.id => 0,
        _ => written.bytes,
    }
}

/// The judge of one batch, between two of its ops.
pub(in crate::commit) struct Judge<'a> {
    pub(in crate::commit) lake: &'a Lake,
    pub(in crate::commit) state: State<'a>,
    situation: &'a Situation,
    producers: BTreeMap<String, ProducerRow>,
    levels: &'a [Level],
    /// Levels of the head that an op of this batch has replaced.
    folded: Vec<bool>,
    /// What conflicting paths of this batch may still take in the log entry, in bytes.
    pub(in crate::commit) conflict_bytes: usize,
    /// What the head has come to contain since merges of this batch were worked out.
    pub(in crate::commit) contained: Contained,
    rescued: bool,
}

impl Judge<'_> {
    async fn op(&mut self, index: u16, op: &Prepared) -> Result<(Judged, Option<Producer>)> {
        // An op that was called off did not use its sequence up.
        if matches!(op.work, Work::Settled(Verdict::Cancelled)) {
            return Ok((Judged::idle(Verdict::Cancelled), None));
        }
        if let Some(verdict) = op.producer.as_ref().and_then(|sequence| self.fence(sequence)) {
            return Ok((Judged::idle(verdict), None));
        }
        let judged = match self.work(index, op).await {
            Err(error) if error.is_permanent() && (self.rescued || !self.state.has_large()) => {
                Judged::idle(Verdict::Failed { reason: error.to_string() })
            }
            judged => judged?,
        };
        if let Effect::Changes { run, records } = &judged.effect {
            self.state.add(index, run.as_ref(), records);
        }
        if let Some(sequence) = &op.producer {
            let row = ProducerRow {
                epoch: sequence.epoch,
                sequence: sequence.sequence,
                // Known only once the commit has its id; within the batch nobody asks.
                commit: None,
            };
            self.producers.insert(sequence.name.clone(), row);
        }
        Ok((judged, op.producer.clone()))
    }

    async fn work(&mut self, index: u16, op: &Prepared) -> Result<Judged> {
        Ok(match &op.work {
            Work::Settled(verdict) => Judged::idle(verdict.clone()),
            Work::DeleteBranch => Judged { verdict: Verdict::Committed, effect: Effect::Close },
            Work::Fold { levels, bottom, with } => self.fold(levels, *bottom, with),
            Work::Reset { to, levels } => {
                let effect = Effect::Reset { to: *to, levels: levels.clone() };
                Judged { verdict: Verdict::Committed, effect }
            }
            Work::Commit { request, changes, validated, .. } => {
                self.commit(index, request, changes, *validated).await?
            }
            Work::Merge { request, view, .. } => self.merge(index, request, view).await?,
        })
    }

    fn fence(&self, op: &Producer) -> Option<Verdict> {
        self.producers.get(&op.name)?.fence(op)
    }

    fn fold(&mut self, wanted: &[(RunId, u16)], bottom: bool, with: &Arc<RunRef>) -> Judged {
        // A fold of the bottom has dropped its tombstones: anywhere else it would uncover what
        // they hide.
        let at = match bottom {
            true => self.levels.len().checked_sub(wanted.len()),
            false => Some(0),
        };
        let at = at.and_then(|from| {
            find_levels(self.levels.get(from..)?, wanted).map(|found| from + found)
        });
        let Some(at) = at else { return Judged::idle(Verdict::NoChanges) };
        match self.folded.get_mut(at..at + wanted.len()) {
            Some(marks) if !marks.contains(&true) => marks.fill(true),
            _ => return Judged::idle(Verdict::NoChanges),
        }
        let effect = Effect::Fold { at, len: wanted.len(), with: Arc::clone(with) };
        Judged { verdict: Verdict::Committed, effect }
    }

    async fn commit(
        &mut self,
        index: u16,
        request: &CommitRequest,
        changes: &ChangeSet,
        validated: bool,
    ) -> Result<Judged> {
        let records = match changes {
            ChangeSet::Large(run) => return Ok(Judged::changes(Some(Arc::clone(run)), Vec::new())),
            ChangeSet::Small(records) if validated => {
                let rule = Rule { base: request.base.map(Some), strategy: request.strategy };
                match self.validate(index, rule, records).await? {
                    Ok(records) => records,
                    Err(verdict) => return Ok(Judged::idle(verdict)),
                }
            }
            ChangeSet::Small(records) => stamp(index, records),
        };
        if records.is_empty() && request.staging_lost && !request.allow_empty {
            let reason = "Redis lost what was staged before it could be committed".to_owned();
            return Ok(Judged::idle(Verdict::Failed { reason }));
        }
        if records.is_empty() && !request.allow_empty {
            return Ok(Judged::idle(Verdict::NoChanges));
        }
        Ok(Judged::changes(None, records))
    }

    /// Checks conditions and applies the three-way rule, path by path. Returns the records that
    /// survive, or the conflict.
    pub(in crate::commit) async fn validate(
        &mut self,
        index: u16,
        rule: Rule,
        records: &[Record],
    ) -> Result<Result<Vec<Record>, Verdict>> {
        let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
        let current = self.state.values(&paths).await?;
        let mut surviving = Vec::with_capacity(records.len());
        let mut conflicts = Conflicts::default();
        for (record, dest) in records.iter().zip(current) {
            let (change, condition) = decode_value(&record.value)?;
            let source = change.entry();
            let holds = condition.as_ref().is_none_or(|condition| condition.holds(dest.as_ref()));
            let base = rule.base.and_then(|base| self.base(base, &record.path));
            let decision = match rule.base {
                // A condition is the caller's own word: no strategy overrules it.
                _ if !holds => Decision::Conflict,
                None => Decision::TakeSource,
                Some(_) => settle(decide(base.as_ref(), source, dest.as_ref()), rule.strategy),
            };
            match decision {
                Decision::TakeSource => {
                    // The condition has been checked.
                    surviving.push(Record::new(index, record.path.clone(), &change));
                }
                Decision::KeepDest => {}
                Decision::Conflict => {
                    let (path, source) = (record.path.clone(), source.cloned());
                    let conflict = ConflictPath { path, base, source, dest };
                    conflicts.add(&mut self.conflict_bytes, conflict);
                }
            }
        }
        Ok(conflicts.verdict().map_or(Ok(surviving), Err))
    }

    /// What a path has at the base of an op; bases were looked up beforehand.
    fn base(&self, base: Option<CommitId>, path: &ObjectPath) -> Option<Entry> {
        self.situation.lookups.bases.get(&(base?, path.clone())).cloned().flatten()
    }
}

/// By what an op's changes are judged: without a base, the last writer wins.
#[derive(Debug, Clone, Copy)]
pub(in crate::commit) struct Rule {
    /// What the changes start from; `Some(None)` is the empty state.
    pub(in crate::commit) base: Option<Option<CommitId>>,
    /// What happens to conflicts.
    pub(in crate::commit) strategy: Strategy,
}

/// Conflicting paths of one op.
#[derive(Debug, Default)]
pub(in crate::commit) struct Conflicts {
    paths: Vec<ConflictPath>,
    total: u64,
}

impl Conflicts {
    /// Adds one, with its details as long as there is room: for so many bytes in the whole batch.
    pub(in crate::commit) fn add(&mut self, room: &mut usize, conflict: ConflictPath) {
        self.total += 1;
        let left = room.checked_sub(conflict.bytes());
        if let (true, Some(left)) = (self.paths.len() < CONFLICTS_MAX, left) {
            *room = left;
            self.paths.push(conflict);
        }
    }

    /// The verdict, if there are any.
    pub(in crate::commit) fn verdict(self) -> Option<Verdict> {
        (self.total > 0).then_some(Verdict::Conflict { paths: self.paths, total: self.total })
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

/// Records as those of op `index`.
pub(in crate::commit) fn stamp(index: u16, records: &[Record]) -> Vec<Record> {
    records.iter().map(|record| Record { op: index, ..record.clone() }).collect()
}
