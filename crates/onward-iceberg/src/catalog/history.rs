//! What the log of a branch says of commits that the table itself shows nothing of: every commit there names its table
//! and the snapshots that it is made of.
//!
//! It is asked where a snapshot may have landed and gone: what it was made on is gone from the table, or the table is
//! another one than that, or none has the name any more. A name may have been that of several tables, which are told
//! apart by their uuids; a request is repeated to the name that it was sent to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use onward::ErrorKind;
use onward::RefExpr;
use onward::history::{CommitInfo, LogRequest};

use super::asked::Asked;
use super::entry::Pointer;
use super::error::{CatalogError, Kind, Result};
use super::loaded::Loaded;
use super::prepare::{Judged, Site, elsewhere};
use super::round::{CHANGES, TABLE, UUID, is_of_several, makes, names};

/// Commits of the log that are looked at.
const COMMITS_MAX: usize = 50_000;
/// How long they are looked at.
const LENGTH_MAX: Duration = Duration::from_secs(5);
/// Commits of which the table is looked at as it was then.
const TABLES_MAX: usize = 64;

/// A commit that is looked for in the log.
struct Sought {
    /// The table that it is about, or makes; none where it says no more than a name.
    uuid: Option<String>,
    /// Whether it makes the table.
    makes: bool,
    /// What it adds, as far as it was not found yet.
    missing: HashSet<i64>,
    /// What it is made on.
    bases: Vec<i64>,
    answer: Answer,
    /// Whether it may be in what was looked at without being told.
    is_doubtful: bool,
    /// Whether nothing older would say more.
    is_over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// In the table of this uuid.
    Landed(Option<String>),
    /// And what it is made on landed in the table of this uuid.
    NotLanded(Option<String>),
    NotSaid,
}

/// What a commit of the branch says of a table.
#[derive(Default)]
struct Words {
    /// Snapshots that came to the table with it.
    snapshots: HashSet<i64>,
    /// Whether the table had the name that is asked for.
    has_name: bool,
    uuid: Option<String>,
    /// Whether it made the table.
    makes: bool,
    /// Whether it may say more than was understood.
    is_doubtful: bool,
}

impl Sought {
    fn of(asked: &Asked) -> Self {
        let uuid = if asked.creates() { asked.makes() } else { asked.of_table() };
        Self {
            uuid: uuid.map(str::to_ascii_lowercase),
            makes: asked.creates(),
            missing: asked.who.snapshots.iter().copied().collect(),
            bases: asked.commit.bases().collect(),
            answer: Answer::NotSaid,
            is_doubtful: false,
            is_over: false,
        }
    }

    /// Whether snapshots are among those that it asks for.
    fn wants(&self, snapshots: &HashSet<i64>) -> bool {
        let mut wanted = self.missing.iter().chain(&self.bases);
        !self.is_over && wanted.any(|id| snapshots.contains(id))
    }

    /// Takes in what the next older commit says.
    fn hears(&mut self, words: &Words) {
        if self.is_over {
            return;
        }
        self.is_doubtful |= words.is_doubtful;
        let is_it = match &self.uuid {
            Some(uuid) => words.uuid.as_ref() == Some(uuid),
            None => words.has_name,
        };
        if !is_it {
            return;
        }
        if words.has_name {
            self.missing.retain(|id| !words.snapshots.contains(id));
            let has_landed = if self.makes { words.makes } else { self.missing.is_empty() };
            if has_landed {
                (self.answer, self.is_over) = (Answer::Landed(words.uuid.clone()), true);
                return;
            }
        }
        // What it is made on was not there before, so neither was it; and nothing of a table is before that was made.
        let has_base = self.bases.iter().any(|id| words.snapshots.contains(id));
        if has_base || (words.makes && self.uuid.is_some()) {
            self.ends(words.uuid.clone());
        }
    }

    /// Nothing older can have it.
    fn ends(&mut self, uuid: Option<String>) {
        if !self.is_over && !self.is_doubtful {
            self.answer = Answer::NotLanded(uuid);
        }
        self.is_over = true;
    }
}

