//! The levels of a log entry: the stack of a branch during and after a batch, every level with the ops
//! that see it. Batches, large runs taken as they are, folds and resets are all told so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tree::{ALL, Level, Metarange, RunRef};

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

impl SpanLevel {
    /// Whether op `index` of the batch sees it. The `last` op sees what outlives the batch.
    pub fn is_seen(&self, index: u16, last: bool) -> bool {
        match last {
            true => self.until == ALL,
            false => self.from <= index && index < self.until,
        }
    }

    /// A level whose records carry the indexes of ops, from op `from` on.
    pub(in crate::commit) fn written(run: Arc<RunRef>, from: u16) -> Self {
        Self { level: Level::all(run), from, until: ALL, written: true, whole: false }
    }

    /// What large ops of the batch brought, from op `from` on.
    pub(in crate::commit) fn whole(run: Arc<RunRef>, from: u16) -> Self {
        Self { level: Level::all(run), from, until: ALL, written: true, whole: true }
    }

    /// A level of earlier batches, or a fold of such, from op `from` on.
    pub(in crate::commit) fn lasting(level: Level, from: u16) -> Self {
        Self { level, from, until: ALL, written: false, whole: true }
    }
}

/// The content of a branch after op `index` of the batch whose levels are given. The last op sees
/// every record of the batch, so its metarange is the one that later batches build on.
pub fn metarange_at(levels: &[SpanLevel], index: u16, last: bool) -> Metarange {
    let at_index = |span: &SpanLevel| Level {
        run: Arc::clone(&span.level.run),
        as_of: if span.written && !span.whole && !last { index } else { span.level.as_of },
        folded_at: span.level.folded_at,
    };
    Metarange {
        levels: levels.iter().filter(|span| span.is_seen(index, last)).map(at_index).collect(),
    }
}
