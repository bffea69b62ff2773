//! The log: the decided batches of a branch, one immutable object each, created if absent. It is
//! the truth; whatever Redis says can be rebuilt from it.
//!
//! Every entry is a complete starting point: it carries the commits of its batch, the whole stack
//! of levels after each of them, and the small runs themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::coord::publish::Publication;
use crate::model::codec::unpack;
use crate::model::commit::Commit;
use crate::model::error::{Error, Result, short};
use crate::model::ids::{BranchUid, CommitId, OpId, Ticket};
use crate::tree::frame::decompress;
use crate::tree::{ALL, InlineRun, Level, Metarange};

use crate::commit::op::verdict::{OutcomeRecord, ProducerRow, Verdict};

const MAGIC: &[u8; 4] = b"ONWL";
/// The newest version that this program reads.
const VERSION: u8 = 2;

/// How hard entries are compressed: what a batch waits for should be quick.
const LEVEL: i32 = 1;

/// The largest log entry before compression. A batch is cut so that it stays far below.
pub const ENTRY_MAX: usize = 64 * 1024 * 1024;

/// The paths and values of the runs of a log entry, at most, when they are read. Paths share what
/// they begin with, so that few bytes can stand for many; a batch is cut at 64 MiB of changes, and
/// what is folded on top of that is bounded by its number of records.
const RUNS_MAX: usize = 512 * 1024 * 1024;

/// One decided batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The branch.
    pub uid: BranchUid,
    /// Ticket of the first op.
    pub first: Ticket,
    /// How many entries the log had before this one.
    pub sequence: u64,
    /// First ticket of the entry before this one.
    pub before: Option<Ticket>,
    /// The head commit before the batch.
    pub parent: Option<CommitId>,
    /// Its generation; 0 without one.
    pub parent_generation: u64,
    /// The ops, in ticket order.
    pub ops: Vec<DecidedOp>,
    /// Every level of the branch during and after the batch, newest first.
    pub levels: Vec<SpanLevel>,
    /// The small runs of the batch, by segment.
    #[serde(with = "encoded_runs")]
    pub runs: Vec<Arc<InlineRun>>,
    /// Rows of producers that the batch changed.
    pub producers: BTreeMap<String, ProducerRow>,
    /// Whether the batch ends the branch.
    pub closes: bool,
}

/// One op of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecidedOp {
    /// Its id.
    pub op_id: OpId,
    /// Its outcome.
    pub verdict: Verdict,
    /// The commit, where it became one.
    pub commit: Option<Commit>,
    /// The staging areas it had taken; `None` when it brought its changes itself.
    pub areas: Option<Vec<OpId>>,
    /// The commit that the branch was reset to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetTo>,
    /// The commit's id, once it was computed.
    #[serde(skip)]
    pub id: IdMemo,
}

/// A commit id that follows from the rest of its record, and is remembered.
#[derive(Debug, Clone, Default)]
pub struct IdMemo(OnceLock<CommitId>);

impl From<Option<CommitId>> for IdMemo {
    fn from(known: Option<CommitId>) -> Self {
        Self(known.map(OnceLock::from).unwrap_or_default())
    }
}

impl PartialEq for IdMemo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Where a reset has taken a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetTo {
    /// The commit that is the head from then on.
    pub commit: CommitId,
    /// Its generation.
    pub generation: u64,
}

/// A level of the stack, and for which ops of the batch it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanLevel {
    /// The level as it is at the end of the batch.
    pub level: Level,
    /// Index of the first op that sees it; 0 for levels from before the batch.
    pub from: u16,
    /// Index of the first op that no longer sees it; [`ALL`] when it outlives the batch.
    pub until: u16,
    /// Whether it holds what ops of the batch changed.
    pub written: bool,
    /// Whether every op that sees it sees all of it: the run of a large op, or several joined. Of
    /// other levels that the batch wrote, an op sees the records of itself and of earlier ones.
    #[serde(default)]
    pub whole: bool,
}

impl LogEntry {
    /// Number of ops.
    pub fn len(&self) -> u64 {
        self.ops.len() as u64
    }

