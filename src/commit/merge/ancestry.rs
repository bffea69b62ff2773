//! What has become of the merge bases of queued merges: a base can only move when the branch has
//! come to contain more of the source's history.

use std::collections::HashSet;

use crate::model::error::Result;
use crate::model::ids::CommitId;

use super::graph::{Contained, merge_base};
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::PreparedMerge;

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
/// between, and of what was merged there that which the branch did not have.
pub async fn ancestry(
    lake: &Lake,
    head: &Head,
    merges: Vec<(usize, &PreparedMerge)>,
) -> Result<Ancestry> {
    let mut wanted = HashSet::new();
    let mut oldest = u64::MAX;
    for against in merges.iter().filter_map(|(_, merge)| merge.against) {
        oldest = oldest.min(lake.node(&against).await?.generation());
        wanted.insert(against);
    }
    // Newest first: each commit with what was merged by it.
    let mut chain = Vec::new();
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
        next = node.parents.first().copied();
        chain.push((id, node.parents));
    }
    // The branch was reset: these were worked out against a head that is not below the present one.
    let mut bases = Vec::new();
    for (index, merge) in &merges {
        let strays = merge.against.is_some_and(|against| wanted.contains(&against));
        if let (true, Some(head), Some(source)) = (strays, head.commit, merge.source) {
            bases.push((*index, merge_base(lake, head, source).await?));
        }
    }
    let mut floor = u64::MAX;
    let new_bases = bases.iter().filter_map(|(_, base)| *base);
    for base in merges.iter().filter_map(|(_, merge)| merge.base).chain(new_bases) {
        floor = floor.min(lake.node(&base).await?.generation());
    }
    let mut contained = Contained::from_generation(floor);
    for (id, parents) in chain {
        contained.insert(id);
        if let Some((first, others)) = parents.split_first() {
            for other in others {
                contained.insert_merged(lake, *other, Some(*first)).await?;
            }
        }
    }
    Ok(Ancestry { contained, bases })
}
