//! Ops: requests to move a branch head, as they lie in the queue.
//!
//! A queue element is the op id in 36 characters, one mark that `cancel.lua` may set, one version
//! byte, and a MessagePack body that no script reads.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, OpId, RunId};
use crate::tree::{InlineRun, RunRef};

/// The newest version of the body that this program writes and reads.
const VERSION: u8 = 1;

/// What the op's message, metadata and names may take together, in bytes.
pub const HEADER_MAX: usize = 8 * 1024;

/// How old the changes of an op may be when it is decided, from before the first of them was written
/// to the object store. Helpers refuse an older op, so that garbage collection may remove what
/// nothing names and is older, with an hour for clocks that differ.
pub const PREPARED_MAX: Duration = Duration::from_secs(24 * 3600);

/// Changes that travel inside the queue element, encoded, at most. More of them go to the object
/// store first, as a run.
pub const INLINE_MAX: usize = 8 * 1024;

/// The largest queue element.
pub const ELEMENT_MAX: usize = HEADER_MAX + INLINE_MAX + 1024;

/// One request to move a branch head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Who asks.
    pub committer: String,
    /// When it was submitted, milliseconds since the Unix epoch, by the submitter's clock.
    pub created_ms: i64,
    /// The producer's place in its own sequence, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<ProducerSequence>,
    /// What is asked.
    pub request: Request,
}

/// The n-th op of a producer under an epoch: exactly-once without a time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerSequence {
    /// Name of the producer.
    pub producer: String,
    /// Incarnation of the producer. A higher one fences all lower ones.
    pub epoch: u64,
    /// Number of the op. Each must be higher than the last.
    pub sequence: u64,
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
        let body = rmp_serde::to_vec_named(self)
            .map_err(|error| Error::internal("an op cannot be encoded").with_source(error))?;
        let mut element = Vec::with_capacity(OpId::TEXT_LEN + 2 + body.len());
        element.extend_from_slice(id.to_string().as_bytes());
        element.push(b'P');
        element.push(VERSION);
        element.extend_from_slice(&body);
        if element.len() > ELEMENT_MAX {
            return Err(Error::invalid(format!(
                "message, metadata and names take {} bytes, the limit is {HEADER_MAX}: store large metadata as an object and commit its path",
                element.len()
            )));
        }
        Ok(element.into())
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
            [mark, VERSION, body @ ..] => (*mark == b'C', decode_body(body)),
            [mark, version, ..] if *version > VERSION => (*mark == b'C', Body::Newer(*version)),
            _ => (false, Body::Damaged("its record in the queue is damaged".into())),
        };
        Ok(Self { id, cancelled, body })
    }
}

fn decode_body(body: &[u8]) -> Body {
    match rmp_serde::from_slice::<Op>(body) {
        Ok(op) => Body::Op(Box::new(op)),
        Err(error) => Body::Damaged(format!("its record in the queue is damaged: {error}")),
    }
}

impl Changes {
    /// Changes that are small enough to travel in the op, if they are.
    pub fn inline(run: &InlineRun) -> Option<Self> {
        let encoded = run.encode();
        (encoded.len() <= INLINE_MAX).then(|| Self::Inline(ByteBuf::from(encoded)))
    }
}
