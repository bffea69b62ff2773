//! Commits that wait for one table, brought onto its head together.

use uuid::Uuid;

use super::draft::Draft;
use super::metadata::{APPENDS, COMMUTE};
use super::rebase::{Ahead, Lists, NotRebased, Rebase};
use super::{Commit, Failed, Invalid, Metadata, NotApplied, TableFiles, Update};

/// A commit that waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// What is asked.
    pub commit: &'a Commit,
    /// Whether its client says that its appends commute or that they do not, whatever the table says.
    pub commutes: Option<bool>,
    /// What was read of its files already.
    pub ahead: Option<&'a Ahead>,
}

/// When, and on top of what.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The present time, in ms of the epoch.
    pub now_ms: i64,
    /// Where the metadata of the head lies.
    pub head_location: &'a str,
    /// Makes the names of new manifest lists unlike all others.
    pub unique: Uuid,
    /// Manifest lists that were written lately.
    pub lists: &'a Lists,
}

/// How a commit landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As it was asked for: its requirements held.
    AsAsked,
    /// Its appends were brought onto what others had done meanwhile.
    Rebased,
    /// It had landed before.
    Known,
}

/// Why a commit did not land. Nothing of it is in the metadata.
#[derive(Debug)]
pub enum Refused {
    /// It is wrong (400).
    Invalid(Invalid),
    /// It is stale and cannot be rebased (409, or the door): why it is stale, and why it was not rebased.
    Stale {
        /// The requirement that does not hold.
        failed: Failed,
        /// Why its appends were not brought onto the head.
        not_rebasable: String,
    },
    /// Files that a rebase takes could not be read or written (503): the same commit may land later.
    Unavailable(std::io::Error),
}

/// What became of commits that waited.
#[derive(Debug)]
pub struct Landing {
    /// The metadata with all that landed; none where nothing did, or where the head says all of it already.
    pub metadata: Option<Metadata>,
    /// One for each commit, in their order.
    pub results: Vec<Result<How, Refused>>,
}

impl Landing {
    /// Whether all snapshots of a commit are in what came of it all, which is `head` where nothing did: of two that
    /// are the same, one may be known by the other, which then does not land.
    #[must_use]
    pub fn has(&self, commit: &Commit, head: &Metadata) -> bool {
        let now = self.metadata.as_ref().unwrap_or(head);
        commit.snapshot_ids().all(|id| now.snapshot(id).is_some())
    }
}

/// Brings commits onto `head`, one after the other, as one new metadata with one more line in its log. Those whose
/// requirements hold land as they are; stale appends are rebased where the table or their client says that appends
/// commute. Snapshots that nothing needs any more are taken out where the table asks for it
/// (`onward.expire-snapshots`).
///
/// What is returned is validated, and every manifest list that it names is written.
pub async fn land(
    head: &Metadata,
    waiting: &[Waiting<'_>],
    moment: &Moment<'_>,
    files: &dyn TableFiles,
) -> Landing {
    let mut attempt = Attempt::new(head, moment.now_ms);
    let mut rebase = Rebase::new(moment, files);
    let mut results = Vec::with_capacity(waiting.len());
    for one in waiting {
        results.push(attempt.one(one, &mut rebase).await);
    }
    if let Err(error) = rebase.write_all().await {
        let away =
            || Err(Refused::Unavailable(std::io::Error::new(error.kind(), error.to_string())));
        let kept = |result| if result_landed(&result) { away() } else { result };
        return Landing { metadata: None, results: results.into_iter().map(kept).collect() };
    }
    attempt.finish(moment.head_location, results)
}

fn result_landed(result: &Result<How, Refused>) -> bool {
    matches!(result, Ok(How::AsAsked | How::Rebased))
}

/// Commits landing one by one on a draft of the next metadata.
struct Attempt<'a> {
    head: &'a Metadata,
    now_ms: i64,
    draft: Draft,
    /// The updates of those that landed so far, in order.
    landed: Vec<Vec<Update>>,
}

impl<'a> Attempt<'a> {
    fn new(head: &'a Metadata, now_ms: i64) -> Self {
        Self { head, now_ms, draft: Draft::of(Some(head), now_ms), landed: Vec::new() }
    }

