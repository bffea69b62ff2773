//! What is asked for: one request to move a branch head. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::model::conflict::Strategy;
use crate::model::ids::{CommitId, Fingerprint, RunId};
use crate::model::producer::Producer;
use crate::tree::{EncodedChanges, RunRef};

use super::merge::MergeRequest;

/// How old the changes of an op may be when it is decided, from before the first of them was written
/// to the object store. Helpers refuse an older op, so that garbage collection may remove what
/// nothing names and is older, with an hour for the clocks of Redis and the store, which may differ.
pub const PREPARED_MAX: Duration = Duration::from_secs(24 * 3600);

/// Changes that travel inside the queue element, encoded, at most. More of them go to the object
/// store first, as a run.
pub const INLINE_MAX: usize = 8 * 1024;

/// One request to move a branch head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Name of whoever asks for it.
    pub committer: String,
    /// When it was made, milliseconds since the Unix epoch, by the submitter's clock: the date of what
    /// comes of it. Nothing is decided by it.
    pub created_ms: i64,
    /// Before any of its changes were written to the object store, milliseconds since the Unix epoch, by
    /// the clock of Redis, which all share. Older programs do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared_ms: Option<i64>,
    /// Its place in the sequence of each of its producers. One stands as older programs write it.
    #[serde(
        rename = "producer",
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "super::producers"
    )]
    pub producers: Vec<Producer>,
    /// What tells the request that it came with from others under the same id, where its submitter
    /// wants that to be told. Programs that do not know of it pass over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What is asked.
    pub request: Request,
}

/// What an op asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Changes of its own, or what is staged.
    Commit(CommitRequest),
    /// The end of the branch.
    DeleteBranch,
    /// Levels of the stack in exchange for one of equal content.
    Fold(FoldRequest),
    /// The difference between two commits, brought into the branch: merge, revert, cherry-pick.
    Merge(MergeRequest),
    /// Another commit as the head.
    Reset(CommitId),
    /// An end of what is known of producers, each as far as it was when this was asked for: one that has
    /// come further since stays.
    Forget(#[serde(with = "super::producers")] Vec<Producer>),
}

/// A set of changes to become a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRequest {
    /// The message of the commit.
    pub message: String,
    /// The user's own key-value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its changes, or where they are.
    pub changes: Changes,
    /// The commit the changes were made against. Where the branch has changed a path since, the
    /// three-way rule decides. Without it the last writer wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CommitId>,
    /// What happens to a path that both sides changed.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether a commit without changes is wanted.
    #[serde(default)]
    pub allow_empty: bool,
    /// The date that the commit is to have instead of the moment when it was submitted, milliseconds
    /// since the Unix epoch: of history that is brought over from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_ms: Option<i64>,
    /// Whether it had sealed something in a Redis that lost it: unless the areas are there, that was
    /// lost, too, and nothing else is taken in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staging_lost: bool,
}

/// Where the changes of a commit are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Changes {
    /// In the op itself: an encoded [`crate::tree::InlineRun`].
    Inline(ByteBuf),
    /// In the object store, written by the submitter.
    Run(RunRef),
    /// In the staging areas that the op sealed when it was accepted.
    Sealed,
}

/// Levels of a branch's stack in exchange for a run of equal content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldRequest {
    /// The levels to be replaced, newest first: run and as-of index of each.
    pub levels: Vec<(RunId, u16)>,
    /// Whether they were the bottom of the stack, so that `with` has no tombstones.
    #[serde(default)]
    pub bottom: bool,
    /// What replaces them.
    pub with: RunRef,
}

impl Op {
    /// The runs it names, which must not go before it is decided.
    pub fn runs(&self) -> Vec<&RunRef> {
        match &self.request {
            Request::Commit(CommitRequest { changes: Changes::Run(run), .. })
            | Request::Fold(FoldRequest { with: run, .. }) => vec![run],
            Request::Merge(MergeRequest { merge, .. }) => merge.run().into_iter().collect(),
            Request::Commit(_) | Request::DeleteBranch | Request::Reset(_) | Request::Forget(_) => {
                Vec::new()
            }
        }
    }

    /// When the first of what the runs it names consist of was written, or before that,
    /// milliseconds since the Unix epoch.
    pub fn prepared_ms(&self) -> i64 {
        match &self.request {
            Request::Merge(request) => request.merge.prepared_ms,
            _ => self.prepared_ms.unwrap_or(self.created_ms),
        }
    }

    /// Whether accepting this op takes the staging area with it.
    pub fn seals(&self) -> bool {
        matches!(&self.request, Request::Commit(commit) if commit.changes == Changes::Sealed)
    }
}

impl Request {
    /// The kind of op, for people and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::DeleteBranch => "delete_branch",
            Self::Fold(_) => "fold",
            Self::Merge(request) => request.merge.kind.name(),
            Self::Reset(_) => "reset",
            Self::Forget(_) => "forget",
        }
    }
}

impl From<EncodedChanges> for Changes {
    fn from(changes: EncodedChanges) -> Self {
        match changes {
            EncodedChanges::Inline(encoded) => Self::Inline(encoded.into()),
            EncodedChanges::Run(run) => Self::Run(run),
        }
    }
}
