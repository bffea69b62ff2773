//! The log: the decided batches of a branch, one immutable object each, created if absent. It is
//! the truth; whatever Redis says can be rebuilt from it.
//!
//! Every entry is a complete starting point: it carries the commits of its batch, the whole stack
//! of levels after each of them, and the small runs themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::coord::publish::Publication;
use crate::model::commit::Commit;
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, CommitId, Fingerprint, OpId, Ticket};
use crate::tree::{ALL, InlineRun, Metarange};

use super::levels::{SpanLevel, metarange_at};
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow, Verdict};

/// One decided batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The branch whose log it is in.
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
    #[serde(with = "super::embedded")]
    pub runs: Vec<Arc<InlineRun>>,
    /// Rows of producers that the batch changed.
    pub producers: BTreeMap<String, ProducerRow>,
    /// Producers of which nothing is known any more. Programs that do not know of it keep their rows,
    /// until the next that does forgets them again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forgotten: BTreeSet<String>,
    /// Whether the batch ends the branch.
    pub closes: bool,
}

/// One op of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecidedOp {
    /// Id of the op, as it was submitted.
    pub op_id: OpId,
    /// What was decided of it.
    pub verdict: Verdict,
    /// The commit, where it became one.
    pub commit: Option<Commit>,
    /// The staging areas it had taken; `None` when it brought its changes itself.
    pub areas: Option<Vec<OpId>>,
    /// The commit that the branch was reset to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetTo>,
    /// What tells the request that it came with from others under the same id, where its submitter
    /// wants that to be told. Programs that do not know of it pass over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
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
    /// Generation of the commit that becomes the head.
    pub generation: u64,
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
                .chain(self.forgotten.iter().map(|name| (name.clone(), Bytes::new())))
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
            fingerprint: op.fingerprint,
        })
    }
}
