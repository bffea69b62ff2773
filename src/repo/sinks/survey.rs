//! Which branches a sink follows: found in the records of branches, which tell of those that have come and gone
//! between two looks, too.
//!
//! A record that is older than the newest one that was looked at, by more than [`SLACK_MS`], and not followed, was
//! settled by an earlier look. So what is remembered of branches that have ended stays small, however many there
//! were.

use std::collections::{BTreeMap, HashSet};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::model::error::Result;
use crate::model::ids::Ticket;
use crate::model::name::BranchName;
use crate::objects::layout;

use super::definition::Branches;
use super::follow::place_of;
use super::progress::{FOLLOWED_MAX, Finished, Followed, LeftOut, Progress, too_many};

/// How much older than another a record may be that became visible after it: 1 h.
pub const SLACK_MS: i64 = 3_600_000;

/// Records read at the same time, at most.
const READS: usize = 16;

/// One life of a branch, by the names of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: BranchName,
    pub(super) incarnation: u32,
    pub(super) recorded_ms: i64,
    pub(super) live: bool,
}

/// Every life of every branch that a sink is for. Costs a listing of all names that there ever were.
pub(super) async fn seen(lake: &Lake, branches: &Branches) -> Result<Vec<Seen>> {
    let mut found: BTreeMap<(BranchName, u32), (i64, bool)> = BTreeMap::new();
    let mut listed = lake.objects().list(&layout::branches_dir(lake.life()), None);
    while let Some(object) = listed.try_next().await? {
        let Some(key) = layout::parse_branch(&object.key) else { continue };
        if !branches.has(key.name.as_str()) {
            continue;
        }
        let (recorded_ms, deleted) =
            found.entry((key.name, key.incarnation)).or_insert((i64::MIN, false));
        match key.deleted {
            true => *deleted = true,
            false => *recorded_ms = object.modified_ms,
        }
    }
    let mut all: Vec<Seen> = Vec::with_capacity(found.len());
    // Newest life first, so that the first of a name is its newest.
    for ((name, incarnation), (recorded_ms, deleted)) in found.into_iter().rev() {
        let newest = all.last().is_none_or(|newer| newer.name != name);
        all.push(Seen { name, incarnation, recorded_ms, live: newest && !deleted });
    }
    all.reverse();
    Ok(all)
}

impl Followed {
    /// A branch from its beginning.
    pub(super) fn from_start(record: BranchRecord) -> Self {
        let BranchRecord { name, incarnation, uid, start, created_ms, .. } = record;
        let (entry, next) = (Ticket(1), Ticket(1));
        Self {
            name,
            incarnation,
            uid,
            start,
            created_ms,
            entry,
            next,
            announced: false,
            over: false,
            failing_since_ms: None,
        }
    }
}

impl LeftOut {
    fn is(&self, seen: &Seen) -> bool {
        self.name == seen.name && self.incarnation == seen.incarnation
    }
}

impl Progress {
    /// The lives that were not settled by an earlier look, and are not followed.
    pub(super) fn new_among<'a>(&self, seen: &'a [Seen]) -> Vec<&'a Seen> {
        let followed = self.followed.iter().map(|of| (&of.name, of.incarnation));
        let finished = self.finished.iter().map(|of| (&of.name, of.incarnation));
        let known: HashSet<_> = followed.chain(finished).collect();
        let settled = self.surveyed_ms.saturating_sub(SLACK_MS);
        let is_new = |seen: &&Seen| {
            seen.recorded_ms > settled && !known.contains(&(&seen.name, seen.incarnation))
        };
        seen.iter().filter(is_new).collect()
    }

    /// Whether this is left out for now.
    pub(super) fn leaves_out(&self, seen: &Seen) -> bool {
        self.left_out.iter().any(|left| left.is(seen))
    }

    /// Notes that all records up to the newest of these were looked at, and forgets what no look can take for new any
    /// more. What is left out stays new, for when it can be read.
    pub(super) fn note_survey(&mut self, seen: &[Seen]) {
        let newest = seen.iter().map(|seen| seen.recorded_ms).max().unwrap_or(i64::MIN);
        let left = seen.iter().filter(|seen| self.leaves_out(seen)).map(|seen| seen.recorded_ms);
        let most = left.min().map_or(i64::MAX, |oldest| oldest + SLACK_MS - 1);
        self.surveyed_ms = self.surveyed_ms.max(newest.min(most));
        let settled = self.surveyed_ms.saturating_sub(SLACK_MS);
        self.finished.retain(|finished| finished.recorded_ms > settled);
        self.followed.sort_by(|a, b| (&a.name, a.incarnation).cmp(&(&b.name, b.incarnation)));
    }

    /// Notes that nothing of a branch is left to be delivered.
    pub fn finish(&mut self, name: &BranchName, incarnation: u32) {
        self.followed.retain(|of| of.name != *name || of.incarnation != incarnation);
        // When its record was written is told by the next look; until then it is taken for the newest.
        let recorded_ms = self.surveyed_ms;
        self.finished.push(Finished { name: name.clone(), incarnation, recorded_ms });
    }
}

