//! Ops as they lie in the queue.
//!
//! A queue element is the op id in 36 characters, one mark that `cancel.lua` may set, one version
//! byte, and a MessagePack body that no script reads.

use bytes::Bytes;

use crate::model::codec::unpack;
use crate::model::error::{Error, Result, short};
use crate::model::ids::{Fingerprint, OpId};

use super::request::{INLINE_MAX, Op, Request};

/// The newest version of the body that this program reads.
pub const VERSION: u8 = 2;

/// What the op's message, metadata and names may take together, in bytes.
pub const HEADER_MAX: usize = 8 * 1024;

/// The largest queue element: besides these and [`INLINE_MAX`] it may name a run and the span of a merge.
pub const ELEMENT_MAX: usize = HEADER_MAX + INLINE_MAX + 8 * 1024;

/// An op read from a queue element.
#[derive(Debug, Clone)]
pub struct QueuedOp {
    /// Id of the op, in front of its element.
    pub id: OpId,
    /// Whether it was called off.
    pub cancelled: bool,
    /// What it asks for, as far as it can be read.
    pub body: Body,
}

/// The body of a queue element, as far as this program can read it.
#[derive(Debug, Clone)]
pub enum Body {
    /// An op that this program understands.
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

    /// What tells the request that it came with from others under its id, where that is kept.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.body {
            Body::Op(op) => op.fingerprint,
            _ => None,
        }
    }

    /// Whether it brings in the difference between two commits.
    pub fn is_merge(&self) -> bool {
        matches!(&self.body, Body::Op(op) if matches!(op.request, Request::Merge(_)))
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
