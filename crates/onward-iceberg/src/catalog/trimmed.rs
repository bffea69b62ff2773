//! Snapshots that a table has no more: whether a commit has landed already is told by the table while it has the
//! snapshot, and by the log of the branch behind that, as every commit there names those that it is made of.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use onward::history::LogRequest;

use super::asked::Asked;
use super::error::{CatalogError, Kind, Result};
use super::loaded::Loaded;
use super::prepare::{Judged, Site};
use super::round::{CHANGES, TABLE, is_of_several, names};

/// Commits of the log that are looked at.
const COMMITS_MAX: usize = 5_000;
/// How long they are looked at.
const LENGTH_MAX: Duration = Duration::from_secs(5);

/// A commit that is looked for in the log.
struct Sought {
    /// What it adds, as far as it was not found yet.
    missing: HashSet<i64>,
    /// What it is made on.
    bases: Vec<i64>,
    answer: Answer,
    /// Whether it may be in what was looked at without being told: under another name of the table, or cut off.
    is_doubtful: bool,
    /// Whether nothing older would say more.
    is_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Landed,
    NotLanded,
    NotSaid,
}

/// What a commit of the branch says of tables.
struct Words {
    snapshots: HashSet<i64>,
    is_of_this: bool,
    /// Whether there were more words of what may be this table.
    is_cut: bool,
}

impl Sought {
    fn of(asked: &Asked) -> Self {
        Self {
            missing: asked.who.snapshots.iter().copied().collect(),
            bases: asked.commit.bases().collect(),
            answer: Answer::NotSaid,
            is_doubtful: false,
            is_over: false,
        }
    }

    /// Takes in what the next older commit says.
    fn hears(&mut self, words: &Words) {
        if self.is_over {
            return;
        }
        self.is_doubtful |= words.is_cut;
        if words.is_of_this {
            self.missing.retain(|id| !words.snapshots.contains(id));
        } else {
            self.is_doubtful |= self.missing.iter().any(|id| words.snapshots.contains(id));
        }
        if self.missing.is_empty() {
            (self.answer, self.is_over) = (Answer::Landed, true);
        } else if words.is_of_this && self.bases.iter().any(|id| words.snapshots.contains(id)) {
            // What it is made on was not there before, so neither was it.
            self.ends();
        }
    }

    /// Nothing older can have it.
    fn ends(&mut self) {
        if !self.is_over && !self.is_doubtful {
            self.answer = Answer::NotLanded;
        }
        self.is_over = true;
    }

    fn is_through(&self) -> bool {
        self.is_over
    }
}

impl Site {
    /// What can be said of commits that the table shows nothing of. What one adds may have been there and gone only
    /// where what it was made on is gone, too, so that the log is hardly ever asked; and once for all of them, back
    /// to what each was made on.
    pub(super) async fn judge_trimmed(
        &self,
        head: &Arc<Loaded>,
        asked: &[&Asked],
        judged: &mut [Option<Judged>],
    ) {
        let open: Vec<(&Asked, &mut Option<Judged>)> = asked
            .iter()
            .copied()
            .zip(judged)
            .filter(|(asked, judged)| judged.is_none() && !asked.commit.begins_on(&head.metadata))
            .collect();
        if open.is_empty() {
            return;
        }
        let mut sought: Vec<Sought> = open.iter().map(|(asked, _)| Sought::of(asked)).collect();
        // What was found by then counts.
        let looked = tokio::time::timeout(LENGTH_MAX, self.look_in_log(&mut sought)).await;
        if let Ok(Err(error)) = looked {
            tracing::debug!(%error, "the log does not say whether commits have landed");
        }
        for ((_, judged), sought) in open.into_iter().zip(sought) {
            *judged = match sought.answer {
                Answer::Landed => Some(Judged::Known(Arc::clone(head))),
                Answer::NotLanded => None,
                Answer::NotSaid => Some(Judged::Refused(not_said())),
            };
        }
    }

    /// Looks for commits in the log, newest first. Whose clock a commit has its time by is not known, so that times
    /// end nothing.
    async fn look_in_log(&self, sought: &mut [Sought]) -> Result<()> {
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let ident = self.ident.to_string();
        let mut log = self.place.log(&request).await?;
        for _ in 0..COMMITS_MAX {
            let Some(info) = log.try_next().await? else {
                sought.iter_mut().for_each(Sought::ends);
                return Ok(());
            };
            let said = |key: &str| info.commit.metadata.get(key).map_or("", String::as_str);
            let (snapshots, is_cut) = names(said(CHANGES));
            let is_of_this = said(TABLE) == ident;
            let words = Words {
                snapshots: snapshots.collect(),
                is_of_this,
                is_cut: is_cut && (is_of_this || is_of_several(said(TABLE))),
            };
            sought.iter_mut().for_each(|one| one.hears(&words));
            if sought.iter().all(Sought::is_through) {
                break;
            }
        }
        Ok(())
    }
}

fn not_said() -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        "the snapshot that this commit was made on is not there any more, and the log of the branch does not say whether it has landed: load the table",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought() -> Sought {
        Sought {
            missing: HashSet::from([7, 8]),
            bases: vec![5],
            answer: Answer::NotSaid,
            is_doubtful: false,
            is_over: false,
        }
    }

    fn words(snapshots: &[i64], is_of_this: bool, is_cut: bool) -> Words {
        Words { snapshots: snapshots.iter().copied().collect(), is_of_this, is_cut }
    }

    #[test]
    fn the_log_is_believed_as_far_as_it_tells() {
        use Answer::{Landed, NotLanded, NotSaid};
        let cases: [(&[Words], Answer, bool); 8] = [
            (&[words(&[9], true, false), words(&[7, 8], true, false)], Landed, true),
            (&[words(&[7], true, false), words(&[8, 5], true, false)], Landed, true),
            // Back to what it is made on.
            (&[words(&[9], true, false), words(&[5], true, false)], NotLanded, true),
            (&[words(&[5], false, false)], NotSaid, false),
            (&[words(&[9], true, false)], NotSaid, false),
            // In another table, or one that had this name's place before.
            (&[words(&[7], false, false), words(&[5], true, false)], NotSaid, true),
            // More was said than is there.
            (&[words(&[9], true, true), words(&[5], true, false)], NotSaid, true),
            (&[words(&[9], true, true), words(&[7, 8], true, false)], Landed, true),
        ];
        for (at, (log, answer, is_through)) in cases.iter().enumerate() {
            let mut sought = sought();
            log.iter().for_each(|words| sought.hears(words));
            assert!(sought.answer == *answer && sought.is_through() == *is_through, "case {at}");
            sought.ends();
            assert!(sought.answer == if *is_through { *answer } else { NotLanded }, "case {at}");
        }
    }
}
