//! What the log of a branch says of commits that the table itself shows nothing of: every commit there names its table
//! and the snapshots that it is made of.
//!
//! It is asked where a snapshot may have landed and gone: what it was made on is gone from the table, or the table is
//! another one than that, or none has the name any more. A name may have been that of several tables, which are told
//! apart by their uuids; a request is repeated to the name that it was sent to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use onward::{CommitId, ErrorKind, RefExpr};

use super::asked::Asked;
use super::entry::Pointer;
use super::error::{CatalogError, Kind, Result};
use super::fate::{Answer, Question, Sought, Words};
use super::learned::Learned;
use super::loaded::Loaded;
use super::prepare::{Judged, Site, elsewhere};
use super::walked::{Next, Said};
use super::words::is_of_several;

/// How much of a log is read at a time: others of the table have their turn in between.
const PIECE: Amount = Amount { commits: 5000, length: Duration::from_millis(500) };
/// How many such pieces are read for a commit; who asks again goes on where that ended.
pub(super) const PIECES_MAX: usize = 20;
/// How much is read for a commit that is stale, of whose base the table has all.
const GLANCE: Amount = Amount { commits: 128, length: Duration::from_millis(500) };
/// Commits of which the table is looked at as it was then.
const TABLES_MAX: usize = 64;

/// How much of a log is read.
#[derive(Clone, Copy)]
struct Amount {
    commits: usize,
    length: Duration,
}

impl Site {
    /// What can be said of commits without their requirements, by the table, or by its not being there, and by the log
    /// where that is needed: once for all of them, back to what each was made on.
    pub(super) async fn judge_known(
        &self,
        head: Option<&Arc<Loaded>>,
        asked: &[&Asked],
        learned: &mut Learned,
    ) -> Result<Vec<Option<Judged>>> {
        let mut judged = Vec::with_capacity(asked.len());
        let mut open = Vec::new();
        for (at, asked) in asked.iter().enumerate() {
            let mut found = self.judge_alone(head, asked);
            if found.is_none() {
                match self.may_have_gone(head, asked).await {
                    Ok(true) => open.push((at, *asked)),
                    Ok(false) => found = self.not_landed_before(head, asked, None),
                    Err(error) => found = Some(Judged::Refused(error)),
                }
            }
            judged.push(found);
        }
        let open = self.judge_by_list(head, open, &mut judged, learned).await;
        if open.is_empty() {
            return Ok(judged);
        }
        let mut sought: Vec<Sought> = open.iter().map(|(_, asked)| sought(asked)).collect();
        let is_through = self.look(&mut sought, PIECE, learned).await;
        for ((at, asked), sought) in open.into_iter().zip(sought) {
            let found = match sought.answer {
                Answer::Landed(uuid) => Some(landed_in(head, uuid)),
                Answer::NotLanded(uuid) => self.not_landed_before(head, asked, uuid.as_deref()),
                Answer::NotSaid if is_through || asked.pieces + 1 >= PIECES_MAX => {
                    Some(Judged::Refused(not_said()))
                }
                Answer::NotSaid => Some(Judged::Sought),
            };
            if let Some(place) = judged.get_mut(at) {
                *place = found;
            }
        }
        Ok(judged)
    }

    /// Commits that are to be told that others were first, though the table has what they are made on: what landed and
    /// was taken back, by a revert or a merge, is in the log alone.
    pub(super) async fn judge_stale(
        &self,
        head: &Arc<Loaded>,
        open: &[&Asked],
        judged: &mut [Judged],
        learned: &mut Learned,
    ) {
        let is_told = |judged: &Judged| match judged {
            Judged::Stale(_) => true,
            Judged::Refused(error) => error.kind == Kind::BadRequest,
            _ => false,
        };
        let told = judged.iter_mut().zip(open).filter(|(judged, asked)| {
            is_told(judged) && !asked.creates() && !asked.who.snapshots.is_empty()
        });
        let (told, mut sought): (Vec<_>, Vec<_>) =
            told.map(|(judged, asked)| (judged, sought(asked))).unzip();
        if told.is_empty() {
            return;
        }
        self.look(&mut sought, GLANCE, learned).await;
        for (judged, sought) in told.into_iter().zip(sought) {
            if let Answer::Landed(uuid) = sought.answer {
                *judged = landed_in(Some(head), uuid);
            }
        }
    }

