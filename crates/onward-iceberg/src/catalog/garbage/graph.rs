//! Folders of tables, which name files in each other, and those that are left alone as something in them cannot be read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Failures that are told one by one, at most.
const TOLD_MAX: usize = 100;

/// A folder below a root.
pub(super) type FolderId = u32;

/// Why a folder is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The file that cannot be read.
    pub location: String,
    /// The path of the table that needs it.
    pub table: String,
    /// What is wrong with it.
    pub why: String,
}

/// What is known of folders.
#[derive(Debug, Default)]
pub(super) struct Graph {
    folders: Vec<(usize, String)>,
    ids: HashMap<(usize, String), FolderId>,
    /// Which folder has a file that names a file in which.
    names: HashSet<(FolderId, FolderId)>,
    /// Folders of tables that were read, with the path of one.
    tables: BTreeMap<FolderId, String>,
    /// Where tables say that they lie: roots and keys, with a slash behind.
    locations: BTreeSet<(usize, String)>,
    failed: BTreeSet<FolderId>,
    unread: Vec<Unread>,
}

impl Graph {
    pub(super) fn id(&mut self, root: usize, folder: &str) -> FolderId {
        let key = (root, folder.to_owned());
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = FolderId::try_from(self.folders.len()).unwrap_or(FolderId::MAX);
        self.folders.push(key.clone());
        self.ids.insert(key, id);
        id
    }

    /// The root and name of a folder.
    pub(super) fn folder(&self, id: FolderId) -> Option<&(usize, String)> {
        self.folders.get(usize::try_from(id).ok()?)
    }

    /// A file in `from` names one in `to`.
    pub(super) fn names(&mut self, from: FolderId, to: FolderId) {
        if from != to {
            self.names.insert((from, to));
        }
    }

    /// A folder is that of a table.
    pub(super) fn is_of(&mut self, folder: FolderId, table: &str) {
        self.tables.insert(folder, table.to_owned());
    }

    /// A table lies at this root and key, which ends with a slash: what lies below is judged.
    pub(super) fn claims(&mut self, at: (usize, String)) {
        self.locations.insert(at);
    }

    /// Whether a file lies below what a table says of itself.
    pub(super) fn is_in_a_table(&self, root: usize, key: &str) -> bool {
        key.match_indices('/').any(|(end, _)| {
            let folder = key.get(..=end).unwrap_or_default();
            self.locations.contains(&(root, folder.to_owned()))
        })
    }

    /// The path of a table that is known to lie in a folder.
    pub(super) fn table(&self, folder: FolderId) -> Option<&str> {
        self.tables.get(&folder).map(String::as_str)
    }

    /// Something cannot be read that lies in one of `folders`, or whose table does.
    pub(super) fn fail(&mut self, folders: impl IntoIterator<Item = FolderId>, unread: Unread) {
        self.failed.extend(folders);
        if self.unread.len() < TOLD_MAX && !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    /// Something that cannot be read says that it lies in this folder as well.
    pub(super) fn fail_also(&mut self, folder: Option<FolderId>) {
        self.failed.extend(folder);
    }

    pub(super) fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// The folders that are left alone: those with something that cannot be read, those from which that is named, and
    /// all that any of these is known to name files in.
    pub(super) fn alone(&self) -> HashSet<FolderId> {
        let mut alone: HashSet<FolderId> = self.failed.iter().copied().collect();
        self.spread(&mut alone, |(from, to)| (to, from));
        self.spread(&mut alone, |edge| edge);
        alone
    }

    fn spread(
        &self,
        reached: &mut HashSet<FolderId>,
        along: impl Fn((FolderId, FolderId)) -> (FolderId, FolderId),
    ) {
        let mut next: HashMap<FolderId, Vec<FolderId>> = HashMap::new();
        for (from, to) in self.names.iter().map(|edge| along(*edge)) {
            next.entry(from).or_default().push(to);
        }
        let mut open: Vec<FolderId> = reached.iter().copied().collect();
        while let Some(at) = open.pop() {
            for to in next.get(&at).into_iter().flatten() {
                if reached.insert(*to) {
                    open.push(*to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_damaged_folder_and_what_that_names_are_left_alone() {
        let mut graph = Graph::default();
        let ids: Vec<FolderId> = ["a", "b", "c", "d", "e"].map(|name| graph.id(0, name)).to_vec();
        let &[a, b, c, d, e] = ids.as_slice() else { panic!() };
        assert_eq!(graph.id(0, "a"), a);
        assert_ne!(graph.id(1, "a"), a);
        graph.names(a, b);
        graph.names(a, c);
        graph.names(d, c);
        assert!(graph.alone().is_empty());
        let unread = Unread { location: "l".into(), table: "t".into(), why: "w".into() };
        graph.fail([b], unread.clone());
        graph.fail([b], unread);
        // `a` has a table that needs `b`, and names files in `c`; `d` and `e` have nothing to do with it.
        assert_eq!(graph.alone(), HashSet::from([a, b, c]));
        assert_eq!(graph.unread().len(), 1);
        assert!(!graph.alone().contains(&e) && !graph.alone().contains(&d));
    }
}