impl Site {
    /// What can be said of commits without their requirements, by the table, or by its not being there, and by the log
    /// where that is needed: once for all of them, back to what each was made on.
    pub(super) async fn judge_known(
        &self,
        head: Option<&Arc<Loaded>>,
        asked: &[&Asked],
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
        let open = self.judge_by_list(head, open, &mut judged).await;
        let mut sought: Vec<Sought> = open.iter().map(|(_, asked)| Sought::of(asked)).collect();
        if open.is_empty() {
            return Ok(judged);
        }
        // What was found by then counts.
        let looked = tokio::time::timeout(LENGTH_MAX, self.look_in_log(&mut sought)).await;
        if let Ok(Err(error)) = looked {
            tracing::debug!(%error, "the log does not say whether commits have landed");
        }
        for ((at, asked), sought) in open.into_iter().zip(sought) {
            let found = match sought.answer {
                Answer::Landed(uuid) => Some(landed_in(head, uuid)),
                Answer::NotLanded(uuid) => self.not_landed_before(head, asked, uuid.as_deref()),
                Answer::NotSaid => Some(Judged::Refused(not_said())),
            };
            if let Some(place) = judged.get_mut(at) {
                *place = found;
            }
        }
        Ok(judged)
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
    /// end nothing.
    async fn look_in_log(&self, sought: &mut [Sought]) -> Result<()> {
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let mut log = self.place.log(&request).await?;
        let mut tables = 0;
        for _ in 0..COMMITS_MAX {
            let Some(info) = log.try_next().await? else {
                sought.iter_mut().for_each(|one| one.ends(None));
                return Ok(());
            };
            let words = self.words(&info, sought, &mut tables).await;
            sought.iter_mut().for_each(|one| one.hears(&words));
            if sought.iter().all(|one| one.is_over) {
                break;
            }
        }
        Ok(())
    }

    /// What a commit says of the table. Where its words may be cut, or are of several tables, and where they say no
    /// uuid, the table is looked at as it was then.
    async fn words(&self, info: &CommitInfo, sought: &[Sought], tables: &mut usize) -> Words {
        let said = |key: &str| info.commit.metadata.get(key).map_or("", String::as_str);
        let (table, changes) = (said(TABLE), said(CHANGES));
        let (named, is_cut) = names(changes);
        let mut words = Words {
            snapshots: named.collect(),
            has_name: table == self.ident.to_string(),
            uuid: info.commit.metadata.get(UUID).map(|uuid| uuid.to_ascii_lowercase()),
            makes: makes(changes),
            is_doubtful: false,
        };
        let is_of_several = !words.has_name && is_of_several(table);
        let is_wanted = sought.iter().any(|one| one.wants(&words.snapshots));
        let is_unclear = is_of_several || is_cut;
        let is_enough = words.uuid.is_some() && !is_unclear;
        if is_enough || !(words.has_name || is_of_several) || !(is_wanted || is_cut || words.makes)
        {
            return words;
        }
        *tables += 1;
        let there = match *tables > TABLES_MAX {
            true => Err(not_said()),
            false => self.at(info).await,
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
    async fn at(&self, info: &CommitInfo) -> Result<Option<Arc<Loaded>>> {
        let at = RefExpr::plain(info.id.to_string());
        let entry = match self.place.repo.stat(&at, &self.path).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let pointer = Pointer::of(&self.path, &entry)?;
        self.shared.kept.load(&self.place.warehouse, &pointer).await.map(Some)
    }
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

fn not_said() -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        "the snapshot that this commit was made on is not there any more, and the log of the branch does not say whether it has landed: load the table",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(uuid: Option<&str>) -> Sought {
        Sought {
            uuid: uuid.map(str::to_owned),
            makes: false,
            missing: HashSet::from([7, 8]),
            bases: vec![5],
            answer: Answer::NotSaid,
            is_doubtful: false,
            is_over: false,
        }
    }

    /// Of a table that has the name.
    fn words(uuid: &str, snapshots: &[i64]) -> Words {
        Words {
            snapshots: snapshots.iter().copied().collect(),
            has_name: true,
            uuid: Some(uuid.to_owned()),
            ..Words::default()
        }
    }

    fn elsewhere(uuid: &str, snapshots: &[i64]) -> Words {
        Words { has_name: false, ..words(uuid, snapshots) }
    }

    fn doubtful(uuid: &str, snapshots: &[i64]) -> Words {
        Words { is_doubtful: true, ..words(uuid, snapshots) }
    }

    fn made(uuid: &str) -> Words {
        Words { makes: true, ..words(uuid, &[]) }
    }

    #[test]
    fn the_log_is_believed_as_far_as_it_tells() {
        let landed = |uuid: &str| Answer::Landed(Some(uuid.to_owned()));
        let not_landed = |uuid: &str| Answer::NotLanded(Some(uuid.to_owned()));
        let open = || Answer::NotSaid;
        // Of one that says its uuid, and of one that does not.
        let cases: [(&[Words], Answer, Answer); 12] = [
            (&[words("u", &[9]), words("u", &[7, 8])], landed("u"), landed("u")),
            (&[words("u", &[7]), words("u", &[8, 5])], landed("u"), landed("u")),
            // Back to what it is made on.
            (&[words("u", &[9]), words("u", &[5])], not_landed("u"), not_landed("u")),
            (&[elsewhere("v", &[5])], open(), open()),
            (&[words("u", &[9])], open(), open()),
            // In a table that had the name before or since.
            (&[words("v", &[7, 8])], open(), landed("v")),
            (&[words("v", &[5])], open(), not_landed("v")),
            // What it is made on came to the table under another name.
            (&[elsewhere("u", &[5])], not_landed("u"), open()),
            (&[elsewhere("u", &[7, 8])], open(), open()),
            // More was said than is there.
            (&[doubtful("u", &[9]), words("u", &[5])], open(), open()),
            (&[doubtful("u", &[9]), words("u", &[7, 8])], landed("u"), landed("u")),
            // Nothing is before the table was made; but one of the same name may have been.
            (&[made("u")], not_landed("u"), open()),
        ];
        for (at, (log, with, without)) in cases.iter().enumerate() {
            for (uuid, answer) in [(Some("u"), with), (None, without)] {
                let mut sought = sought(uuid);
                log.iter().for_each(|words| sought.hears(words));
                assert_eq!(sought.answer, *answer, "case {at}, {uuid:?}");
            }
        }
        let mut at_its_end = sought(None);
        at_its_end.ends(None);
        assert_eq!(at_its_end.answer, Answer::NotLanded(None));
    }

    #[test]
    fn a_table_that_was_made_is_known_by_its_uuid() {
        for (log, answer) in [
            (made("u"), Answer::Landed(Some("u".to_owned()))),
            (made("v"), Answer::NotSaid),
            (words("u", &[7, 8]), Answer::NotSaid),
        ] {
            let mut sought = Sought { makes: true, ..sought(Some("u")) };
            sought.hears(&log);
            assert_eq!(sought.answer, answer);
        }
    }
}