    /// Whether a commit may have landed, though the table shows nothing of it: what it adds may be gone only where
    /// what it was made on is, too.
    async fn may_have_gone(&self, head: Option<&Arc<Loaded>>, asked: &Asked) -> Result<bool> {
        if asked.creates() {
            // Whoever made it has written its metadata first.
            let Some((uuid, location)) = asked.makes().zip(asked.location()) else {
                return Ok(false);
            };
            return self.place.warehouse.has_first(location, uuid).await;
        }
        Ok(match head {
            Some(head) if !asked.is_of_another(&head.pointer.uuid) => {
                !asked.commit.begins_on(&head.metadata)
            }
            _ => !asked.who.snapshots.is_empty(),
        })
    }

    /// What is said of a commit that has not landed before, and was made on what the table of a uuid had; nothing
    /// where it is to be judged by its requirements.
    fn not_landed_before(
        &self,
        head: Option<&Arc<Loaded>>,
        asked: &Asked,
        base: Option<&str>,
    ) -> Option<Judged> {
        let refused = match head.map(|head| &head.pointer.uuid) {
            None if asked.creates() => return None,
            None => self.ident.absent(),
            Some(_) if asked.creates() => self.ident.present_already(),
            Some(uuid) if asked.is_of_another(uuid) => CatalogError::commit_failed(format!(
                "Requirement failed: UUID does not match: {} was dropped and made anew, its uuid is {uuid}",
                self.ident
            )),
            Some(uuid) if base.is_some_and(|base| !uuid.eq_ignore_ascii_case(base)) => {
                CatalogError::commit_failed(format!(
                    "Requirement failed: it was made on a snapshot of another table that was {} before, which was renamed or dropped since",
                    self.ident
                ))
            }
            Some(_) => return None,
        };
        Some(Judged::Refused(refused))
    }

