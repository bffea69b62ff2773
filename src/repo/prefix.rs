//! Commits by the first digits of their id, among the recent ones of all branches.

use std::collections::{BTreeMap, BinaryHeap};

use crate::commit::log::lake::Lake;
use crate::commit::log::node::{Node, Rank};
use crate::model::error::Result;
use crate::model::ids::CommitId;

/// How far behind a branch's head a commit may be, counting the head.
pub(super) const STEPS: u32 = 1000;

/// Commits that one search looks at, at most: the newest of them.
const COMMITS_MAX: usize = 1_000_000;

/// Commits whose id begins with `prefix`, among those that are fewer than [`STEPS`] steps behind one of
/// `heads`: one is enough to answer, two to refuse.
///
/// All heads are walked from at the same time, each commit after all of its children, so that what
/// branches share is looked at once. Costs the log entries of those commits, each read once.
pub(super) async fn find(
    lake: &Lake,
    heads: impl IntoIterator<Item = CommitId>,
    prefix: &str,
) -> Result<Vec<CommitId>> {
    let mut walk = Walk { lake, heap: BinaryHeap::new(), at_hand: BTreeMap::new() };
    for head in heads {
        walk.reach(head, STEPS).await?;
    }
    let mut found = Vec::new();
    let mut looked_at = 0;
    while let Some((id, parents, left)) = walk.next() {
        if id.to_string().starts_with(prefix) {
            found.push(id);
        }
        looked_at += 1;
        if found.len() > 1 || looked_at >= COMMITS_MAX {
            break;
        }
        for parent in parents {
            walk.reach(parent, left - 1).await?;
        }
    }
    Ok(found)
}

/// A commit that was reached and not looked at yet.
struct AtHand {
    parents: Vec<CommitId>,
    /// How many steps go on from here, itself included, by the shortest way to it.
    left: u32,
}

struct Walk<'a> {
    lake: &'a Lake,
    heap: BinaryHeap<Rank>,
    at_hand: BTreeMap<CommitId, AtHand>,
}

impl Walk<'_> {
    async fn reach(&mut self, id: CommitId, left: u32) -> Result<()> {
        if left == 0 {
            return Ok(());
        }
        if let Some(known) = self.at_hand.get_mut(&id) {
            known.left = known.left.max(left);
            return Ok(());
        }
        let Node { rank, parents } = self.lake.node(&id).await?;
        self.heap.push(rank);
        self.at_hand.insert(id, AtHand { parents, left });
        Ok(())
    }

    /// The next commit, which no other leads to any more: a child has a higher rank.
    fn next(&mut self) -> Option<(CommitId, Vec<CommitId>, u32)> {
        let id = self.heap.pop()?.id;
        let AtHand { parents, left } = self.at_hand.remove(&id)?;
        Some((id, parents, left))
    }
}