    /// Whether the batch is empty, which no written entry is.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Ticket of the last op: what `done` is after the batch.
    pub fn last(&self) -> Ticket {
        Ticket(self.first.0 + self.len() - 1)
    }

    /// The content of the branch after op `index`.
    pub fn metarange(&self, index: u16) -> Metarange {
        metarange_at(&self.levels, index, usize::from(index) + 1 >= self.ops.len())
    }

    /// The content of the branch after the batch.
    pub fn metarange_after(&self) -> Metarange {
        self.metarange(u16::try_from(self.ops.len().saturating_sub(1)).unwrap_or(ALL))
    }

    /// The id of the commit that op `index` became.
    pub fn commit_id(&self, index: usize) -> Result<Option<CommitId>> {
        let Some(op) = self.ops.get(index) else { return Ok(None) };
        let Some(commit) = &op.commit else { return Ok(None) };
        if let Some(id) = op.id.0.get() {
            return Ok(Some(*id));
        }
        let index = u16::try_from(index)
            .map_err(|_| Error::corrupt(format!("log entry {} has too many ops", self.first)))?;
        let id = commit.id(self.uid, self.first, index)?;
        Ok(Some(*op.id.0.get_or_init(|| id)))
    }

    /// The last commit that the batch made, whether or not it is the head afterwards.
    pub fn last_commit(&self) -> Result<Option<CommitId>> {
        match self.ops.iter().rposition(|op| op.commit.is_some()) {
            Some(index) => self.commit_id(index),
            None => Ok(None),
        }
    }

    /// The head after the batch: commit and generation.
    pub fn head_after(&self) -> Result<(Option<CommitId>, u64)> {
        for (index, op) in self.ops.iter().enumerate().rev() {
            if let Some(commit) = &op.commit {
                return Ok((self.commit_id(index)?, commit.generation));
            }
            if let Some(reset) = op.reset {
                return Ok((Some(reset.commit), reset.generation));
            }
        }
        Ok((self.parent, self.parent_generation))
    }

    /// The commit with id `id`, which must lie in this entry, verified against its id.
    pub fn commit(&self, id: &CommitId) -> Result<&Commit> {
        let commit = self
            .ops
            .get(usize::from(id.index()))
            .and_then(|op| op.commit.as_ref())
            .ok_or_else(|| Error::not_found(format!("there is no commit {id}")))?;
        commit.verify(id)?;
        Ok(commit)
    }

    /// What Redis is told of the batch.
    pub fn publication(&self) -> Result<Publication> {
        let mut outcomes = Vec::with_capacity(self.ops.len());
        let mut consumed = Vec::new();
        for (index, op) in self.ops.iter().enumerate() {
            outcomes.push((op.op_id, self.outcome(index, op)?.encode()?));
            if let Some(areas) = &op.areas
                && (op.commit.is_some() || op.verdict == Verdict::NoChanges)
            {
                consumed.extend(areas);
            }
        }
        Ok(Publication {
            done_before: self.first.0 - 1,
            commit: self.head_after()?.0,
            position: self.first,
            closes: self.closes,
            outcomes,
            producers: self
                .producers
                .iter()
                .map(|(name, row)| (name.clone(), row.encode()))
                .collect(),
            consumed,
        })
    }

    /// The record of op `index` for the outcome stream.
    pub fn outcome(&self, index: usize, op: &DecidedOp) -> Result<OutcomeRecord> {
        Ok(OutcomeRecord {
            verdict: op.verdict.brief(),
            commit: self.commit_id(index)?,
            first: self.first,
            batch: self.ops.len() as u32,
        })
    }

    /// The first version that has all that the entry says: an older program goes on with a branch
    /// for as long as nothing on it is beyond it. Version 2 has resets, and levels that its ops have
    /// written and see whole, which a program that knows only version 1 would miss.
    fn version(&self) -> u8 {
        let resets = self.ops.iter().any(|op| op.reset.is_some());
        let large = |span: &SpanLevel| span.written && span.whole;
        if resets || self.levels.iter().any(large) { 2 } else { 1 }
    }

