//! What an import is asked for, and what came of it. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::outcome::Outcome;
use crate::objects::{LeftOut, LeftOutKind};

/// The key under which the commit's metadata has the URL of the source.
pub const SOURCE_KEY: &str = "onward.import.source";

/// Patterns of one import, at most.
pub const PATTERNS_MAX: usize = 100;

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// What lies where, and where it goes.
    pub parts: Vec<ImportPart>,
    /// Settings of the cloud client that win over the environment.
    pub options: Vec<(String, String)>,
    /// Only objects that match one of these glob patterns; empty: all. `*` stays within a folder,
    /// `**` does not; a pattern without a slash is about the last part of the name.
    pub include: Vec<String>,
    /// No objects that match one of these.
    pub exclude: Vec<String>,
    /// Why; by default it names the source.
    pub message: Option<String>,
    /// The user's own key-value pairs of the commit.
    pub metadata: BTreeMap<String, String>,
    /// Who, if not the connection's committer.
    pub committer: Option<String>,
    /// Only count what would be imported.
    pub dry_run: bool,
    /// Whether the prefix of a folder shows the folder as it is afterwards: what is on the branch
    /// below it, would be taken by the patterns, and is not in the folder, is removed. Only what is on
    /// the branch when the import begins is looked at.
    pub mirror: bool,
    /// Whether what can be taken is committed although some of the source cannot:
    /// [`Imported::skipped`] tells. Otherwise the import fails then, and nothing is committed.
    pub partial: bool,
    /// How long the outcome is waited for, if not the connection's timeout. Listing is not part of
    /// it.
    pub timeout: Option<Duration>,
}

/// One place to import from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportPart {
    /// Every object below a folder.
    Folder {
        /// The folder: `file:///absolute/dir`, `s3://bucket/prefix`, ….
        url: String,
        /// The folder in the branch that the names are in; empty for none. A slash at its end is put
        /// there where it lacks one: `raw` is not `rawdata`.
        prefix: String,
    },
    /// One object, as one path.
    Object {
        /// The object: `file:///absolute/file`, `s3://bucket/key`, ….
        url: String,
        /// Its path in the branch.
        path: String,
    },
}

impl ImportPart {
    /// Every object below a folder, under the names that they have there.
    pub fn folder(url: impl Into<String>) -> Self {
        Self::Folder { url: url.into(), prefix: String::new() }
    }

    /// What stands before the names of a folder in the branch; `None` for a single object.
    pub(super) fn prefix(&self) -> Option<String> {
        match self {
            Self::Object { .. } => None,
            Self::Folder { prefix, .. } if prefix.is_empty() || prefix.ends_with('/') => {
                Some(prefix.clone())
            }
            Self::Folder { prefix, .. } => Some(format!("{prefix}/")),
        }
    }
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The URL of the first part, without credentials and query.
    pub source: String,
    /// How many objects were taken.
    pub objects: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Objects that the patterns left out.
    pub left_out: u64,
    /// Paths of the branch that are not at the source any more and were removed; 0 unless that was
    /// asked for.
    pub removed: u64,
    /// What was found at the source and is no object, or cannot be taken.
    pub skipped: Skipped,
    /// What became of the commit; `None` where it was only counted.
    pub outcome: Option<Outcome>,
}

/// What an import found and did not take, beside what the patterns left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Pipes, sockets, devices, symbolic links that lead nowhere or in a circle, and the marks of
    /// folders in cloud stores.
    pub special: u64,
    /// Names that no path can have: not UTF-8, or too long.
    pub names: u64,
    /// Files and folders that could not be looked at.
    pub unreadable: u64,
    /// Each of the first [`REASONS_MAX`], with its reason.
    pub reasons: Vec<String>,
}

/// Things that an import tells of by name, at most; the others are counted.
pub const REASONS_MAX: usize = 20;

impl Skipped {
    /// Counts one, and keeps its reason if there is room.
    pub(super) fn add(&mut self, left_out: LeftOut) {
        *match left_out.kind {
            LeftOutKind::Special => &mut self.special,
            LeftOutKind::Name => &mut self.names,
            LeftOutKind::Unreadable => &mut self.unreadable,
        } += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(left_out.reason);
        }
    }

    /// How many should have been taken and were not.
    pub fn missed(&self) -> u64 {
        self.names + self.unreadable
    }
}
