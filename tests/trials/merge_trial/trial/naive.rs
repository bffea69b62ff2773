//! The plain way: whole contents in hash maps, histories as sets, one merge after another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use onward::{CommitId, Strategy};

/// Everything a commit has: path to content.
pub type Content = HashMap<Arc<str>, u64>;

/// What a merge comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// A commit of this content.
    Committed(Content),
    /// A conflict in these paths, sorted.
    Conflict(Vec<Arc<str>>),
    /// The source has changed nothing.
    Nothing,
}

/// Merges whole contents.
pub fn merge(base: &Content, source: &Content, dest: &Content, strategy: Strategy) -> Merged {
    let paths: HashSet<&Arc<str>> = base.keys().chain(source.keys()).collect();
    let (mut taken, mut conflicts) = (Vec::new(), Vec::new());
    let mut changes = 0;
    for path in paths {
        let (b, s, d) = (base.get(path), source.get(path), dest.get(path));
        if s == b {
            continue;
        }
        changes += 1;
        if s == d {
            continue;
        }
        match strategy {
            _ if d == b => taken.push((path, s)),
            Strategy::SourceWins => taken.push((path, s)),
            Strategy::DestWins => {}
            Strategy::Fail => conflicts.push(Arc::clone(path)),
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort();
        return Merged::Conflict(conflicts);
    }
    if changes == 0 {
        return Merged::Nothing;
    }
    let mut result = dest.clone();
    for (path, content) in taken {
        match content {
            Some(content) => result.insert(Arc::clone(path), *content),
            None => result.remove(path),
        };
    }
    Merged::Committed(result)
}

/// The history: parents of each commit, and when it was made.
#[derive(Debug, Default)]
pub struct History {
    parents: HashMap<CommitId, Vec<CommitId>>,
    created_ms: HashMap<CommitId, i64>,
}

impl History {
    /// Adds a commit.
    pub fn add(&mut self, id: CommitId, parents: Vec<CommitId>, created_ms: i64) {
        self.parents.insert(id, parents);
        self.created_ms.insert(id, created_ms);
    }

    /// The first parents of a commit, itself first.
    pub fn line(&self, id: CommitId) -> Vec<CommitId> {
        let parent = |id: &CommitId| self.parents.get(id)?.first().copied();
        std::iter::successors(Some(id), parent).collect()
    }

    /// A commit and everything before it.
    fn ancestors(&self, id: CommitId) -> HashSet<CommitId> {
        let (mut all, mut open) = (HashSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            if all.insert(id) {
                open.extend(self.parents.get(&id).into_iter().flatten());
            }
        }
        all
    }

    /// The longest way from a commit to the first one.
    fn generations(&self, of: &HashSet<CommitId>) -> HashMap<CommitId, u64> {
        let mut known: HashMap<CommitId, u64> = HashMap::new();
        let mut open: Vec<CommitId> = of.iter().copied().collect();
        while let Some(id) = open.last().copied() {
            let parents = self.parents.get(&id).map(Vec::as_slice).unwrap_or_default();
            let missing: Vec<CommitId> =
                parents.iter().filter(|parent| !known.contains_key(*parent)).copied().collect();
            if missing.is_empty() {
                let longest = parents.iter().filter_map(|parent| known.get(parent)).max();
                known.insert(id, longest.map_or(0, |longest| longest + 1));
                open.pop();
            } else {
                open.extend(missing);
            }
        }
        known
    }

    /// The merge base of two commits: of what both come from, the commit of the highest
    /// generation, then the newest, then the one with the highest id.
    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Option<CommitId> {
        let others = self.ancestors(b);
        let common: HashSet<CommitId> =
            self.ancestors(a).into_iter().filter(|id| others.contains(id)).collect();
        let generations = self.generations(&common);
        common.into_iter().max_by_key(|id| (generations.get(id), self.created_ms.get(id), *id))
    }
}
