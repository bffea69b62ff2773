//! A commit's place in the graph of commits. Data only.

use crate::model::ids::CommitId;

/// The order in which walks take commits, the last first. Of common ancestors the one with the
/// highest rank is the merge base: by generation, then the newer one, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// One more than the largest generation of its parents.
    pub generation: u64,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Id of the commit, which decides between equals.
    pub id: CommitId,
}

/// A commit's place in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands in the order of the walk.
    pub rank: Rank,
    /// Its parents, first parent first.
    pub parents: Vec<CommitId>,
}

impl Node {
    /// The place of commit `id`.
    pub fn new(id: CommitId, generation: u64, created_ms: i64, parents: Vec<CommitId>) -> Self {
        Self { rank: Rank { generation, created_ms, id }, parents }
    }

    /// One more than the largest generation of its parents.
    pub fn generation(&self) -> u64 {
        self.rank.generation
    }
}