/// Follows what is new, from its beginning, and notes what is over. Branches that lists leave out, for one
/// transaction each, are passed over.
pub(super) async fn survey(
    lake: &Lake,
    branches: &Branches,
    progress: &mut Progress,
) -> Result<()> {
    let seen = seen(lake, branches).await?;
    let live = seen.iter().filter(|seen| seen.live).map(|seen| (&seen.name, seen.incarnation));
    let live: HashSet<_> = live.collect();
    for followed in &mut progress.followed {
        followed.over = !live.contains(&(&followed.name, followed.incarnation));
    }
    let new = progress.new_among(&seen);
    let reads: Vec<_> = new
        .into_iter()
        .map(|seen| {
            let read = async move {
                match BranchRecord::read(lake, &seen.name, seen.incarnation).await {
                    // One that nobody can read now keeps no other from being followed.
                    Err(error) if !error.is_retryable() => {
                        tracing::warn!(%error, branch = %seen.name, "a sink cannot follow a branch");
                        Ok(Some((None, seen)))
                    }
                    read => read.map(|record| record.map(|record| (Some(record), seen))),
                }
            };
            read.boxed()
        })
        .collect();
    let records: Vec<Option<(Option<BranchRecord>, &Seen)>> =
        stream::iter(reads).buffered(READS).try_collect().await?;
    let (mut followed, mut left_out) = (Vec::new(), Vec::new());
    for (record, seen) in records.into_iter().flatten() {
        let left = progress.left_out.iter().find(|left| left.is(seen));
        let found = match record {
            Some(record) if record.hidden => {
                let Seen { name, incarnation, recorded_ms, .. } = seen.clone();
                progress.finished.push(Finished { name, incarnation, recorded_ms });
                continue;
            }
            Some(record) => {
                let start = Followed { over: !seen.live, ..Followed::from_start(record) };
                first_of(lake, start, left).await?
            }
            None => None,
        };
        match found {
            Some(found) if progress.followed.len() + followed.len() < FOLLOWED_MAX => {
                followed.push(found);
            }
            Some(_) => return Err(too_many()),
            None => {
                let (name, incarnation) = (seen.name.clone(), seen.incarnation);
                let new = LeftOut { name, incarnation, from: None };
                left_out.push(left.cloned().unwrap_or(new));
            }
        }
    }
    progress.followed.extend(followed);
    progress.left_out = left_out;
    progress.note_survey(&seen);
    Ok(())
}

/// Where a branch is followed from that is found: from its beginning, or, where it was left out before, from where it was
/// then. None where its log cannot be read as far as that takes.
async fn first_of(
    lake: &Lake,
    start: Followed,
    left: Option<&LeftOut>,
) -> Result<Option<Followed>> {
    let Some((_, next)) = left.and_then(|left| left.from).filter(|(uid, _)| *uid == start.uid)
    else {
        return Ok(Some(start));
    };
    match place_of(lake, &Followed { announced: true, ..start.clone() }, next).await {
        Err(error) if !error.is_retryable() => {
            tracing::warn!(%error, branch = %start.name, "a sink cannot follow a branch");
            Ok(None)
        }
        place => place.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, incarnation: u32, recorded_ms: i64) -> Seen {
        Seen { name: name.parse().unwrap(), incarnation, recorded_ms, live: true }
    }

    #[test]
    fn what_was_settled_is_never_taken_for_new_and_is_forgotten_in_time() {
        let mut progress = Progress { surveyed_ms: 10 * SLACK_MS, ..Progress::default() };
        let (old, young) = (seen("old", 1, 9 * SLACK_MS), seen("young", 1, 9 * SLACK_MS + 1));
        let both = [old, young];
        assert_eq!(progress.new_among(&both), [&both[1]]);
        progress.finish(&"young".parse().unwrap(), 1);
        assert!(progress.new_among(&both).is_empty());
        assert_eq!(progress.new_among(&[seen("young", 2, 9 * SLACK_MS + 1)]).len(), 1);
        // Another branch, much later: no look takes the first for new any more.
        progress.note_survey(&[seen("new", 1, 12 * SLACK_MS)]);
        assert!(progress.finished.is_empty());
        let unread = seen("unread", 1, 13 * SLACK_MS);
        let both_new = [unread.clone(), seen("later", 1, 20 * SLACK_MS)];
        let (name, incarnation) = (unread.name.clone(), unread.incarnation);
        progress.left_out.push(LeftOut { name, incarnation, from: None });
        progress.note_survey(&both_new);
        assert!(progress.new_among(&both_new).contains(&&unread), "it stays new");
        assert!(progress.new_among(&both).is_empty());
    }
}
