//! Ops as they lie in the queue.
//!
//! A queue element is the op id in 36 characters, one mark that `cancel.lua` may set, one version
//! byte, and a MessagePack body that no script reads.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::codec::unpack;
use crate::model::error::{Error, Result, short};
use crate::model::ids::{Fingerprint, OpId};
use crate::model::producer::Producer;

use super::request::{INLINE_MAX, Op, Request};

/// The newest version of the body that this program reads.
pub const VERSION: u8 = 3;

/// The version of what stands for an element: every program that mends one reads it.
const STAND_IN_VERSION: u8 = 2;

/// What the op's message, metadata and names may take together, in bytes. Of several producers the
/// places count too.
pub const HEADER_MAX: usize = 8 * 1024;

/// The largest queue element. Encoded, message, metadata and names take twice their bytes at most: each
/// pair two besides its own. The changes are in it ([`INLINE_MAX`]), or it names a run (5 KiB) and, of a
/// merge, has its span (2 KiB) and what is not in the run (4 KiB).
pub const ELEMENT_MAX: usize = 2 * HEADER_MAX + INLINE_MAX + 8 * 1024;

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

/// What users say of an op besides its changes.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Who asks for it.
    pub committer: &'a str,
    /// The producers whose op it is.
    pub producers: &'a [Producer],
    /// The message of its commit.
    pub message: &'a str,
    /// Key-value pairs of its commit.
    pub metadata: Option<&'a BTreeMap<String, String>>,
}

/// Epoch and sequence.
const PLACE: usize = 16;

impl Header<'_> {
    /// Fails where it takes more than [`HEADER_MAX`] bytes: known before anything else is done.
    pub fn check(&self) -> Result<()> {
        let pairs = self.metadata.into_iter().flatten();
        let pairs: usize = pairs.map(|(key, value)| key.len() + value.len()).sum();
        let place = if self.producers.len() > 1 { PLACE } else { 0 };
        let producers: usize = self.producers.iter().map(|each| each.name.len() + place).sum();
        let names = self.committer.len() + producers;
        match self.message.len() + pairs + names {
            0..=HEADER_MAX => Ok(()),
            bytes => Err(Error::invalid(format!(
                "message, metadata and names take {bytes} bytes, the limit is {HEADER_MAX}: store large metadata as an object and commit its path"
            ))),
        }
    }
}

impl Op {
    /// The queue element of this op under `id`. Fails when it is over [`ELEMENT_MAX`].
    pub fn encode(&self, id: OpId) -> Result<Bytes> {
        self.header().check()?;
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

    fn header(&self) -> Header<'_> {
        let (message, metadata) = match &self.request {
            Request::Commit(request) => (request.message.as_str(), Some(&request.metadata)),
            Request::Merge(request) => (request.message.as_str(), Some(&request.metadata)),
            Request::DeleteBranch | Request::Fold(_) | Request::Reset(_) | Request::Forget(_) => {
                ("", None)
            }
        };
        let (committer, producers) = (self.committer.as_str(), self.producers.as_slice());
        Header { committer, producers, message, metadata }
    }

