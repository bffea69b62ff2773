//! Ops: requests to move a branch head, as they lie in the queue.
//!
//! A queue element is the op id in 36 characters, one mark that `cancel.lua` may set, one version
//! byte, and a MessagePack body that no script reads.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::model::codec::unpack;
use crate::model::conflict::{Retry, Strategy};
use crate::model::error::{Error, Result, short};
use crate::model::ids::{CommitId, OpId, RunId};
use crate::model::producer::Producer;
use crate::tree::{InlineRun, PathSpan, RunRef};

/// The newest version of the body that this program reads.
pub const VERSION: u8 = 2;

/// What the op's message, metadata and names may take together, in bytes.
pub const HEADER_MAX: usize = 8 * 1024;

/// How old the changes of an op may be when it is decided, from before the first of them was written
/// to the object store. Helpers refuse an older op, so that garbage collection may remove what
/// nothing names and is older, with an hour for clocks that differ.
pub const PREPARED_MAX: Duration = Duration::from_secs(24 * 3600);

/// Changes that travel inside the queue element, encoded, at most. More of them go to the object
/// store first, as a run.
pub const INLINE_MAX: usize = 8 * 1024;

/// The largest queue element: besides the two above, it may name a run and the span of a merge.
pub const ELEMENT_MAX: usize = HEADER_MAX + INLINE_MAX + 8 * 1024;

/// One request to move a branch head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Who asks.
    pub committer: String,
    /// When it was made, before any of its changes were written, milliseconds since the Unix epoch,
    /// by the submitter's clock.
    pub created_ms: i64,
    /// The producer's place in its own sequence, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Producer>,
    /// What is asked.
    pub request: Request,
}

/// What an op asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// A commit.
    Commit(CommitRequest),
    /// The end of the branch.
    DeleteBranch,
    /// Levels of the stack in exchange for one of equal content.
    Fold(FoldRequest),
    /// The difference between two commits, brought into the branch: merge, revert, cherry-pick.
    Merge(MergeRequest),
    /// Another commit as the head.
    Reset(CommitId),
}

/// A set of changes to become a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRequest {
    /// Why.
    pub message: String,
    /// The user's own key-value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The changes.
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
    /// Whether it was accepted before by a Redis that lost it: if nothing is staged now, that was
    /// lost, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staging_lost: bool,
}

/// Where the changes of a commit are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Changes {
    /// In the op itself: an encoded [`InlineRun`].
    Inline(ByteBuf),
    /// In the object store, written by the submitter.
    Run(RunRef),
    /// In the staging areas that the op sealed when it was accepted.
    Sealed,
}

/// The difference between two commits, to be brought into the branch by the three-way rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergeRequest {
    /// Why.
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
    /// When that began, in milliseconds since the Unix epoch.
    pub prepared_ms: i64,
    /// The result.
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
    /// Few changes: all of them, as an encoded [`InlineRun`]. Each is decided in its turn.
    Changes(ByteBuf),
    /// Many: those that survived the rule against the head of the preparation.
    Survivors(Survivors),
}

/// The changes of a merge that survived the rule against one head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivors {
    /// Most of them, in the object store.
    pub run: Option<RunRef>,
    /// The others, as an encoded [`InlineRun`]; of a path that both have, this is what counts.
    pub records: ByteBuf,
    /// First and last path of the changes from base to source, surviving or not.
    pub span: Option<PathSpan>,
    /// How many they are.
    pub changes: u64,
    /// How many of them survived.
    pub surviving: u64,
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

/// An op read from a queue element.
#[derive(Debug, Clone)]
pub struct QueuedOp {
    /// Its id.
    pub id: OpId,
    /// Whether it was called off.
    pub cancelled: bool,
    /// Its body.
    pub body: Body,
}

/// The body of a queue element, as far as this program can read it.
#[derive(Debug, Clone)]
pub enum Body {
    /// An op.
    Op(Box<Op>),
    /// Damaged: its outcome is `failed`, for the given reason.
    Damaged(String),
    /// Written by a newer version of the program: only helpers that know it may decide it.
    Newer(u8),
}

impl Op {
    /// The queue element of this op under `id`. Fails when it is over [`ELEMENT_MAX`].
    pub fn encode(&self, id: OpId) -> Result<Bytes> {
        let header = self.header_len();
        if header > HEADER_MAX {
            return Err(Error::invalid(format!(
                "message, metadata and names take {header} bytes, the limit is {HEADER_MAX}: store large metadata as an object and commit its path"
            )));
        }
        let body = rmp_serde::to_vec_named(self)
            .map_err(|error| Error::internal("an op cannot be encoded").with_source(error))?;
        let mut element = Vec::with_capacity(OpId::TEXT_LEN + 2 + body.len());
        element.extend_from_slice(id.to_string().as_bytes());
        element.push(b'P');
        element.push(self.version());
        element.extend_from_slice(&body);
        if element.len() > ELEMENT_MAX {
            return Err(Error::internal(format!(
                "an op of {} bytes is over the limit of {ELEMENT_MAX}",
                element.len()
            )));
        }
        Ok(element.into())
    }

