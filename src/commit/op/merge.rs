//! A merge, revert or cherry-pick as it is asked for, and how far it was worked out beforehand. Data
//! only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::model::conflict::{Retry, Strategy};
use crate::model::ids::CommitId;
use crate::tree::{PathSpan, RunRef};

/// What the survivors of a merge that are not in its run take in the op, encoded, at most.
pub(in crate::commit) const BESIDE_MAX: usize = 4 * 1024;

/// Up to where merges are kept in memory and in ops. The defaults suit queues of many small ops;
/// smaller ones change costs, never results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeLimits {
    /// Changes that travel in the op and are decided one by one, at most. Default: 512, and 8 KiB.
    pub few: usize,
    /// Survivors that travel in the op instead of a run, in bytes of paths and values, at most.
    /// Default: 4 KiB.
    pub beside_bytes: usize,
    /// Crossings of a batch, at most. A merge with more is worked out from scratch in its turn.
    /// Default: 100,000.
    pub crossings: usize,
}

impl Default for MergeLimits {
    fn default() -> Self {
        Self { few: 512, beside_bytes: BESIDE_MAX, crossings: 100_000 }
    }
}
/// The difference between two commits, to be brought into the branch by the three-way rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergeRequest {
    /// The message of the commit.
    pub message: String,
    /// The user's own key-value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whether a commit is wanted even if nothing is to be brought.
    #[serde(default)]
    pub allow_empty: bool,
    /// Who tries again when paths of the merge have changed since it was prepared.
    #[serde(default)]
    pub retry: Retry,
    /// What is to be merged, and how far that has been worked out.
    pub merge: PreparedMerge,
}

/// What a merge brings, as it was worked out against some head of the branch. The decision in its
/// turn differs from it only in paths that were changed between that head and the turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedMerge {
    /// What becomes of it in history.
    pub kind: MergeKind,
    /// The commit the difference starts from; `None` is the empty state.
    pub base: Option<CommitId>,
    /// The commit it leads to; `None` is the empty state.
    pub source: Option<CommitId>,
    /// What happens to a path that both sides changed.
    pub strategy: Strategy,
    /// The head it was worked out against.
    pub against: Option<CommitId>,
    /// When that began, in milliseconds since the Unix epoch, by the clock of Redis, which all share; of
    /// older programs by that of the submitter. 0 where nothing was written to the object store.
    pub prepared_ms: i64,
    /// What comes of it, as worked out so far.
    pub plan: MergePlan,
}

/// What a merge is in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MergeKind {
    /// A commit with the source as its second parent. The base is their merge base.
    Merge,
    /// A commit without a second parent. The base is the merge base.
    Squash,
    /// A commit that takes another one back: from that commit to its parent.
    Revert,
    /// A commit that repeats another one: from its parent to that commit.
    CherryPick,
}

/// How far a merge has been worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MergePlan {
    /// Few changes: all of them, as an encoded [`crate::tree::InlineRun`]. Each is decided in its turn.
    Changes(ByteBuf),
    /// Many: those that survived the rule against the head of the preparation.
    Survivors(Survivors),
}

/// The changes of a merge that survived the rule against one head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivors {
    /// Most of them, in the object store.
    pub run: Option<RunRef>,
    /// The others, as an encoded [`crate::tree::InlineRun`]; of a path that both have, this is what counts.
    pub records: ByteBuf,
    /// First and last path of the changes from base to source, surviving or not.
    pub span: Option<PathSpan>,
    /// How many they are.
    pub changes: u64,
    /// How many of them survived.
    pub surviving: u64,
}

impl MergeKind {
    /// The name of the kind, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash_merge",
            Self::Revert => "revert",
            Self::CherryPick => "cherry_pick",
        }
    }

    /// Whether so many changes, so many of which survive, are nothing to be brought: a merge whose
    /// changes are all there is still one in history.
    pub fn brings_nothing(self, changes: u64, surviving: u64) -> bool {
        if self.follows_merge_base() { changes == 0 } else { surviving == 0 }
    }

    /// Whether the base is the merge base of source and head, which moves when a merge comes in
    /// between.
    pub fn follows_merge_base(self) -> bool {
        matches!(self, Self::Merge | Self::Squash)
    }
}

impl MergePlan {
    /// What of it travels in the op, as an encoded [`crate::tree::InlineRun`].
    pub fn records(&self) -> &ByteBuf {
        match self {
            Self::Changes(records) | Self::Survivors(Survivors { records, .. }) => records,
        }
    }
}

impl PreparedMerge {
    /// The run it names.
    pub fn run(&self) -> Option<&RunRef> {
        match &self.plan {
            MergePlan::Survivors(survivors) => survivors.run.as_ref(),
            MergePlan::Changes(_) => None,
        }
    }
}
