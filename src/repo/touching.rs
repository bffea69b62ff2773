//! Which commits of a log entry touched some paths.
//!
//! What a commit changes against its first parent are the records that its op wrote: they stand in
//! the levels that its log entry has written, under the index of the op. Folds add levels as well,
//! and change nothing. So an entry whose written levels name none of the paths is passed over, and
//! only a commit with a record there is compared with what its parent had.

use std::collections::BTreeMap;

use crate::commit::log::entry::LogEntry;
use crate::commit::log::lake::Lake;
use crate::commit::log::levels::SpanLevel;
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;
use crate::tree::{Metarange, OpRecords, Stretch};

/// The paths that a history is asked about.
pub(super) struct Interest {
    stretches: Vec<Stretch>,
}

impl Interest {
    /// `None` when no path is given: every commit is wanted.
    pub(super) fn of(objects: &[ObjectPath], prefixes: &[String]) -> Option<Self> {
        let stretches: Vec<Stretch> = objects
            .iter()
            .map(Stretch::object)
            .chain(prefixes.iter().map(|prefix| Stretch::prefix(prefix)))
            .collect();
        Some(Self { stretches }).filter(|interest| !interest.stretches.is_empty())
    }
}

/// Where the ops of one log entry have records about the paths: level and stretch, by op.
pub(super) struct Touching {
    by_op: BTreeMap<u16, Vec<(usize, usize)>>,
}

impl Touching {
    /// Looks through the levels that `entry` has written.
    pub(super) async fn of(lake: &Lake, interest: &Interest, entry: &LogEntry) -> Result<Self> {
        let mut by_op: BTreeMap<u16, Vec<(usize, usize)>> = BTreeMap::new();
        for (level_no, span) in entry.levels.iter().enumerate().filter(|(_, span)| span.written) {
            for (stretch_no, stretch) in interest.stretches.iter().enumerate() {
                let run = &span.level.run;
                for op in lake.tree().ops_within(run, span.from, stretch).await? {
                    by_op.entry(op).or_default().push((level_no, stretch_no));
                }
            }
        }
        Ok(Self { by_op })
    }

    /// Whether the commit `id` of `entry` has other content at one of the paths than its first
    /// parent.
    pub(super) async fn is_touched(
        &self,
        lake: &Lake,
        interest: &Interest,
        entry: &LogEntry,
        id: &CommitId,
    ) -> Result<bool> {
        let Some(places) = self.by_op.get(&id.index()) else { return Ok(false) };
        let before = before(lake, entry, id).await?;
        let after = entry.metarange(id.index());
        for (level_no, stretch_no) in places {
            let level: Option<&SpanLevel> = entry.levels.get(*level_no);
            let (Some(span), Some(stretch)) = (level, interest.stretches.get(*stretch_no)) else {
                continue;
            };
            let records = OpRecords { op: id.index(), from: span.from };
            if lake.tree().is_news(&span.level.run, records, stretch, (&before, &after)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The content of the first parent; nothing, without one.
async fn before(lake: &Lake, entry: &LogEntry, id: &CommitId) -> Result<Metarange> {
    match entry.commit(id)?.parents.first() {
        None => Ok(Metarange::default()),
        Some(parent) if parent.uid() == entry.uid && parent.first_ticket() == entry.first => {
            Ok(entry.metarange(parent.index()))
        }
        Some(parent) => lake.metarange(parent).await,
    }
}
