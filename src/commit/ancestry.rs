//! What has become of the merge bases of queued merges: a base can only move when the branch has
//! come to contain more of the source's history.

use std::collections::HashSet;

use crate::model::error::Result;
use crate::model::ids::CommitId;

use super::graph::{Contained, merge_base};
use super::head::Head;
use super::lake::Lake;
use super::op::PreparedMerge;

/// What is known of the merges of a batch before any of them is decided.
#[derive(Debug, Default)]
pub struct Ancestry {
    /// What the head has come to contain since the merges were worked out.
    pub contained: Contained,
    /// New bases of merges, by their place in the batch: for those whose head of the preparation
    /// the branch has left behind. `None` where there is none any more.
    pub bases: Vec<(usize, Option<CommitId>)>,
}

/// Walks from `head` back to the heads that `merges` were worked out against. Cost: the commits in
/// between, and the history of what was merged there down to the oldest base.
pub async fn ancestry(
    lake: &Lake,
    head: &Head,
    merges: Vec<(usize, &PreparedMerge)>,
) -> Result<Ancestry> {
    let mut wanted = HashSet::new();
    let (mut oldest, mut floor) = (u64::MAX, u64::MAX);
    for (_, merge) in &merges {
        if let Some(base) = &merge.base {
            floor = floor.min(lake.node(base).await?.generation());
        }
        if let Some(against) = merge.against {
            oldest = oldest.min(lake.node(&against).await?.generation());
            wanted.insert(against);
        }
    }
    let mut contained = Contained::from_generation(floor);
    let mut next = head.commit;
    while let Some(id) = next {
        wanted.remove(&id);
        if wanted.is_empty() {
            break;
        }
        let node = lake.node(&id).await?;
        if node.generation() < oldest {
            break;
        }
        contained.insert(id);
        let (first, others) = match node.parents.split_first() {
            Some((first, others)) => (Some(*first), others),
            None => (None, [].as_slice()),
        };
        for other in others {
            contained.insert_history(lake, *other).await?;
        }
        next = first;
    }
    // The branch was reset: these were worked out against a head that is not below the present one.
    let mut bases = Vec::new();
    for (index, merge) in merges {
        let strays = merge.against.is_some_and(|against| wanted.contains(&against));
        if let (true, Some(head), Some(source)) = (strays, head.commit, merge.source) {
            bases.push((index, merge_base(lake, head, source).await?));
        }
    }
    Ok(Ancestry { contained, bases })
}
