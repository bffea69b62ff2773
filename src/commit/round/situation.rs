//! A batch before it is decided: its ops with everything at hand that deciding them takes. Data only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::coord::RedisBranch;
use crate::model::entry::Entry;
use crate::model::ids::{CommitId, Fingerprint, OpId, RunId};
use crate::model::path::ObjectPath;
use crate::model::producer::Producer;
use crate::tree::{ChangeSet, Level, Record, RunRef, SmallMax};

use crate::commit::log::entry::ResetTo;
use crate::commit::log::lake::Lake;
use crate::commit::merge::crossings::Crossing;
use crate::commit::merge::graph::Contained;
use crate::commit::op::merge::MergeRequest;
use crate::commit::op::request::{Changes, CommitRequest};
use crate::commit::op::verdict::{ProducerRow, Verdict};

/// Changes of one op that are merged into the batch's own run, at most. The run of a larger op
/// becomes a level of its own, as it is.
pub const SMALL_MAX: SmallMax = SmallMax { records: 4096, bytes: 4 * 1024 * 1024 };

/// Changes of one op with conditions or a base, at most: each is looked up.
pub const VALIDATED_MAX: u64 = 100_000;

/// Paths and values of the changes of one op with conditions or a base, in bytes, at most: they are held
/// in memory, and once more without their conditions.
pub const VALIDATED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a record takes in memory besides its path and value, roughly.
pub(super) const RECORD_OVERHEAD: usize = 128;

/// An op with everything at hand to decide it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Id of the op that was prepared.
    pub id: OpId,
    /// Its place in the sequence of each of its producers.
    pub producers: Vec<Producer>,
    /// The areas it had sealed; `None` when it brought its changes itself.
    pub areas: Option<Vec<OpId>>,
    /// What tells the request that it came with from others, where that is kept.
    pub fingerprint: Option<Fingerprint>,
    /// What is to be done.
    pub work: Work,
}

impl Prepared {
    /// What its changes take in memory, roughly. Those that are judged one by one are held twice, as
    /// they came and as what survives.
    pub(super) fn bytes(&self) -> usize {
        let (records, times) = match &self.work {
            Work::Commit { changes: ChangeSet::Small(records), validated, .. } => {
                (records, 1 + usize::from(*validated))
            }
            Work::Merge { view, .. } => (&view.records, 2),
            _ => return 0,
        };
        times * records.iter().map(|record| record.size() + RECORD_OVERHEAD).sum::<usize>()
    }

    /// Lets go of its changes: it is judged, and what survived of them is held elsewhere.
    pub(super) fn let_go(&mut self) {
        match &mut self.work {
            Work::Commit { changes, .. } => *changes = ChangeSet::Small(Vec::new()),
            Work::Merge { view, .. } => (view.records, view.crossings) = (Vec::new(), None),
            _ => {}
        }
    }

    /// Whether deciding it needs to know what paths have.
    pub fn asks(&self) -> bool {
        match &self.work {
            Work::Commit { validated, request, changes, .. } => {
                *validated || is_compared(request, changes)
            }
            Work::Merge { .. } => true,
            _ => false,
        }
    }
}

/// Whether it depends on what is there whether changes are a commit at all. What was staged may be what
/// was there, as nobody compares before he writes; removals may be of what has gone, or never was. Puts
/// that came with their commit are not compared: that would cost it a read, to find out what its sender
/// knows.
pub(super) fn is_compared(request: &CommitRequest, changes: &ChangeSet) -> bool {
    let takes_away_only = match changes {
        ChangeSet::Small(records) => records.iter().all(Record::is_delete),
        ChangeSet::Large(run) => run.deletes == run.records,
    };
    !request.allow_empty && (takes_away_only || request.changes == Changes::Sealed)
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Work {
    /// Nothing: the verdict is clear.
    Settled(Verdict),
    /// A commit of changes.
    Commit {
        /// Name of whoever asked for it.
        committer: String,
        /// When it was asked for, in milliseconds since 1970.
        created_ms: i64,
        /// What was asked for.
        request: CommitRequest,
        /// The changes that it brings.
        changes: ChangeSet,
        /// Whether each of them is judged by what its path has.
        validated: bool,
    },
    /// The difference between two commits, brought into the branch.
    Merge {
        /// Name of whoever asked for it.
        committer: String,
        /// When it was asked for, in milliseconds since 1970.
        created_ms: i64,
        /// What was asked for.
        request: Box<MergeRequest>,
        /// What deciding it needs.
        view: MergeView,
    },
    /// Another commit as the head.
    Reset {
        /// The commit that becomes the head.
        to: ResetTo,
        /// Levels of what it contains.
        levels: Vec<Level>,
    },
    /// The end of the branch.
    DeleteBranch,
    /// An end of what is known of producers that have come no further than this.
    Forget(Vec<Producer>),
    /// An exchange of levels.
    Fold {
        /// The levels, newest first: run and as-of index of each.
        levels: Vec<(RunId, u16)>,
        /// Whether they must be the bottom of the stack.
        bottom: bool,
        /// What replaces them.
        with: Arc<RunRef>,
    },
}

/// What deciding a merge needs besides its request.
#[derive(Debug, Clone)]
pub struct MergeView {
    /// The records it brings in the op: all changes of a small merge, else what goes on top of its
    /// run.
    pub records: Vec<Record>,
    /// The run it brings.
    pub run: Option<Arc<RunRef>>,
    /// For a merge of many changes: those whose paths have changed between the head it was worked
    /// out against and the present one; `None` when they are too many.
    pub crossings: Option<Vec<Crossing>>,
    /// The base, by the history of the present head; `None` when there is none any more.
    pub base: Option<CommitId>,
    /// The source's generation; 0 without a source.
    pub source_generation: u64,
}

/// What paths name, before the batch.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    /// At the head.
    pub head: HashMap<ObjectPath, Option<Entry>>,
    /// At the base of an op.
    pub bases: HashMap<(CommitId, ObjectPath), Option<Entry>>,
}

/// A batch, ready to be decided.
#[derive(Debug)]
pub struct Situation {
    /// The ops, in ticket order.
    pub ops: Vec<Prepared>,
    /// Rows of the producers among them.
    pub producers: BTreeMap<String, ProducerRow>,
    /// What the ops with conditions or a base need to know.
    pub lookups: Lookups,
    /// What the head has come to contain since the merges among them were worked out.
    pub contained: Contained,
}

/// Where a branch's things are.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The branch as Redis has it.
    pub redis: &'a RedisBranch,
    /// The repository, as the object store has it.
    pub lake: &'a Lake,
}