    /// The first version of the body that has this kind of op: programs that know only older ones
    /// leave it to others.
    fn version(&self) -> u8 {
        match self.request {
            _ if self.producers.len() > 1 => 3,
            Request::Commit(_) | Request::DeleteBranch | Request::Fold(_) => 1,
            Request::Merge(_) | Request::Reset(_) => 2,
            Request::Forget(_) => 3,
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
        stand_in.extend_from_slice(&[b'P', STAND_IN_VERSION]);
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

    /// The producers whose op it is, as far as that can be read.
    pub fn producers(&self) -> &[Producer] {
        match &self.body {
            Body::Op(op) => &op.producers,
            Body::Damaged(_) | Body::Newer(_) => &[],
        }
    }

    /// The producers whose rows decide it, or that it forgets, as far as that can be read.
    pub fn rows_named(&self) -> &[Producer] {
        match &self.body {
            Body::Op(op) => match &op.request {
                Request::Forget(rows) => rows,
                _ => &op.producers,
            },
            Body::Damaged(_) | Body::Newer(_) => &[],
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

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::commit::op::merge::{
        BESIDE_MAX, MergeKind, MergePlan, MergeRequest, PreparedMerge, Survivors,
    };
    use crate::commit::op::request::{Changes, CommitRequest};
    use crate::model::conflict::{Retry, Strategy};
    use crate::model::ids::{CommitId, RangeId, RunId};
    use crate::model::path::ObjectPath;
    use crate::tree::{RangeRef, RunPlace, RunRef};

    /// Pairs that together have `bytes`, each key `key_len` and each value `value_len` long.
    fn metadata(bytes: usize, key_len: usize, value_len: usize) -> BTreeMap<String, String> {
        let pairs = bytes / (key_len + value_len);
        let key = |n: usize| {
            let digits = format!("{n:x}");
            let mut key = digits.into_bytes();
            key.resize(key_len.max(key.len()), b'k');
            String::from_utf8(key).unwrap()
        };
        (0..pairs).map(|n| (key(n), "v".repeat(value_len))).collect()
    }

    /// Every two-character text of printable ASCII, as keys without values.
    fn tiny(bytes: usize) -> BTreeMap<String, String> {
        let printable = || ' '..='~';
        let all = printable().flat_map(|a| printable().map(move |b| format!("{a}{b}")));
        all.take(bytes / 2).map(|key| (key, String::new())).collect()
    }

    fn path(first: char) -> ObjectPath {
        let text: String =
            std::iter::once(first).chain("p".repeat(ObjectPath::MAX_LEN - 1).chars()).collect();
        ObjectPath::new(text).unwrap()
    }

    /// A reference that takes as much room as any.
    fn run() -> RunRef {
        let range = |n: u8| RangeRef {
            id: RangeId([n; 16]),
            first: path((b'a' + 2 * n) as char),
            last: path((b'b' + 2 * n) as char),
            records: u64::MAX,
            deletes: u64::MAX,
            bytes: u64::MAX,
            conditions: true,
            settled: true,
        };
        RunRef {
            id: RunId([255; 16]),
            records: u64::MAX,
            deletes: u64::MAX,
            bytes: u64::MAX,
            conditions: true,
            place: RunPlace::Ranges((0..2).map(range).collect()),
        }
    }

    fn commit_id() -> CommitId {
        "f".repeat(64).parse().unwrap()
    }

    fn requests(message: String, metadata: BTreeMap<String, String>) -> Vec<Request> {
        let commit = |changes| {
            Request::Commit(CommitRequest {
                message: message.clone(),
                metadata: metadata.clone(),
                changes,
                base: Some(commit_id()),
                strategy: Strategy::SourceWins,
                allow_empty: true,
                date_ms: Some(i64::MAX),
                staging_lost: true,
            })
        };
        let merge = |plan| {
            Request::Merge(MergeRequest {
                message: message.clone(),
                metadata: metadata.clone(),
                allow_empty: true,
                retry: Retry::Client,
                merge: PreparedMerge {
                    kind: MergeKind::CherryPick,
                    base: Some(commit_id()),
                    source: Some(commit_id()),
                    strategy: Strategy::SourceWins,
                    against: Some(commit_id()),
                    prepared_ms: i64::MAX,
                    plan,
                },
            })
        };
        let bytes = |len: usize| ByteBuf::from(vec![255; len]);
        vec![
            commit(Changes::Inline(bytes(INLINE_MAX))),
            commit(Changes::Run(run())),
            merge(MergePlan::Changes(bytes(INLINE_MAX))),
            merge(MergePlan::Survivors(Survivors {
                run: Some(run()),
                records: bytes(BESIDE_MAX + 1024),
                span: Some((path('a'), path('b'))),
                changes: u64::MAX,
                surviving: u64::MAX,
            })),
        ]
    }

    #[test]
    fn what_is_within_the_limits_fits_into_an_element() {
        let producer = |name: String| Producer::new(name, u64::MAX, u64::MAX);
        let one = vec![producer("p".repeat(64))];
        let most = (0..Producer::PER_OP_MAX).map(|n| producer(format!("{n:x}"))).collect();
        let long = (0..28).map(|n| producer(format!("{n:0255}"))).collect();
        let mut largest = 0;
        for producers in [one, most, long] {
            largest = largest.max(largest_of(producers));
        }
        assert!(largest > 24 * 1024 && largest <= ELEMENT_MAX, "{largest} bytes");
    }

    /// The largest element of an op of these producers, whatever it asks for.
    fn largest_of(producers: Vec<Producer>) -> usize {
        let place = if producers.len() > 1 { PLACE } else { 0 };
        let names: usize = producers.iter().map(|each| each.name.len() + place).sum();
        let room = HEADER_MAX - 64 - names;
        let mut headers = vec![("m".repeat(room), BTreeMap::new()), (String::new(), tiny(room))];
        for (key_len, value_len) in
            [(3, 0), (3, 1), (8, 8), (31, 31), (32, 32), (255, 255), (256, 600)]
        {
            headers.push((String::new(), metadata(room, key_len, value_len)));
            headers.push(("m".repeat(room / 2), metadata(room / 2, key_len, value_len)));
        }
        let mut largest = 0;
        for (message, metadata) in headers {
            for request in requests(message, metadata) {
                let (committer, created_ms) = ("c".repeat(64), i64::MAX);
                let (prepared_ms, producers) = (Some(i64::MAX), producers.clone());
                let fingerprint = Some(Fingerprint([0xff; 16]));
                let op = Op { committer, created_ms, prepared_ms, producers, fingerprint, request };
                largest = largest.max(op.encode(OpId::of_bytes(b"op")).unwrap().len());
            }
        }
        largest
    }

    #[test]
    fn what_is_over_the_limit_is_told_with_the_number() {
        let metadata = BTreeMap::from([("k".repeat(100), "v".repeat(HEADER_MAX))]);
        let header =
            Header { committer: "c", producers: &[], message: "m", metadata: Some(&metadata) };
        let refused = header.check().unwrap_err();
        assert!(refused.message().contains("take 8294 bytes, the limit is 8192"), "{refused}");
    }
}