    async fn one(
        &mut self,
        waiting: &Waiting<'_>,
        rebase: &mut Rebase<'_>,
    ) -> Result<How, Refused> {
        let commit = waiting.commit;
        let mut ids = commit.snapshot_ids().peekable();
        if ids.peek().is_some() && ids.all(|id| self.draft.snapshot(id).is_some()) {
            return Ok(How::Known);
        }
        let failed = match self.as_asked(commit) {
            Ok(()) => return Ok(How::AsAsked),
            Err(NotApplied::Invalid(invalid)) => return Err(Refused::Invalid(invalid)),
            Err(NotApplied::Stale(failed)) => failed,
        };
        let stale = |not_rebasable| Refused::Stale { failed, not_rebasable };
        let by_table = self.draft.property(APPENDS) == Some(COMMUTE);
        let reason = match waiting.commutes {
            Some(false) => Some("its client does not want it"),
            None if !by_table => {
                Some("the table does not say that appends commute (onward.appends=commute)")
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(stale(reason.to_owned()));
        }
        let updates = match rebase.updates(commit, waiting.ahead, &self.draft).await {
            Ok(updates) => updates,
            Err(NotRebased::Not(reason)) => return Err(stale(reason)),
            Err(NotRebased::Unavailable(error)) => return Err(Refused::Unavailable(error)),
        };
        match self.apply(updates) {
            Ok(()) => Ok(How::Rebased),
            Err(error) => Err(stale(error.to_string())),
        }
    }

    fn as_asked(&mut self, commit: &Commit) -> Result<(), NotApplied> {
        let present = Some(self.draft.json());
        commit.requirements.iter().try_for_each(|requirement| requirement.holds(present))?;
        self.apply(commit.updates.clone())
    }

    /// Carries out the updates of a commit, or leaves no trace of them.
    fn apply(&mut self, updates: Vec<Update>) -> Result<(), NotApplied> {
        match self.draft.apply(&updates) {
            Ok(()) => {
                self.landed.push(updates);
                Ok(())
            }
            Err(error) => {
                self.draft = Draft::of(Some(self.head), self.now_ms);
                for updates in &self.landed {
                    self.draft.apply(updates)?;
                }
                Err(error)
            }
        }
    }

    fn finish(mut self, head_location: &str, results: Vec<Result<How, Refused>>) -> Landing {
        if self.landed.is_empty() || self.head.json().as_object() == Some(self.draft.json()) {
            return Landing { metadata: None, results };
        }
        let trimmed = self.draft.trim(self.head);
        match trimmed.and_then(|()| self.draft.finish(Some(head_location))) {
            Ok(metadata) => Landing { metadata: Some(metadata), results },
            Err(_) => one_by_one(self.head, self.now_ms, &self.landed, head_location, results),
        }
    }
}

/// Where what all commits make together is no metadata: those land that make some, up to the first that does not,
/// which is told why. Those behind it may stand on it, and are judged when they are sent again.
fn one_by_one(
    head: &Metadata,
    now_ms: i64,
    landed: &[Vec<Update>],
    head_location: &str,
    mut results: Vec<Result<How, Refused>>,
) -> Landing {
    let mut metadata = None;
    let mut places = results.iter_mut().filter(|result| result_landed(result));
    for (sound, place) in (1..).zip(&mut places) {
        let mut draft = Draft::of(Some(head), now_ms);
        let applied = landed.iter().take(sound).try_for_each(|updates| draft.apply(updates));
        match applied.and_then(|()| Ok(draft.finish(Some(head_location))?)) {
            Ok(made) => metadata = Some(made),
            Err(error) => {
                *place = Err(match error {
                    NotApplied::Invalid(invalid) => Refused::Invalid(invalid),
                    NotApplied::Stale(failed) => Refused::Stale {
                        failed,
                        not_rebasable: "with those before it it makes no metadata".to_owned(),
                    },
                });
                break;
            }
        }
    }
    for place in places {
        let message = "a commit before it was refused";
        *place = Err(Refused::Unavailable(std::io::Error::other(message)));
    }
    Landing { metadata, results }
}