    /// Bytes of message, metadata and names.
    fn header_len(&self) -> usize {
        let (message, metadata) = match &self.request {
            Request::Commit(request) => (&request.message, &request.metadata),
            Request::Merge(request) => (&request.message, &request.metadata),
            Request::DeleteBranch | Request::Fold(_) | Request::Reset(_) => return 0,
        };
        let pairs: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        let producer = self.producer.as_ref().map_or(0, |p| p.name.len());
        message.len() + pairs + self.committer.len() + producer
    }

    /// The first version of the body that has this kind of op: programs that know only older ones
    /// leave it to others.
    fn version(&self) -> u8 {
        match self.request {
            Request::Commit(_) | Request::DeleteBranch | Request::Fold(_) => 1,
            Request::Merge(_) | Request::Reset(_) => 2,
        }
    }

    /// The runs it names, which must not go before it is decided.
    pub fn runs(&self) -> Vec<&RunRef> {
        match &self.request {
            Request::Commit(CommitRequest { changes: Changes::Run(run), .. })
            | Request::Fold(FoldRequest { with: run, .. }) => vec![run],
            Request::Merge(MergeRequest { merge, .. }) => merge.run().into_iter().collect(),
            Request::Commit(_) | Request::DeleteBranch | Request::Reset(_) => Vec::new(),
        }
    }

    /// When the first of what the runs it names consist of was written, or before that,
    /// milliseconds since the Unix epoch.
    pub fn prepared_ms(&self) -> i64 {
        match &self.request {
            Request::Merge(request) => request.merge.prepared_ms,
            _ => self.created_ms,
        }
    }

    /// Whether accepting this op takes the staging area with it.
    pub fn seals(&self) -> bool {
        matches!(&self.request, Request::Commit(commit) if commit.changes == Changes::Sealed)
    }
}

impl QueuedOp {
    /// The op id of an element, if it has a readable one.
    pub fn id_of(element: &[u8]) -> Option<OpId> {
        std::str::from_utf8(element.get(..OpId::TEXT_LEN)?).ok()?.parse().ok()
    }

    /// What stands for an element that has no readable op id: an element that says it is damaged,
    /// under an id that follows from its bytes.
    pub fn stand_in(element: &[u8]) -> Bytes {
        let mut stand_in = OpId::of_bytes(element).to_string().into_bytes();
        stand_in.extend_from_slice(&[b'P', VERSION]);
        stand_in.into()
    }

    /// Reads a queue element. Only an element without a readable op id is an error: such an
    /// element was not written by any version of this program.
    pub fn decode(element: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("a queue element in Redis has no readable op id");
        let id = Self::id_of(element).ok_or_else(damaged)?;
        let rest = element.get(OpId::TEXT_LEN..).unwrap_or_default();
        let (cancelled, body) = match rest {
            [mark, 1..=VERSION, body @ ..] => (*mark == b'C', decode_body(body)),
            [mark, version, ..] if *version > VERSION => (*mark == b'C', Body::Newer(*version)),
            _ => (false, Body::Damaged("its record in the queue is damaged".into())),
        };
        Ok(Self { id, cancelled, body })
    }
}

fn decode_body(body: &[u8]) -> Body {
    match unpack::<Op>(body) {
        Ok(op) => Body::Op(Box::new(op)),
        Err(error) => {
            let why = error.to_string();
            Body::Damaged(format!("its record in the queue is damaged: {}", short(&why)))
        }
    }
}

impl QueuedOp {
    /// The kind of op, for people and metrics.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Op(op) => op.request.kind(),
            _ => "unreadable",
        }
    }

    /// When it was submitted, milliseconds since the Unix epoch, if that can be read.
    pub fn created_ms(&self) -> Option<i64> {
        match &self.body {
            Body::Op(op) => Some(op.created_ms),
            _ => None,
        }
    }

    /// Whether it brings in the difference between two commits.
    pub fn is_merge(&self) -> bool {
        matches!(&self.body, Body::Op(op) if matches!(op.request, Request::Merge(_)))
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
        }
    }
}

impl MergeKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash_merge",
            Self::Revert => "revert",
            Self::CherryPick => "cherry_pick",
        }
    }

    /// Whether the base is the merge base of source and head, which moves when a merge comes in
    /// between.
    pub fn follows_merge_base(self) -> bool {
        matches!(self, Self::Merge | Self::Squash)
    }
}

impl MergePlan {
    /// What of it travels in the op, as an encoded [`InlineRun`].
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

impl Changes {
    /// Changes that are small enough to travel in the op, if they are.
    pub fn inline(run: &InlineRun) -> Option<Self> {
        encode_within(run, INLINE_MAX).map(Self::Inline)
    }
}

/// An encoded run; `None` where that takes more than `max` bytes.
pub(in crate::commit) fn encode_within(run: &InlineRun, max: usize) -> Option<ByteBuf> {
    let encoded = run.encode();
    (encoded.len() <= max).then(|| ByteBuf::from(encoded))
}
