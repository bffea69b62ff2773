//! Forgetting producers that have done nothing for long: a name for each run of a job would make every
//! checkpoint, and what Redis has of the branch, grow without end.

use crate::clock;
use crate::model::error::Result;
use crate::model::ids::Ticket;
use crate::model::producer::Producer;
use crate::objects::layout;

use crate::commit::accept::shared::{ProducerLimits, Shared};
use crate::commit::context::BranchContext;
use crate::commit::mend::restore::Checkpoint;
use crate::commit::op::request::Request;
use crate::commit::op::upkeep::upkeep;
use crate::commit::op::verdict::ProducerRow;

/// Producers that one op forgets, at most, and their names and places in bytes.
const OF_ONE: usize = Producer::PER_OP_MAX;
const BYTES_OF_ONE: usize = 16 * 1024;

/// Ops that forget producers behind one checkpoint, at most.
const OPS_MAX: usize = 64;

/// Submits that producers are forgotten, where the checkpoint has more than are kept.
pub(super) async fn forget_producers(
    context: &BranchContext,
    shared: &Shared,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let limits = shared.options.producers;
    let mut surplus = surplus(checkpoint, limits);
    if surplus.is_empty() {
        return Ok(());
    }
    let old = old_enough(context, limits, &surplus).await?;
    if old < surplus.len() {
        tracing::warn!(
            uid = %context.uid, known = checkpoint.producers.len(), limit = limits.kept,
            "a branch has more producers than are kept, and they are too young to be forgotten: give each consumer a name that it keeps, and raise its epoch instead"
        );
    }
    surplus.truncate(old);
    for rows in in_ops(surplus.into_iter().map(|(_, row)| row)) {
        let op_id = clock::new_op_id();
        let op = upkeep(op_id, Request::Forget(rows), clock::now_ms(), None)?;
        shared.submit_along(op).await?;
    }
    Ok(())
}

/// The producers that are more than seven eighths of what is kept, where there are more than that:
/// those that have done nothing for longest, and the log entry of the last that each has done.
fn surplus(checkpoint: &Checkpoint, limits: ProducerLimits) -> Vec<(Ticket, Producer)> {
    let known = checkpoint.producers.len();
    if known <= limits.kept {
        return Vec::new();
    }
    let used = |row: &ProducerRow| {
        // What an older program has left out of a checkpoint counts as done now.
        let by_commit = row.commit.map(|commit| commit.first_ticket());
        row.used.or(by_commit).unwrap_or(Ticket(checkpoint.position))
    };
    let mut all: Vec<(Ticket, &String, &ProducerRow)> =
        checkpoint.producers.iter().map(|(name, row)| (used(row), name, row)).collect();
    all.sort_unstable_by_key(|(used, name, _)| (*used, *name));
    all.truncate(known - (limits.kept - limits.kept / 8));
    let named = |(used, name, row): (Ticket, &String, &ProducerRow)| {
        (used, Producer::new(name.clone(), row.epoch, row.sequence))
    };
    all.into_iter().map(named).collect()
}

/// How many of these, the oldest first, have done nothing for as long as it takes, by the clock of the
/// store, which all share.
async fn old_enough(
    context: &BranchContext,
    limits: ProducerLimits,
    surplus: &[(Ticket, Producer)],
) -> Result<usize> {
    let objects = context.lake.objects();
    let idle = i64::try_from(limits.idle.as_millis()).unwrap_or(i64::MAX);
    let before = objects.store_now_ms().await?.saturating_sub(idle);
    let (mut old, mut young) = (0, surplus.len());
    while old < young {
        let middle = old + (young - old) / 2;
        let Some((used, _)) = surplus.get(middle) else { break };
        let key = layout::log_entry(context.lake.life(), context.uid, *used);
        match objects.look(&key).await? {
            Some(entry) if entry.modified_ms <= before => old = middle + 1,
            _ => young = middle,
        }
    }
    Ok(old)
}

/// Rows, as many in an op as it may have, for as many ops as may be submitted.
fn in_ops(rows: impl Iterator<Item = Producer>) -> Vec<Vec<Producer>> {
    let mut ops: Vec<Vec<Producer>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let len = row.name.len() + 24;
        bytes += len;
        let is_last = ops.len() == OPS_MAX;
        match ops.last_mut().filter(|op| op.len() < OF_ONE && bytes <= BYTES_OF_ONE) {
            Some(op) => op.push(row),
            None if is_last => break,
            None => {
                bytes = len;
                ops.push(vec![row]);
            }
        }
    }
    ops
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ids::OpId;

    fn row(used: Option<u64>) -> ProducerRow {
        ProducerRow { epoch: 1, sequence: 2, commit: None, used: used.map(Ticket) }
    }

    #[test]
    fn the_longest_idle_come_first_and_leave_seven_eighths() {
        let limits = ProducerLimits { kept: 8, idle: Duration::ZERO };
        let mut checkpoint = Checkpoint { position: 200, ..Checkpoint::default() };
        for n in 0..8_u64 {
            checkpoint.producers.insert(format!("p{n}"), row(Some(100 - n)));
        }
        assert!(surplus(&checkpoint, limits).is_empty(), "as many as may be");
        // Of one that is not known it is not believed that it did nothing for long.
        checkpoint.producers.insert("unknown".into(), row(None));
        let named: Vec<(u64, String)> = surplus(&checkpoint, limits)
            .into_iter()
            .map(|(used, row)| (used.0, row.name))
            .collect();
        assert_eq!(named, [(93, "p7".to_owned()), (94, "p6".to_owned())]);
    }

    #[test]
    fn an_op_forgets_as_many_as_fit_and_so_do_all_together() {
        let named = |count: usize, len: usize| {
            in_ops((0..count).map(|n| Producer::new(format!("{n:0len$}"), u64::MAX, u64::MAX)))
        };
        assert!(named(0, 9).is_empty());
        let short = named(20_000, 9);
        assert_eq!((short.len(), short[0].len()), (OPS_MAX, OF_ONE));
        let long = named(100, Producer::NAME_LEN_MAX);
        assert_eq!(long.iter().map(Vec::len).sum::<usize>(), 100);
        for rows in short.into_iter().take(1).chain(long) {
            let op_id = OpId::of_bytes(b"op");
            let submission = upkeep(op_id, Request::Forget(rows), 0, None).unwrap();
            assert!(submission.element.len() < 18 * 1024, "{} bytes", submission.element.len());
        }
    }
}
