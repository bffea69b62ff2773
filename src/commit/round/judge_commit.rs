//! Deciding a commit in its turn: what it changes, change by change where it has conditions or a
//! base.

use std::sync::Arc;

use crate::model::change::decode_value;
use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, Record};

use super::judged::{Judged, Step};
use super::situation::takes_away_only;
use super::state::State;
use crate::commit::merge::settle::Settling;
use crate::commit::merge::three_way::{Ruled, Values};
use crate::commit::op::request::CommitRequest;
use crate::commit::op::verdict::Verdict;

/// Changes of one op whose paths are looked up together, at most: what is there may be large.
const AT_ONCE: usize = 4096;

/// Decides one commit. Conflicting paths take from `room`.
pub(super) async fn judge_commit(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    request: &CommitRequest,
    changes: &ChangeSet,
    validated: bool,
) -> Step<Judged> {
    let records = match changes {
        ChangeSet::Large(run) => return Ok(Judged::changes(Some(Arc::clone(run)), Vec::new())),
        ChangeSet::Small(records) if validated => {
            let rule = match request.base {
                Some(base) => Rule::ThreeWay { base: Some(base), strategy: request.strategy },
                None => Rule::LastWriterWins,
            };
            validate(state, room, index, rule, records).await?
        }
        ChangeSet::Small(records) if takes_away_only(request, changes) => {
            // What was there when it was staged may be gone: a commit of nothing is none.
            match takes_something(state, records).await? {
                true => stamp(index, records),
                false => Vec::new(),
            }
        }
        ChangeSet::Small(records) => stamp(index, records),
    };
    if records.is_empty() && request.staging_lost && !request.allow_empty {
        let reason = "Redis lost what was staged and this commit had taken; nothing else was committed in its place: stage it again and commit that".to_owned();
        return Err(Verdict::Failed { reason }.into());
    }
    if records.is_empty() && !request.allow_empty {
        return Err(Verdict::NoChanges.into());
    }
    Ok(Judged::changes(None, records))
}

/// Whether any of these paths names something. Nearly always the first does.
async fn takes_something(state: &State<'_>, records: &[Record]) -> Step<bool> {
    let (first, rest) = records.split_at(1.min(records.len()));
    for records in [first, rest] {
        let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
        if state.values(&paths).await?.iter().any(Option::is_some) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// By what an op's changes are judged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Whatever the branch has by now, the change is made.
    LastWriterWins,
    /// By the three-way rule.
    ThreeWay {
        /// What the changes start from; `None` is the empty state.
        base: Option<CommitId>,
        /// What happens to conflicts.
        strategy: Strategy,
    },
}

/// Checks conditions and applies the rule, path by path: the records that survive.
pub(super) async fn validate(
    state: &State<'_>,
    room: &mut usize,
    index: u16,
    rule: Rule,
    records: &[Record],
) -> Step<Vec<Record>> {
    let strategy = match rule {
        Rule::LastWriterWins => Strategy::Fail,
        Rule::ThreeWay { strategy, .. } => strategy,
    };
    let mut surviving = Vec::with_capacity(records.len());
    let mut settling = Settling::new(strategy, room);
    for records in records.chunks(AT_ONCE) {
        validate_some(state, &mut settling, index, rule, records, &mut surviving).await?;
    }
    settling.conflicts().none()?;
    Ok(surviving)
}

/// As [`validate`], for as many records as are looked up together.
async fn validate_some(
    state: &State<'_>,
    settling: &mut Settling<'_>,
    index: u16,
    rule: Rule,
    records: &[Record],
    surviving: &mut Vec<Record>,
) -> Step<()> {
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    let current = state.values(&paths).await?;
    let mut bases = match rule {
        Rule::ThreeWay { base: Some(base), .. } => state.at_base(base, &paths).await?.into_iter(),
        _ => Vec::new().into_iter(),
    };
    for ((record, path), dest) in records.iter().zip(paths).zip(current) {
        let base = bases.next().flatten();
        let (change, condition) = decode_value(&record.value)?;
        let holds = condition.is_none_or(|condition| condition.holds(dest.as_ref()));
        if holds && matches!(rule, Rule::LastWriterWins) {
            // The condition has been checked.
            surviving.push(Record::new(index, path, &change));
            continue;
        }
        let source = change.into_entry();
        if !holds {
            // A condition is the caller's own word: no strategy overrules it.
            settling.conflict(ConflictPath { path, base, source, dest });
        } else if let Some((ruled, true)) = settling.settle(Ruled::new(path, base, source, dest)) {
            surviving.push(ruled.into_record(index));
        }
    }
    Ok(())
}

/// Records as those of op `index`.
pub(super) fn stamp(index: u16, records: &[Record]) -> Vec<Record> {
    records.iter().map(|record| Record { op: index, ..record.clone() }).collect()
}