    /// Looks for commits in the log, newest first. Whose clock a commit has its time by is not known, so that times
    /// end nothing. Returns whether there is no more to be read of it for now; what was found by then counts.
    async fn look(&self, sought: &mut [Sought], most: Amount, learned: &mut Learned) -> bool {
        let looked = self.look_in_log(sought, most.commits, learned);
        match tokio::time::timeout(most.length, looked).await {
            Ok(Ok(is_through)) => is_through,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the log does not say whether commits have landed");
                true
            }
            Err(_) => false,
        }
    }

    async fn look_in_log(
        &self,
        sought: &mut [Sought],
        most: usize,
        learned: &mut Learned,
    ) -> Result<bool> {
        let walked = self.shared.logs.of(&self.place.prefix());
        let mut walked = walked.lock().await;
        let head = self.place.head().await?;
        let known = |one: &mut Sought, learned: &Learned, from: Option<CommitId>| {
            let answer = from.and_then(|from| learned.in_log(&self.path, &one.question, from));
            if let Some(answer) = answer.filter(|_| one.is_fresh()) {
                one.takes(answer);
            }
        };
        sought.iter_mut().for_each(|one| known(one, learned, head));
        let mut reading = walked.reading(&self.place.repo, head, most, &self.shared.measured);
        let (mut tables, mut is_through) = (0, true);
        while sought.iter().any(|one| !one.is_over) {
            match reading.next().await? {
                Next::Said(said) => self.hear(&said, sought, &mut tables).await,
                Next::Kept(met) => sought.iter_mut().for_each(|one| known(one, learned, Some(met))),
                Next::End => sought.iter_mut().for_each(|one| one.ends(None)),
                Next::Full => break,
                Next::Enough => {
                    is_through = false;
                    break;
                }
            }
        }
        if let Some(head) = head {
            let over = sought.iter().filter(|one| one.is_over);
            over.for_each(|one| learned.keep_answer(&self.path, &one.question, head, &one.answer));
        }
        Ok(is_through)
    }

    /// Takes in what a commit says, where it is about the table.
    async fn hear(&self, said: &Said, sought: &mut [Sought], tables: &mut usize) {
        let has_name = self.name == *said.table;
        let of = said.uuid.as_deref();
        let is_about = has_name
            || is_of_several(&said.table)
            || sought.iter().any(|one| !one.is_over && one.is_of(false, of));
        if !is_about {
            return;
        }
        let words = self.words(said, sought, tables).await;
        sought.iter_mut().for_each(|one| one.hears(&words));
    }

    /// What a commit says of the table. Where its words may be cut, or are of several tables, and where they say no
    /// uuid, the table is looked at as it was then.
    async fn words(&self, said: &Said, sought: &[Sought], tables: &mut usize) -> Words {
        let mut words = Words {
            snapshots: said.snapshots.iter().copied().collect(),
            has_name: self.name == *said.table,
            uuid: said.uuid.as_deref().map(str::to_owned),
            makes: said.makes,
            is_doubtful: false,
        };
        let is_of_several = !words.has_name && is_of_several(&said.table);
        let is_wanted = sought.iter().any(|one| one.wants(&words.snapshots));
        let (is_cut, is_unclear) = (said.is_cut, is_of_several || said.is_cut);
        let is_enough = words.uuid.is_some() && !is_unclear;
        if is_enough || !(words.has_name || is_of_several) || !(is_wanted || is_cut || words.makes)
        {
            return words;
        }
        *tables += 1;
        let there = match *tables > TABLES_MAX {
            true => Err(not_said()),
            false => self.at(said.id).await,
        };
        match there {
            Err(error) => {
                tracing::debug!(%error, "what a table was at a commit is not known");
                words.is_doubtful = true;
            }
            // It was of others.
            Ok(None) => words = Words::default(),
            Ok(Some(then)) => {
                words.has_name = true;
                words.uuid = Some(then.pointer.uuid.to_ascii_lowercase());
                if is_unclear {
                    // What it brought is there still in that commit.
                    let wanted = sought.iter().flat_map(|one| one.missing.iter().copied());
                    let brought = |id: &i64| then.metadata.snapshot(*id).is_some();
                    let wanted: HashSet<i64> = wanted.collect();
                    words.snapshots.extend(wanted.iter().filter(|_| is_cut));
                    words.snapshots.retain(brought);
                }
            }
        }
        words
    }

    /// The table as it was at a commit.
    async fn at(&self, commit: CommitId) -> Result<Option<Arc<Loaded>>> {
        let at = RefExpr::plain(commit.to_string());
        let entry = match self.place.repo.stat(&at, &self.path).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let pointer = Pointer::of(&self.path, &entry)?;
        self.shared.kept.load(&self.place.warehouse, &pointer).await.map(Some)
    }
}

/// A commit, as it is looked for in a log.
fn sought(asked: &Asked) -> Sought {
    Sought::of(Question::of(asked))
}

/// What is said of a commit that has landed in the table of a uuid.
fn landed_in(head: Option<&Arc<Loaded>>, uuid: Option<String>) -> Judged {
    let Some(uuid) = uuid else { return Judged::Refused(not_said()) };
    match head {
        Some(head) if head.pointer.uuid.eq_ignore_ascii_case(&uuid) => {
            Judged::Known(Arc::clone(head))
        }
        _ => Judged::Refused(elsewhere(&uuid)),
    }
}

pub(super) fn not_said() -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        "the snapshot that this commit was made on is not there any more, and the log of the branch does not say whether it has landed: load the table",
    )
}
