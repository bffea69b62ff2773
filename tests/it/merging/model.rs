//! Merges over plain maps: what history has to look like.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use onward::CommitId;

/// Path to the number of its entry.
pub type Content = BTreeMap<String, usize>;
/// Path to what it becomes.
pub type Changes = BTreeMap<String, Option<usize>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Fail,
    SourceWins,
    DestWins,
}

/// A commit, as the model has it.
#[derive(Debug, Clone)]
pub struct Node {
    pub parents: Vec<CommitId>,
    pub generation: u64,
    pub created_ms: i64,
    pub content: Content,
}

/// All commits of all branches.
#[derive(Debug, Default)]
pub struct Graph {
    pub nodes: HashMap<CommitId, Node>,
}

impl Graph {
    pub fn content(&self, id: Option<CommitId>) -> Content {
        id.map(|id| self.nodes[&id].content.clone()).unwrap_or_default()
    }

    fn ancestors(&self, id: CommitId) -> BTreeSet<CommitId> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.nodes[&id].parents);
            }
        }
        seen
    }

    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Option<CommitId> {
        let rank = |id: &CommitId| (self.nodes[id].generation, self.nodes[id].created_ms, *id);
        self.ancestors(a).intersection(&self.ancestors(b)).max_by_key(|id| rank(id)).copied()
    }
}

pub fn apply(content: &Content, changes: &Changes) -> Content {
    let mut after = content.clone();
    for (path, change) in changes {
        match change {
            Some(n) => drop(after.insert(path.clone(), *n)),
            None => drop(after.remove(path)),
        }
    }
    after
}

/// What a merge comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// The source brings nothing.
    Nothing,
    /// The destination afterwards, and how many paths it took over.
    Content(Content, usize),
    /// The paths in conflict.
    Conflict(BTreeSet<String>),
}

/// The plain three-way merge, path by path.
pub fn merge(base: &Content, source: &Content, dest: &Content, strategy: Strategy) -> Merged {
    let paths: BTreeSet<&String> = base.keys().chain(source.keys()).collect();
    let (mut after, mut taken, mut changes) = (dest.clone(), 0, 0);
    let mut conflicts = BTreeSet::new();
    for path in paths {
        let (b, s, d) = (base.get(path), source.get(path), dest.get(path));
        if s == b {
            continue;
        }
        changes += 1;
        let take = if s == d {
            false
        } else if d == b || strategy == Strategy::SourceWins {
            true
        } else if strategy == Strategy::DestWins {
            false
        } else {
            conflicts.insert(path.clone());
            false
        };
        if take {
            taken += 1;
            match s {
                Some(n) => drop(after.insert(path.clone(), *n)),
                None => drop(after.remove(path)),
            }
        }
    }
    match (conflicts.is_empty(), changes) {
        (false, _) => Merged::Conflict(conflicts),
        (true, 0) => Merged::Nothing,
        (true, _) => Merged::Content(after, taken),
    }
}
