//! Deciding a commit in its turn: what it changes, change by change where it has conditions or a
//! base.

use std::pin::pin;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::model::change::decode_value;
use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{ALL, ChangeSet, Record, RunRef, ScanStart};

use super::judged::{Judged, Step};
use super::situation::VALIDATED_MAX;
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
    let (run, records) = match changes {
        ChangeSet::Large(run) => (Some(Arc::clone(run)), Vec::new()),
        ChangeSet::Small(records) if validated => {
            let rule = match request.base {
                Some(base) => Rule::ThreeWay { base: Some(base), strategy: request.strategy },
                None => Rule::LastWriterWins,
            };
            (None, validate(state, room, index, rule, records).await?)
        }
        ChangeSet::Small(records) => (None, stamp(index, records)),
    };
    if request.allow_empty || changes_something(state, run.as_ref(), &records).await? {
        return Ok(Judged::changes(run, records));
    }
    if request.staging_lost {
        let reason = "Redis lost what was staged and this commit had taken; nothing else was committed in its place: stage it again and commit that".to_owned();
        return Err(Verdict::Failed { reason }.into());
    }
    Err(Verdict::NoChanges.into())
}

/// Whether changes are any. A put is; of removals that are all there is one at least has to take
/// something away: what was there when they were asked for may be gone, or never was. Those beyond
/// [`VALIDATED_MAX`] are not looked at, and count.
async fn changes_something(
    state: &State<'_>,
    run: Option<&Arc<RunRef>>,
    records: &[Record],
) -> Step<bool> {
    let Some(run) = run else {
        if !records.iter().all(Record::is_delete) {
            return Ok(true);
        }
        // Nearly always the first one does.
        let (first, rest) = records.split_at(1.min(records.len()));
        return Ok(take_something(state, first).await? || take_something(state, rest).await?);
    };
    if run.deletes < run.records || run.records > VALIDATED_MAX {
        return Ok(true);
    }
    let scan = state.lake.tree().scan_run(Arc::clone(run), ALL, ScanStart::default());
    let mut scan = pin!(scan.peekable());
    let mut at_once = 1;
    while scan.as_mut().peek().await.is_some() {
        let some: Vec<Record> = scan.by_ref().take(at_once).try_collect().await?;
        if take_something(state, &some).await? {
            return Ok(true);
        }
        at_once = AT_ONCE;
    }
    Ok(run.records == 0)
}

/// Whether any of these paths names something.
async fn take_something(state: &State<'_>, records: &[Record]) -> Step<bool> {
    let paths: Vec<ObjectPath> = records.iter().map(|record| record.path.clone()).collect();
    Ok(state.values(&paths).await?.iter().any(Option::is_some))
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
