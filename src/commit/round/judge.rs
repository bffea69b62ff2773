//! Deciding a batch: every op in ticket order, each against what the ones before it left. Given
//! the same head and ops, every helper comes to the same verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::error::{Error, Result};
use crate::model::ids::RunId;
use crate::model::producer::Producer;
use crate::tree::{Level, RunRef};

use super::judge_commit::judge_commit;
use super::judge_merge::judge_merge;
use super::judged::{Effect, Ended, Judged, Judgement, Step};
use super::situation::{Prepared, Situation, Work};
use super::state::State;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::op::verdict::{ProducerRow, Verdict};

/// Conflicting paths of a batch, in bytes, at most; their numbers are always told in full.
const CONFLICT_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    let Situation { ops, producers, lookups, contained } = situation;
    let contained = std::mem::take(contained);
    let asked = ops.iter().any(Prepared::asks);
    let mut judge = Judge {
        rescued,
        state: State::new(lake, head, lookups, contained, asked),
        producers: producers.clone(),
        folded: vec![false; head.metarange.levels.len()],
        levels: &head.metarange.levels,
        conflict_room: CONFLICT_BYTES_MAX,
    };
    let mut judgement = Judgement { ops: Vec::new(), advances: Vec::new(), wasted: 0 };
    for (index, op) in ops.iter_mut().enumerate() {
        let index = u16::try_from(index)
            .map_err(|_| Error::internal("a batch has more ops than its limit"))?;
        let (judged, advances) = judge.op(index, op).await?;
        judgement.wasted += wasted(op, &judged);
        op.let_go();
        judgement.ops.push(judged);
        judgement.advances.push(advances);
    }
    Ok(judgement)
}

/// The judge of one batch, between two of its ops.
struct Judge<'a> {
    rescued: bool,
    state: State<'a>,
    producers: BTreeMap<String, ProducerRow>,
    levels: &'a [Level],
    /// Levels of the head that an op of this batch has replaced.
    folded: Vec<bool>,
    /// What conflicting paths of this batch may still take in the log entry, in bytes.
    conflict_room: usize,
}

impl Judge<'_> {
    /// What becomes of an op, and whether its producers advance with it.
    async fn op(&mut self, index: u16, op: &Prepared) -> Result<(Judged, bool)> {
        if let Some(late) = ProducerRow::first_late(&self.producers, &op.producers) {
            // Called off is called off, whatever became of its producer.
            let verdict = match &op.work {
                Work::Settled(Verdict::Cancelled) => Verdict::Cancelled,
                _ => late.verdict(),
            };
            return Ok((Judged::idle(verdict), false));
        }
        let judged = match self.work(index, op).await {
            Ok(judged) => judged,
            Err(Ended::Decided(verdict)) => Judged::idle(verdict),
            Err(Ended::Error(error))
                if error.is_permanent() && (self.rescued || !self.state.has_large()) =>
            {
                Judged::idle(Verdict::Failed { reason: error.to_string() })
            }
            Err(Ended::Error(error)) => return Err(error),
        };
        if let Effect::Changes { run, records } = &judged.effect {
            self.state.add(index, run.as_ref(), records);
        }
        // One outcome for one sequence: an op that was called off has used its own up, like any other.
        for sequence in &op.producers {
            let row = ProducerRow {
                epoch: sequence.epoch,
                sequence: sequence.sequence,
                // Known only once the commit has its id; within the batch nobody asks.
                commit: None,
                used: None,
            };
            self.producers.insert(sequence.name.clone(), row);
        }
        Ok((judged, true))
    }

    async fn work(&mut self, index: u16, op: &Prepared) -> Step<Judged> {
        Ok(match &op.work {
            Work::Settled(verdict) => Judged::idle(verdict.clone()),
            Work::DeleteBranch => Judged { verdict: Verdict::Committed, effect: Effect::Close },
            Work::Fold { levels, bottom, with } => self.fold(levels, *bottom, with),
            Work::Reset { to, levels } => {
                let effect = Effect::Reset { to: *to, levels: levels.clone() };
                Judged { verdict: Verdict::Committed, effect }
            }
            Work::Forget(rows) => self.forget(rows),
            Work::Commit { request, changes, validated, .. } => {
                let room = &mut self.conflict_room;
                judge_commit(&self.state, room, index, request, changes, *validated).await?
            }
            Work::Merge { request, view, .. } => {
                let room = &mut self.conflict_room;
                judge_merge(&mut self.state, room, index, request, view).await?
            }
        })
    }

    /// A row that is not there any more is forgotten all the same: a checkpoint may have it.
    fn forget(&mut self, rows: &[Producer]) -> Judged {
        let is_as_seen = |seen: &&Producer| {
            let row = self.producers.get(&seen.name);
            row.is_none_or(|row| (row.epoch, row.sequence) == (seen.epoch, seen.sequence))
        };
        let names: Vec<String> =
            rows.iter().filter(is_as_seen).map(|row| row.name.clone()).collect();
        if names.is_empty() {
            return Judged::idle(Verdict::NoChanges);
        }
        for name in &names {
            self.producers.remove(name);
        }
        Judged { verdict: Verdict::Committed, effect: Effect::Forget(names) }
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
}

/// Where `wanted` stands among `levels`, without a gap.
fn find_levels(levels: &[Level], wanted: &[(RunId, u16)]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let same = |(level, wanted): (&Level, &(RunId, u16))| (level.run.id, level.as_of) == *wanted;
    levels.windows(wanted.len()).position(|window| window.iter().zip(wanted).all(same))
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
