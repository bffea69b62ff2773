//! From the log back to Redis: what a branch looks like by the log alone.
//!
//! A checkpoint, overwritten now and then, names a recent entry and carries what only history
//! tells: every producer's row and the newest outcomes. Reading a branch back is reading the
//! checkpoint and the entries behind it, however long the history is.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::coord::restore::BranchImage;
use crate::coord::retention::REMEMBERED;
use crate::coord::{BranchState, HeadView};
use crate::model::codec::{pack_versioned, unpack_versioned};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BranchUid, CommitId, OpId, Ticket};
use crate::objects::layout;

use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::commit::op::verdict::ProducerRow;

/// Outcomes that a checkpoint and a restored branch keep.
pub const OUTCOMES_KEPT: usize = REMEMBERED as usize;

/// Log entries between checkpoints.
pub const CHECKPOINT_EVERY: u64 = 256;

const VERSION: u8 = 1;

/// A branch after some log entry, with what only history tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Tickets decided up to the checkpoint.
    pub done: u64,
    /// The head commit.
    pub commit: Option<CommitId>,
    /// First ticket of the newest entry; 0 without one.
    pub position: u64,
    /// Whether the branch has ended.
    pub closed: bool,
    /// Every producer's row.
    pub producers: BTreeMap<String, ProducerRow>,
    /// The newest outcomes, oldest first.
    pub outcomes: VecDeque<(Ticket, OpId, ByteBuf)>,
}

impl Checkpoint {
    /// A branch without log entries.
    pub fn start(commit: Option<CommitId>) -> Self {
        Self { commit, ..Self::default() }
    }

    /// Takes the next log entry in.
    pub fn follow(&mut self, entry: &LogEntry) -> Result<()> {
        if entry.first.0 != self.done + 1 {
            return Err(Error::corrupt(format!(
                "the log of branch {} has a gap: ticket {} follows {}",
                entry.uid, entry.first, self.done
            )));
        }
        self.done = entry.last().0;
        self.commit = entry.head_after()?.0;
        self.position = entry.first.0;
        self.closed = entry.closes;
        for name in &entry.forgotten {
            self.producers.remove(name);
        }
        let used = Some(entry.first);
        let rows = entry.producers.iter();
        self.producers.extend(rows.map(|(k, v)| (k.clone(), ProducerRow { used, ..v.clone() })));
        for (index, op) in entry.ops.iter().enumerate() {
            let record = entry.outcome(index, op)?.encode()?;
            let ticket = entry.first.plus(index as u64);
            self.outcomes.push_back((ticket, op.op_id, ByteBuf::from(record.to_vec())));
        }
        let surplus = self.outcomes.len().saturating_sub(OUTCOMES_KEPT);
        self.outcomes.drain(..surplus);
        Ok(())
    }

    /// The object's bytes.
    pub fn encode(&self) -> Result<Bytes> {
        pack_versioned("a checkpoint", VERSION, self)
    }

    /// Reads the object's bytes. To go without it costs time and loses nothing: the log has it all.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        unpack_versioned("a checkpoint", bytes, VERSION)
    }

    /// What Redis is to have of the branch.
    pub fn image(&self) -> BranchImage {
        let state = if self.closed { BranchState::Deleted } else { BranchState::Open };
        BranchImage {
            head: HeadView { state, done: self.done, commit: self.commit, position: self.position },
            outcomes: self
                .outcomes
                .iter()
                .map(|(ticket, op_id, record)| (*ticket, *op_id, Bytes::copy_from_slice(record)))
                .collect(),
            producers: self.producers.iter().map(|(k, v)| (k.clone(), v.encode())).collect(),
        }
    }
}

/// The branch by the log alone: its checkpoint, if it has a good one, and every entry behind it.
pub async fn read_back(lake: &Lake, record: &BranchRecord) -> Result<Checkpoint> {
    let stored = stored(lake, record.uid).await?;
    read_on(lake, record, stored).await
}

