//! Deciding a commit in its turn: what it changes, change by change where it has conditions or a
//! base.

use std::pin::pin;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::model::change::decode_value;
use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::rule::same;
use crate::tree::{ALL, ChangeSet, Record, ScanStart};

use super::judged::{Judged, Step};
use super::situation::{VALIDATED_MAX, is_compared};
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
    let changes = match changes {
        ChangeSet::Large(run) => ChangeSet::Large(Arc::clone(run)),
        ChangeSet::Small(records) if validated => {
            let rule = match request.base {
                Some(base) => Rule::ThreeWay { base: Some(base), strategy: request.strategy },
                None => Rule::LastWriterWins,
            };
            ChangeSet::Small(validate(state, room, index, rule, records).await?)
        }
        ChangeSet::Small(records) => ChangeSet::Small(stamp(index, records)),
    };
    if !is_compared(request, &changes) || changes_something(state, &changes).await? {
        return Ok(match changes {
            ChangeSet::Large(run) => Judged::changes(Some(run), Vec::new()),
            ChangeSet::Small(records) => Judged::changes(None, records),
        });
    }
    if request.staging_lost && changes.is_empty() {
        let reason = "Redis lost what was staged and this commit had taken; nothing else was committed in its place: stage it again and commit that".to_owned();
        return Err(Verdict::Failed { reason }.into());
    }
    Err(Verdict::NoChanges.into())
}

/// Whether one of these changes at least says something else of its path than the branch does. More than
/// [`VALIDATED_MAX`] are not looked at, and count.
async fn changes_something(state: &State<'_>, changes: &ChangeSet) -> Step<bool> {
    // Nearly always the first one does.
    let run = match changes {
        ChangeSet::Small(records) => {
            let (first, rest) = records.split_at(1.min(records.len()));
            for some in std::iter::once(first).chain(rest.chunks(AT_ONCE)) {
                if change_something(state, some).await? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        ChangeSet::Large(run) if run.records > VALIDATED_MAX => return Ok(true),
        ChangeSet::Large(run) => Arc::clone(run),
    };
    let scan = state.lake.tree().scan_run(run, ALL, ScanStart::default());
    let mut scan = pin!(scan.peekable());
    let mut at_once = 1;
    while scan.as_mut().peek().await.is_some() {
        let some: Vec<Record> = scan.by_ref().take(at_once).try_collect().await?;
        if change_something(state, &some).await? {
            return Ok(true);
        }
        at_once = AT_ONCE;
    }
    Ok(false)
}

/// Whether any of these records says something else of its path than the branch does.
async fn change_something(state: &State<'_>, records: &[Record]) -> Step<bool> {
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    for (record, there) in records.iter().zip(state.values(&paths).await?) {
        let change = decode_value(&record.value)?.0;
        if !same(change.entry(), there.as_ref()) {
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