    /// The bytes of the object: magic, version, length, compressed body, checksum.
    pub fn encode(&self) -> Result<Bytes> {
        let body = rmp_serde::to_vec_named(self)
            .map_err(|error| Error::internal("a log entry cannot be encoded").with_source(error))?;
        if body.len() > ENTRY_MAX {
            return Err(Error::internal(format!(
                "a log entry of {} bytes is over the limit of {ENTRY_MAX}",
                body.len()
            )));
        }
        let packed = compress(&body).map_err(|error| {
            Error::internal("a log entry cannot be compressed").with_source(error)
        })?;
        let mut bytes = Vec::with_capacity(packed.len() + 13);
        bytes.extend_from_slice(MAGIC);
        bytes.push(self.version());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&packed);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(bytes.into())
    }

    /// Reads the bytes of object `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = |why: &str| {
            let why = short(why);
            Error::corrupt(format!(
                "log entry '{key}' is damaged ({why}): restore the object from a copy; nothing else is harmed"
            ))
        };
        let (bytes, checksum) =
            bytes.split_last_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        if crc32c::crc32c(bytes) != u32::from_le_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it is not a log entry"))?;
        let [version, a, b, c, d, packed @ ..] = rest else {
            return Err(damaged("it is too short"));
        };
        match *version {
            0 => return Err(damaged("it has no version")),
            1..=VERSION => {}
            newer => {
                let what = format_args!("log entry '{key}'");
                return Err(Error::newer(what, newer.into(), VERSION.into()));
            }
        }
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if len > ENTRY_MAX {
            return Err(damaged("it claims to be over the size limit"));
        }
        let body = decompress(packed, len).map_err(|error| damaged(&error.to_string()))?;
        let entry: Self = unpack(&body).map_err(|error| damaged(&error.to_string()))?;
        let places = Ticket(1)..=Ticket::MAX;
        if entry.ops.is_empty()
            || entry.ops.len() > usize::from(ALL)
            || !places.contains(&entry.first)
        {
            return Err(damaged("it breaks a rule of the log"));
        }
        Ok(entry)
    }
}

/// Compresses with a context of the thread's own: making one takes longer than a common entry.
fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
            const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(body),
        None => kept.insert(zstd::bulk::Compressor::new(LEVEL)?).compress(body),
    })
}

/// The content of a branch after op `index` of the batch whose levels are given. The last op sees
/// every record of the batch, so its metarange is the one that later batches build on.
pub fn metarange_at(levels: &[SpanLevel], index: u16, last: bool) -> Metarange {
    let visible = |span: &&SpanLevel| match last {
        true => span.until == ALL,
        false => span.from <= index && index < span.until,
    };
    let at_index = |span: &SpanLevel| Level {
        run: Arc::clone(&span.level.run),
        as_of: if span.written && !span.whole && !last { index } else { span.level.as_of },
        folded_at: span.level.folded_at,
    };
    Metarange { levels: levels.iter().filter(visible).map(at_index).collect() }
}

/// Runs travel in their canonical bytes.
mod encoded_runs {
    use std::sync::Arc;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_bytes::ByteBuf;

    use super::RUNS_MAX;
    use crate::tree::InlineRun;

    pub(in crate::commit) fn serialize<S: Serializer>(
        runs: &[Arc<InlineRun>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let encoded: Vec<ByteBuf> = runs.iter().map(|run| ByteBuf::from(run.encode())).collect();
        encoded.serialize(serializer)
    }

    pub(in crate::commit) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<InlineRun>>, D::Error> {
        let encoded: Vec<ByteBuf> = Vec::deserialize(deserializer)?;
        let mut runs = Vec::with_capacity(encoded.len());
        let mut held = 0;
        for bytes in encoded {
            let run = InlineRun::decode(&bytes).map_err(D::Error::custom)?;
            held += run.held_bytes();
            if held > RUNS_MAX {
                return Err(D::Error::custom("its runs are over the size limit"));
            }
            runs.push(Arc::new(run));
        }
        Ok(runs)
    }
}
