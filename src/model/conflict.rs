//! Conflicts: what is told of one, what happens to one, and who tries again.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::path::ObjectPath;

/// One path that two sides changed, or whose condition did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConflictPath {
    /// The path that is in conflict.
    pub path: ObjectPath,
    /// What both sides began with; for a condition, nothing.
    pub base: Option<Entry>,
    /// What the op wants.
    pub source: Option<Entry>,
    /// What the branch has.
    pub dest: Option<Entry>,
}

impl ConflictPath {
    /// What it takes in a log entry, in bytes, roughly.
    pub fn bytes(&self) -> usize {
        let sides = [&self.base, &self.source, &self.dest];
        let entries = sides.into_iter().flatten().map(Entry::encoded_len);
        self.path.as_str().len() + 64 + entries.sum::<usize>()
    }
}

/// What happens to a path that was changed on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Strategy {
    /// The op is a conflict.
    #[default]
    Fail,
    /// The op's change wins.
    SourceWins,
    /// The branch's change wins.
    DestWins,
}

/// Who tries a merge again when paths of it have changed since it was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Retry {
    /// Whoever decides it, at once.
    #[default]
    Server,
    /// The client, with what was worked out so far as a hint.
    Client,
}