/// The branch after its whole log, from a checkpoint on.
async fn read_on(lake: &Lake, record: &BranchRecord, stored: Stored) -> Result<Checkpoint> {
    let uid = record.uid;
    let mut checkpoint = match stored {
        Stored::Good(checkpoint) => checkpoint,
        Stored::Useless | Stored::Newer => Checkpoint::start(record.start),
    };
    let mut log = lake.log_from(uid, Ticket(checkpoint.done + 1)).await?;
    while let Some(entry) = log.next().await? {
        checkpoint.follow(&entry)?;
    }
    if checkpoint.position > 0 {
        lake.outlasts_power(uid, Ticket(checkpoint.position)).await?;
    }
    Ok(checkpoint)
}

/// What is stored as the checkpoint of a branch.
enum Stored {
    /// A good one: the entry it names says the same of itself.
    Good(Checkpoint),
    /// Nothing, or nothing that can be used.
    Useless,
    /// One that only a newer program can read, and that is left to it.
    Newer,
}

async fn stored(lake: &Lake, uid: BranchUid) -> Result<Stored> {
    let key = layout::checkpoint(lake.life(), uid);
    let Some(bytes) = lake.objects().get(&key).await? else {
        return Ok(Stored::Useless);
    };
    let checkpoint = match Checkpoint::decode(&bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            tracing::warn!(%key, %error, "going without a checkpoint");
            let newer = error.kind() == ErrorKind::NewerVersion;
            return Ok(if newer { Stored::Newer } else { Stored::Useless });
        }
    };
    let named = lake.entry(uid, Ticket(checkpoint.position)).await?;
    // One of another history has the same places, and other commits.
    let fits = named.is_some_and(|entry: Arc<LogEntry>| {
        let head = entry.head_after().ok().map(|(commit, _)| commit);
        entry.last().0 == checkpoint.done && head == Some(checkpoint.commit)
    });
    Ok(if fits { Stored::Good(checkpoint) } else { Stored::Useless })
}

/// Writes a new checkpoint of a branch, unless there is one of a newer program, and returns it.
pub async fn write_checkpoint(context: &BranchContext) -> Result<Option<Checkpoint>> {
    let lake = &context.lake;
    let stored = stored(lake, context.uid).await?;
    if matches!(stored, Stored::Newer) {
        return Ok(None);
    }
    let record = BranchRecord::of_uid(lake, &context.name, context.uid).await?;
    let checkpoint = read_on(lake, &record, stored).await?;
    let key = layout::checkpoint(lake.life(), context.uid);
    lake.objects().put(&key, checkpoint.encode()?).await?;
    Ok(Some(checkpoint))
}

/// Puts a new branch that starts at `commit` into Redis. Returns whether it was not there already:
/// others may have found its record and worked on it.
pub async fn open_new(context: &BranchContext, commit: Option<CommitId>) -> Result<bool> {
    let image = Checkpoint::start(commit).image();
    context.redis.restore(&image).await
}

/// Puts a branch that Redis has lost back, from the log alone, unless somebody has done so.
pub(super) async fn put_back(context: &BranchContext, record: &BranchRecord) -> Result<()> {
    let checkpoint = read_back(&context.lake, record).await?;
    if context.redis.restore(&checkpoint.image()).await? {
        tracing::warn!(
            repo = %context.lake.repo(), branch = %record.name, done = checkpoint.done,
            "Redis had lost the branch: restored it from the log"
        );
        add(&context.counters.restored, 1);
    }
    Ok(())
}

/// Puts back which of the newest ops were decided, by the log, where a branch that was idle has
/// forgotten it. Redis has the branch, and is up to the log.
pub async fn remember(context: &BranchContext) -> Result<()> {
    if context.redis.remembers().await?.given() != Some(false) {
        return Ok(());
    }
    let record = BranchRecord::of_uid(&context.lake, &context.name, context.uid).await?;
    let checkpoint = read_back(&context.lake, &record).await?;
    let ops: Vec<(OpId, Ticket)> =
        checkpoint.outcomes.iter().map(|(ticket, op_id, _)| (*op_id, *ticket)).collect();
    context.redis.remember(&ops).await.map(drop)
}
