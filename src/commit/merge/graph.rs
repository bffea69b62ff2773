//! The commit graph: what two commits have in common.
//!
//! A commit's generation is larger than its parents'. So a walk that always takes the commit of
//! the highest generation meets every commit after all of its children, once, and can stop at the
//! first that is what it looks for.

use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;

use crate::commit::log::lake::Lake;
use crate::commit::log::node::Rank;

/// Commits one walk visits, at most.
const WALK_MAX: usize = 4_000_000;

/// A walk from some commits to their ancestors, highest rank first, each once.
struct Walk<'a> {
    lake: &'a Lake,
    heap: BinaryHeap<Rank>,
    /// The parents of those that are in the heap.
    parents: HashMap<CommitId, Vec<CommitId>>,
    seen: HashSet<CommitId>,
}

impl<'a> Walk<'a> {
    fn new(lake: &'a Lake) -> Self {
        Self { lake, heap: BinaryHeap::new(), parents: HashMap::new(), seen: HashSet::new() }
    }

    async fn start(&mut self, id: CommitId) -> Result<()> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        if self.seen.len() > WALK_MAX {
            return Err(Error::invalid(format!(
                "more than {WALK_MAX} commits lie between the two histories: merge from a nearer commit"
            )));
        }
        let node = self.lake.node(&id).await?;
        self.heap.push(node.rank);
        self.parents.insert(id, node.parents);
        Ok(())
    }

    /// The next commit and its parents, which are yet to be started from.
    fn next(&mut self) -> Option<(Rank, Vec<CommitId>)> {
        let rank = self.heap.pop()?;
        Some((rank, self.parents.remove(&rank.id).unwrap_or_default()))
    }
}

/// The merge base of two commits: the common ancestor of the highest rank. A commit is its own
/// ancestor. `None` where the histories have nothing in common.
///
/// Where histories were merged across, several common ancestors can be equally near; any of them
/// is a valid base, and every process takes the same one. Cost: a visit of each commit that is not
/// below the base.
pub async fn merge_base(lake: &Lake, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
    const A: u8 = 0b01;
    const B: u8 = 0b10;
    let mut walk = Walk::new(lake);
    let mut sides: HashMap<CommitId, u8> = HashMap::new();
    for (id, side) in [(a, A), (b, B)] {
        *sides.entry(id).or_default() |= side;
        walk.start(id).await?;
    }
    while let Some((rank, parents)) = walk.next() {
        // All children of this commit have been visited: its sides are complete.
        let side = sides.remove(&rank.id).unwrap_or_default();
        if side == A | B {
            return Ok(Some(rank.id));
        }
        for parent in parents {
            *sides.entry(parent).or_default() |= side;
            walk.start(parent).await?;
        }
    }
    Ok(None)
}

/// How far a head and a base have gone apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Apart {
    /// Commits that the head has and the base has not.
    pub ahead: u64,
    /// Commits that the base has and the head has not.
    pub behind: u64,
    /// Whether there may be more of either, as not all were looked at.
    pub has_more: bool,
}

/// Heads that are compared with one base together, at most.
pub const HEADS_MAX: usize = 63;

/// How far each of `heads` and `base` have gone apart, all by one walk: commits that several of them have
/// are visited once. Cost: a visit of each commit that not all of them have, at most about `visits_max`;
/// where that ends it, what was counted is less than there is.
pub async fn apart(
    lake: &Lake,
    base: CommitId,
    heads: &[CommitId],
    visits_max: usize,
) -> Result<Vec<Apart>> {
    const BASE: u64 = 1;
    if heads.len() > HEADS_MAX {
        return Err(Error::invalid(format!(
            "{} heads are over the limit of {HEADS_MAX}: compare them in parts",
            heads.len()
        )));
    }
    let of_head = |at: usize| BASE << (at + 1);
    let all = (0..heads.len()).map(of_head).fold(BASE, |all, head| all | head);
    let mut walk = Walk::new(lake);
    let mut sides: HashMap<CommitId, u64> = HashMap::new();
    let named = heads.iter().enumerate().map(|(at, id)| (*id, of_head(at)));
    for (id, side) in std::iter::once((base, BASE)).chain(named) {
        *sides.entry(id).or_default() |= side;
        walk.start(id).await?;
    }
    let mut counted = vec![Apart::default(); heads.len()];
    while walk.seen.len() < visits_max && sides.values().any(|side| *side != all) {
        // All children of this commit have been visited: its sides are complete.
        let Some((rank, parents)) = walk.next() else { break };
        let side = sides.remove(&rank.id).unwrap_or_default();
        for (at, apart) in counted.iter_mut().enumerate() {
            match (side & BASE != 0, side & of_head(at) != 0) {
                (true, false) => apart.behind += 1,
                (false, true) => apart.ahead += 1,
                _ => {}
            }
        }
        for parent in parents {
            *sides.entry(parent).or_default() |= side;
            walk.start(parent).await?;
        }
    }
    for (at, apart) in counted.iter_mut().enumerate() {
        apart.has_more = sides.values().any(|side| (side & BASE != 0) != (side & of_head(at) != 0));
    }
    Ok(counted)
}

/// Commits that a branch has come to contain: enough of them to tell whether the merge base of a
/// queued merge has moved.
#[derive(Debug, Default)]
pub struct Contained {
    known: HashSet<CommitId>,
    /// Ancestors of a lower generation are left away.
    floor: u64,
}

impl Contained {
    /// Nothing yet; of what is added, commits of generation `floor` and up will be known.
    pub fn from_generation(floor: u64) -> Self {
        Self { known: HashSet::new(), floor }
    }

    /// Adds one commit.
    pub fn insert(&mut self, id: CommitId) {
        self.known.insert(id);
    }

    /// Adds a commit that was merged, with those of its ancestors that `into` does not have: a
    /// commit that the branch had before, the nearer the better. Cost: a visit of each commit of
    /// either side that is not below all they share.
    pub async fn insert_merged(
        &mut self,
        lake: &Lake,
        merged: CommitId,
        into: Option<CommitId>,
    ) -> Result<()> {
        let mut walk = Walk::new(lake);
        let mut shared: HashSet<CommitId> = into.into_iter().collect();
        if let Some(into) = into {
            walk.start(into).await?;
        }
        walk.start(merged).await?;
        // Commits at hand that only the merged side is known to have.
        let mut open = usize::from(!shared.contains(&merged));
        while open > 0 {
            let Some((rank, parents)) = walk.next() else { break };
            let is_shared = shared.remove(&rank.id);
            if !is_shared {
                open -= 1;
                if rank.generation < self.floor || !self.known.insert(rank.id) {
                    continue;
                }
            }
            for parent in parents {
                let is_new = !walk.seen.contains(&parent);
                if is_shared {
                    let was_open = !is_new && walk.parents.contains_key(&parent);
                    if shared.insert(parent) && was_open {
                        open -= 1;
                    }
                } else if is_new {
                    open += 1;
                }
                walk.start(parent).await?;
            }
        }
        Ok(())
    }

    /// The merge base of `source` and a head that contained `base` and by now contains these
    /// commits too: `base`, or a nearer one.
    pub async fn nearest(&self, lake: &Lake, source: CommitId, base: CommitId) -> Result<CommitId> {
        let base_rank = lake.node(&base).await?.rank;
        let mut walk = Walk::new(lake);
        walk.start(source).await?;
        while let Some((rank, parents)) = walk.next() {
            if rank <= base_rank {
                break;
            }
            if self.known.contains(&rank.id) {
                return Ok(rank.id);
            }
            for parent in parents {
                walk.start(parent).await?;
            }
        }
        Ok(base)
    }
}
