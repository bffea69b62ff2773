//! Producers: those who number their ops, so that each is decided once without a time limit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::ids::{CommitId, OpId};

/// The place of an op in its producer's sequence.
///
/// On one branch the same name, epoch and sequence is decided once, however often it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// The producer's name, 1 to 255 bytes.
    #[serde(rename = "producer")]
    pub name: String,
    /// Incarnation of the producer. A higher one fences all lower ones.
    pub epoch: u64,
    /// Number of the op under this epoch. Each must be higher than the last.
    pub sequence: u64,
}

impl Producer {
    /// The longest name, in bytes.
    pub const NAME_LEN_MAX: usize = 255;

    /// The most producers of one op.
    pub const PER_OP_MAX: usize = 256;

    /// The op of `sequence` under `epoch` of the producer `name`.
    pub fn new(name: impl Into<String>, epoch: u64, sequence: u64) -> Self {
        Self { name: name.into(), epoch, sequence }
    }

    /// Refuses a name that no producer can have.
    pub fn check_name(name: &str) -> Result<()> {
        let (len, max) = (name.len(), Self::NAME_LEN_MAX);
        if len == 0 || len > max {
            return Err(Error::invalid(format!(
                "a producer's name has 1 to {max} bytes, this one has {len}"
            )));
        }
        Ok(())
    }

    /// Refuses what no op can have as its producers: too many, or one of them twice.
    pub(crate) fn check_all(producers: &[Self]) -> Result<()> {
        let (count, max) = (producers.len(), Self::PER_OP_MAX);
        if count > max {
            return Err(Error::invalid(format!(
                "an op has {max} producers at most, and this one has {count}: commit for some of them after the others"
            )));
        }
        let mut names = BTreeSet::new();
        for Self { name, .. } in producers {
            Self::check_name(name)?;
            if !names.insert(name) {
                return Err(Error::invalid(format!(
                    "producer '{name}' is named twice: an op has one place in the sequence of each"
                )));
            }
        }
        Ok(())
    }

    /// The op id of this place where its submitter gives none: see [`OpId::of_producer`].
    pub fn op_id(&self) -> OpId {
        OpId::of_producer(&self.name, self.epoch, self.sequence)
    }

    /// The op id of an op of these producers where its submitter gives none: it follows from all their
    /// places, in whatever order they come. Of one it is [`Producer::op_id`].
    pub fn op_id_of(producers: &[Self]) -> OpId {
        OpId::of_places(producers.iter().map(Self::op_id).collect())
    }
}

/// What an op of a producer asked for, and how far the producer was decided then: it came too late.
/// Part of the record of such an op.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The place that was asked for.
    pub asked: Producer,
    /// The epoch decided last.
    pub epoch: u64,
    /// The sequence decided last under that epoch.
    pub sequence: u64,
}

impl Standing {
    /// Whether the sequence is behind, under an epoch that is still the last; else the epoch is.
    pub fn is_behind(&self) -> bool {
        self.asked.epoch >= self.epoch
    }

    /// Why the op comes to nothing, in words. `earlier_op` is the op that had the sequence, where it
    /// is known.
    pub fn reason(&self, earlier_op: Option<OpId>) -> String {
        let Producer { name, epoch, sequence } = &self.asked;
        let last = self.sequence;
        if !self.is_behind() {
            let moved_on = self.epoch;
            return format!(
                "producer '{name}' has moved on to epoch {moved_on}, and this is epoch {epoch}: a newer run of it took over, end this one"
            );
        }
        let behind = format!(
            "sequence {sequence} of producer '{name}' (epoch {epoch}) is not above the last one decided, {last}"
        );
        match earlier_op {
            Some(op_id) => format!("{behind}: op {op_id} had it, and this is another one"),
            None => format!(
                "{behind}, and no op is known (any more) to have had it: was it sent out of order?"
            ),
        }
    }
}

/// How far the ops of a producer are decided on a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastDecided {
    /// The epoch decided last.
    pub epoch: u64,
    /// The sequence decided last under that epoch.
    pub sequence: u64,
    /// The commit of that op, if it became one.
    pub commit: Option<CommitId>,
}
