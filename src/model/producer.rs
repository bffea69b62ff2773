//! Producers: those who number their ops, so that each is decided once without a time limit.

use serde::{Deserialize, Serialize};

use super::ids::OpId;

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

    /// The op of `sequence` under `epoch` of the producer `name`.
    pub fn new(name: impl Into<String>, epoch: u64, sequence: u64) -> Self {
        Self { name: name.into(), epoch, sequence }
    }

    /// The op id of this place where its submitter gives none: see [`OpId::of_producer`].
    pub fn op_id(&self) -> OpId {
        OpId::of_producer(&self.name, self.epoch, self.sequence)
    }
}
