//! A metarange: a short stack of runs, newest first, that names the whole content of a commit.
//! Data only.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::run::RunRef;
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, MetarangeId, RunId, Ticket, first_16};

/// The [`Level::as_of`] under which every record of a run is visible.
pub const ALL: u16 = u16::MAX;
/// The most levels of a metarange: a lookup asks each of them at the worst.
pub const MAX_LEVELS: usize = 16;

/// A run as it was after one of the ops of its batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The run of the level.
    #[serde(with = "shared_run")]
    pub run: Arc<RunRef>,
    /// Records with a larger op are invisible.
    pub as_of: u16,
    /// Where it took the place of other levels with the same content, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded_at: Option<FoldedAt>,
}

/// The log entry at which a level took the place of others. The entry still lists those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldedAt {
    /// The branch incarnation whose log holds the entry.
    pub uid: BranchUid,
    /// First ticket of the entry's batch.
    pub first: Ticket,
}

impl Level {
    /// The whole of `run`.
    pub fn all(run: Arc<RunRef>) -> Self {
        Self::as_of(run, ALL)
    }

    /// `run` as it was after op `as_of`.
    pub fn as_of(run: Arc<RunRef>, as_of: u16) -> Self {
        Self { run, as_of, folded_at: None }
    }

    /// Whether both show the same records.
    pub fn same_content(&self, other: &Self) -> bool {
        self.run.id == other.run.id && self.as_of == other.as_of
    }
}

/// The content of a commit: a path has what the first level says that knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metarange {
    /// The levels, newest first, at most [`MAX_LEVELS`].
    #[serde(default)]
    pub levels: Vec<Level>,
}

impl Metarange {
    /// The content hash of the stack. Metaranges of equal ids have equal content, not the other way
    /// around: the same content can be stacked in several ways.
    pub fn id(&self) -> MetarangeId {
        StackHash::over(&self.levels).id()
    }

    /// Fails when the stack is higher than [`MAX_LEVELS`].
    pub fn check(&self) -> Result<()> {
        if self.levels.len() > MAX_LEVELS {
            return Err(Error::internal(format!(
                "a metarange of {} levels is over the limit of {MAX_LEVELS}",
                self.levels.len()
            )));
        }
        Ok(())
    }
}

/// The hash of a stack, to which one level more can be added at the price of hashing that level:
/// the commits of a batch differ in their top level only.
#[derive(Debug, Clone)]
pub struct StackHash(blake3::Hasher);

impl StackHash {
    /// The hash of `levels`, newest first.
    pub fn over(levels: &[Level]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 metarange");
        // From the bottom, so that a new level is an addition at the end.
        for level in levels.iter().rev() {
            add(&mut hasher, level.run.id, level.as_of);
        }
        Self(hasher)
    }

    /// The id of the metarange with `run` as of `as_of` on top of the stack.
    pub fn id_with_top(&self, run: RunId, as_of: u16) -> MetarangeId {
        let mut hasher = self.0.clone();
        add(&mut hasher, run, as_of);
        Self(hasher).id()
    }

    /// The id of the metarange that is the stack.
    pub fn id(&self) -> MetarangeId {
        MetarangeId(first_16(&self.0.finalize()))
    }
}

fn add(hasher: &mut blake3::Hasher, run: RunId, as_of: u16) {
    hasher.update(&run.0);
    hasher.update(&as_of.to_le_bytes());
}

/// A shared run is written as the run itself.
mod shared_run {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::RunRef;

    pub(super) fn serialize<S: Serializer>(
        run: &Arc<RunRef>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        RunRef::serialize(run, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<RunRef>, D::Error> {
        RunRef::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::RunPlace;
    use super::*;

    fn level(no: u8, as_of: u16) -> Level {
        let place = RunPlace::Ranges(Vec::new());
        let id = RunId([no; 16]);
        let run = RunRef { id, records: 0, deletes: 0, bytes: 0, conditions: false, place };
        Level::as_of(Arc::new(run), as_of)
    }

    #[test]
    fn the_id_depends_on_runs_order_and_as_of() {
        let stack = Metarange { levels: vec![level(1, 4), level(2, ALL)] };
        let lower = StackHash::over(&stack.levels[1..]);
        assert_eq!(lower.id_with_top(RunId([1; 16]), 4), stack.id());
        assert_ne!(lower.id_with_top(RunId([1; 16]), 5), stack.id());
        let swapped = Metarange { levels: vec![level(2, ALL), level(1, 4)] };
        assert_ne!(swapped.id(), stack.id());
        assert_ne!(Metarange::default().id(), stack.id());
        let packed = rmp_serde::to_vec_named(&stack).unwrap();
        assert_eq!(rmp_serde::from_slice::<Metarange>(&packed).unwrap(), stack);
    }
}
