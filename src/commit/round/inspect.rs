//! The invariants in production: what is cheap to check is checked on every batch, before it is
//! written and after it was read.
//!
//! What breaks a rule is counted, and logged with its ids. A batch of this process's own that breaks
//! one is not decided: a branch that stands still can be helped, a wrong history cannot.

use crate::invariants::{Held, Violation, chain, decided_once, no_gap};
use crate::model::error::{Error, Result};

use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;

impl BranchContext {
    /// Checks a batch that is about to be decided on `head`.
    pub(in crate::commit) fn inspect_own(&self, head: &Head, entry: &LogEntry) -> Result<()> {
        follows(head, entry)?.map_err(|violation| {
            self.report(&violation);
            Error::internal(format!(
                "a batch was not written because it breaks an invariant ({violation}): please report this"
            ))
        })
    }

    /// Checks a batch that somebody has decided on `head`.
    pub(in crate::commit) fn inspect_found(&self, head: &Head, entry: &LogEntry) -> Result<()> {
        if let Err(violation) = follows(head, entry)? {
            self.report(&violation);
        }
        Ok(())
    }

    /// Counts and logs what must not be.
    pub(in crate::commit) fn report(&self, violation: &Violation) {
        add(&self.counters.invariant_violations, 1);
        tracing::error!(
            invariant = violation.invariant.name(), uid = %self.uid, seen = violation.seen,
            "an invariant does not hold: please report this"
        );
    }
}

/// Whether `entry` can stand behind `head`: no gap, no op twice, one line of commits.
fn follows(head: &Head, entry: &LogEntry) -> Result<Held> {
    let mut at = head.commit;
    let mut held = no_gap(head.done + 1, [(entry.first.0, entry.len())]).map(drop);
    held = held.and_then(|()| decided_once(entry.ops.iter().map(|op| op.op_id)));
    for (index, op) in entry.ops.iter().enumerate() {
        if let (Some(commit), Some(id)) = (&op.commit, entry.commit_id(index)?) {
            held = held.and_then(|()| chain(at, [(id, commit.parents.first().copied())]).map(drop));
            at = Some(id);
        }
        at = op.reset.map_or(at, |reset| Some(reset.commit));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::log::entry::{DecidedOp, IdMemo};
    use crate::commit::op::verdict::Verdict;
    use crate::invariants::Invariant;
    use crate::model::commit::Commit;
    use crate::model::ids::{BranchUid, CommitId, MetarangeId, OpId, Ticket};
    use crate::tree::Metarange;

    fn head(done: u64, commit: Option<CommitId>) -> Head {
        Head {
            uid: BranchUid(7),
            done,
            commit,
            generation: 0,
            metarange: Metarange::default(),
            position: None,
            entries: 0,
            closed: false,
        }
    }

    fn op(op_id: OpId, parent: Option<CommitId>) -> DecidedOp {
        let commit = Commit {
            op_id,
            parents: parent.into_iter().collect(),
            generation: 1,
            committer: "c".into(),
            message: "m".into(),
            created_ms: 0,
            metadata: Default::default(),
            metarange: MetarangeId([0; 16]),
        };
        let (commit, id) = (Some(commit), IdMemo::default());
        DecidedOp {
            op_id,
            verdict: Verdict::Committed,
            commit,
            areas: None,
            reset: None,
            fingerprint: None,
            id,
        }
    }

    fn entry(first: u64, ops: Vec<DecidedOp>) -> LogEntry {
        LogEntry {
            uid: BranchUid(7),
            first: Ticket(first),
            sequence: 0,
            before: None,
            parent: None,
            parent_generation: 0,
            ops,
            levels: Vec::new(),
            runs: Vec::new(),
            producers: Default::default(),
            forgotten: Default::default(),
            closes: false,
        }
    }

    fn broken(head: &Head, entry: &LogEntry) -> Option<Invariant> {
        follows(head, entry).unwrap().err().map(|violation| violation.invariant)
    }

    #[test]
    fn a_batch_that_breaks_a_rule_is_recognised() {
        let [a, b] = [b"a", b"b"].map(|bytes| OpId::of_bytes(bytes));
        let one = entry(1, vec![op(a, None)]);
        let first = one.commit_id(0).unwrap();
        assert_eq!(broken(&head(0, None), &one), None);
        assert_eq!(broken(&head(1, None), &one), Some(Invariant::NoGap));
        assert_eq!(broken(&head(1, first), &entry(2, vec![op(b, first)])), None);
        assert_eq!(broken(&head(1, first), &entry(2, vec![op(b, None)])), Some(Invariant::Chain));
        let twice = entry(1, vec![op(a, None), op(a, first)]);
        assert_eq!(broken(&head(0, None), &twice), Some(Invariant::DecidedOnce));
    }
}
