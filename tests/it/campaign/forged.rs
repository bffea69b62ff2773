//! The audit finds what it is there to find: histories that are sound but for one thing.

use std::collections::BTreeMap;

use onward::Ticket;
use onward::internals::model::commit::Commit;
use onward::internals::model::ids::{BranchUid, MetarangeId};

use super::audit::Audit;
use super::figures::Figures;
use super::history::{Asked, BranchHistory, Content, Decided, Journals};
use super::journal::{Plan, StagedWrite, Told, What};
use crate::support::branch::op_id;

const OPS: u64 = 4;

/// Commits of a path each, all of them acknowledged.
fn sound() -> (Journals, BranchHistory) {
    let (mut journals, mut ops, mut head) = (Journals::default(), Vec::new(), Content::new());
    let mut parents = Vec::new();
    for n in 1..=OPS {
        let op = op_id(n as usize);
        let (message, committer) = (format!("message {n}"), format!("worker {n}"));
        let puts = vec![(format!("p/{n}"), n)];
        let what = What::Changes { puts, deletes: Vec::new(), bulk: 0, producer: None };
        let (branch, meta) = ("first".to_owned(), BTreeMap::new());
        let commit = Commit {
            op_id: op,
            parents: parents.clone(),
            generation: n,
            committer: committer.clone(),
            message: message.clone(),
            created_ms: 0,
            metadata: BTreeMap::new(),
            metarange: MetarangeId([0; 16]),
        };
        let plan = Plan { op, branch, message, committer, meta, what };
        let id = commit.id(BranchUid(1), Ticket(n), 0).unwrap();
        parents = vec![id];
        let outcome = "committed".to_owned();
        let told = Told {
            outcome: outcome.clone(),
            ticket: Some(n),
            commit: Some(id),
            rounds: 1,
            rounds_bound: 2,
            reason: None,
        };
        let asked = Asked { plan, began: n * 10, ended: Some(n * 10 + 5), told: vec![told] };
        journals.asked.insert(op, asked);
        let changes = BTreeMap::from([(format!("p/{n}"), Some(n))]);
        ops.push(Decided { op, ticket: n, outcome, commit: Some((id, commit)), changes });
        head.insert(format!("p/{n}"), n);
    }
    let batches = (1..=OPS).map(|n| (n, 1)).collect();
    let name = "first".to_owned();
    (journals, BranchHistory { name, start: None, batches, ops, head })
}

/// What the audit finds once a sound history was changed.
fn found(change: impl FnOnce(&mut Journals, &mut BranchHistory)) -> String {
    let (mut journals, mut branch) = sound();
    change(&mut journals, &mut branch);
    let wrong = Audit::of(&journals, &[branch], true, &[], &mut Figures::default()).wrong;
    wrong.join("\n")
}

#[test]
fn an_audit_finds_nothing_in_a_sound_history_and_every_forgery() {
    assert_eq!(found(|_, _| {}), "");
    let lost = found(|_, branch| {
        branch.ops.pop();
        branch.batches.pop();
    });
    assert!(lost.contains("nothing_lost"), "{lost}");
    let twice = found(|_, branch| branch.ops.push(branch.ops[0].clone()));
    assert!(twice.contains("decided_once") && twice.contains("chain"), "{twice}");
    let gap = found(|_, branch| {
        branch.batches.remove(1);
    });
    assert!(gap.contains("no_gap"), "{gap}");
    let told_twice = found(|journals, _| {
        let told = &mut journals.asked.get_mut(&op_id(2)).unwrap().told;
        told.push(Told { outcome: "no_changes".into(), commit: None, ..told[0].clone() });
    });
    assert!(told_twice.contains("one_outcome"), "{told_twice}");
    let swapped = found(|_, branch| {
        branch.ops[1].commit.as_mut().unwrap().1.message = "message 3".into();
    });
    assert!(swapped.contains("identity"), "{swapped}");
    let order = found(|journals, _| {
        let asked = journals.asked.get_mut(&op_id(4)).unwrap();
        (asked.began, asked.ended) = (1, Some(2));
    });
    assert!(order.contains("order"), "{order}");
    let of_the_moment = found(|journals, _| {
        let asked = journals.asked.get_mut(&op_id(4)).unwrap();
        asked.plan.what = What::Staged;
        let nothing = Told { outcome: "no_changes".into(), commit: None, ..asked.told[0].clone() };
        asked.told.insert(0, Told { ticket: None, ..nothing });
        let write = StagedWrite { branch: "first".into(), path: "p/4".into(), number: 4 };
        journals.staged.insert(write, None);
    });
    assert_eq!(of_the_moment, "", "nothing was accepted when it was told");
    let files = found(|_, branch| branch.ops[2].changes = branch.ops[1].changes.clone());
    assert!(files.contains("should change") && files.contains("replay"), "{files}");
    let content = found(|_, branch| {
        branch.head.remove("p/1");
    });
    assert!(content.contains("the head of first differs"), "{content}");
    let untold = found(|journals, _| journals.asked.get_mut(&op_id(1)).unwrap().told.clear());
    assert!(untold.contains("has no outcome"), "{untold}");
    let rounds = found(|journals, _| {
        journals.asked.get_mut(&op_id(1)).unwrap().told[0].rounds = 3;
    });
    assert!(rounds.contains("rounds of at most"), "{rounds}");
}
