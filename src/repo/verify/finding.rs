//! What a verification tells: findings, and how far it has come.

use crate::model::ids::CommitId;

use super::super::reach::Needed;

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// It is not there.
    Missing,
    /// Its bytes are not what was written.
    Corrupt,
    /// It can be read, and does not fit what surrounds it.
    Inconsistent,
}

impl FindingKind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong with it.
    pub kind: FindingKind,
    /// The object, by its key in the store; for what Redis has, the key there.
    pub key: String,
    /// What that means.
    pub meaning: String,
    /// The first branch or tag that needs the object, where one does.
    pub reference: Option<String>,
    /// The first commit that needs it, where one does.
    pub commit: Option<CommitId>,
    /// What to do.
    pub advice: &'static str,
}

/// What to do about most damage: every object but the few named elsewhere is written once.
pub(super) const RESTORE: &str = "restore the object from a copy of the storage";

/// What to do about a checkpoint.
pub(super) const DROP_CHECKPOINT: &str =
    "delete the object: it is a shortcut through the log, and the next one is written by itself";

/// What to do about a record that contradicts others.
pub(super) const COMPARE: &str = "compare it with a copy of the storage: two programs have written what only one may, or it was changed by hand";

/// What to do about a Redis of another history.
pub(super) const RECOVER: &str =
    "run `onward recover`: it rebuilds Redis from the log, and names what only Redis had";

/// What to do about a log that ends before Redis does.
pub(super) const RESTORE_OR_RECOVER: &str = "restore the object and those behind it from a copy of the storage; where there is none, `onward recover` rebuilds Redis from the log, and names what only Redis had";

impl Finding {
    pub(super) fn new(kind: FindingKind, key: String, meaning: impl Into<String>) -> Self {
        let advice = match kind {
            FindingKind::Missing | FindingKind::Corrupt => RESTORE,
            FindingKind::Inconsistent => COMPARE,
        };
        Self { kind, key, meaning: meaning.into(), reference: None, commit: None, advice }
    }

    /// The finding, with the first who needs the object.
    pub(super) fn needed_by(mut self, needed: &Needed) -> Self {
        self.reference = Some(needed.by.to_string());
        self.commit = needed.commit;
        self
    }
}

/// How far a verification has come; at its end, all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifySummary {
    /// How many log entries were read.
    pub entries: u64,
    /// Commits in them.
    pub commits: u64,
    /// Distinct runs that can be reached.
    pub runs: u64,
    /// Distinct ranges that can be reached.
    pub ranges: u64,
    /// Records in these runs and ranges, every version counted.
    pub records: u64,
    /// Bytes of paths and values of these records.
    pub bytes: u64,
    /// Objects below `data/` that were looked at; a name that is met twice is counted twice.
    pub objects: u64,
    /// How many findings there are.
    pub findings: u64,
}

/// What a verification tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyEvent<'a> {
    /// Something is wrong.
    Finding(&'a Finding),
    /// It has come so far.
    Progress(&'a VerifySummary),
}
