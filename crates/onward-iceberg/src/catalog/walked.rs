//! What the log of a branch says of its tables, as far as it was read: each commit is read once, and not again for the
//! next who asks, nor for the next try.
//!
//! What is behind a commit never changes. So what was read is kept as stretches, each from one commit back along first
//! parents; the newest begins at the head, and where one reaches the next, the two become one. A branch that was reset
//! has another history: what its head does not lead to is forgotten.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use futures::stream::BoxStream;
use onward::history::{CommitInfo, LogRequest};
use onward::{CommitId, Repository};

use super::measured::Measured;
use super::words::{CHANGES, TABLE, UUID, makes, names};

/// Branches of whose logs something is kept.
const BRANCHES_MAX: usize = 4;
/// What is kept of one, in bytes: the words of some 150,000 commits with a snapshot each.
const BYTES_MAX: usize = 16 << 20;
/// Stretches that do not reach each other yet.
const STRETCHES_MAX: usize = 4;

/// What is given out before others have their turn on the thread.
const GIVEN_MAX: usize = 1024;

/// What a commit says of tables, in its own words.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) id: CommitId,
    /// The table that it names, or the tables.
    pub(super) table: Arc<str>,
    pub(super) uuid: Option<Arc<str>>,
    /// The snapshots that it names.
    pub(super) snapshots: Box<[i64]>,
    pub(super) makes: bool,
    /// Whether it may have said more.
    pub(super) is_cut: bool,
}

/// Commits along first parents, newest first.
#[derive(Debug)]
struct Stretch {
    /// The commit that it begins with.
    top: CommitId,
    /// The generation of that; none as long as nothing was read.
    generation: Option<u64>,
    /// Those that say something of tables.
    said: Vec<Arc<Said>>,
    /// The commit behind it; none where there is none.
    next: Option<CommitId>,
}

/// What is kept of a branch.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The newest first.
    stretches: Vec<Stretch>,
    /// Names and uuids, each in memory once.
    texts: HashSet<Arc<str>>,
    bytes: usize,
}

/// What is kept of a branch, for one at a time.
type Kept = Arc<tokio::sync::Mutex<Walked>>;

/// What is kept of branches, by what places have for a prefix: the last that was asked for first.
#[derive(Default)]
pub(super) struct Logs(Mutex<VecDeque<(String, Kept)>>);

impl Logs {
    /// What is kept of the branch of a place.
    pub(super) fn of(&self, prefix: &str) -> Kept {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|(of, _)| of == prefix).and_then(|at| all.remove(at));
        let (prefix, kept) = known.unwrap_or_else(|| (prefix.to_owned(), Kept::default()));
        all.push_front((prefix, Arc::clone(&kept)));
        all.truncate(BRANCHES_MAX);
        kept
    }
}

/// What comes next in a log.
pub(super) enum Next {
    /// A commit that says something of tables.
    Said(Arc<Said>),
    /// What is behind this commit, itself with it, was read before.
    Kept(CommitId),
    /// The log is at its end.
    End,
    /// As many commits were read as are read at a time.
    Enough,
    /// More cannot be kept.
    Full,
}

/// A walk through a log, from its head on.
pub(super) struct Reading<'a> {
    walked: &'a mut Walked,
    repo: &'a Repository,
    measured: &'a Measured,
    /// What was given out of the newest stretch.
    given: usize,
    log: Option<BoxStream<'static, onward::Result<CommitInfo>>>,
    /// Commits that may be read still.
    left: usize,
}

impl Walked {
    /// Goes through the log of a branch, whose head this is, and reads so many commits at most.
    pub(super) fn reading<'a>(
        &'a mut self,
        repo: &'a Repository,
        head: Option<CommitId>,
        most: usize,
        measured: &'a Measured,
    ) -> Reading<'a> {
        match head {
            None => self.forget_from(0),
            Some(head) => self.begins(head),
        }
        Reading { walked: self, repo, measured, given: 0, log: None, left: most }
    }

    fn begins(&mut self, head: CommitId) {
        // One of which nothing was read says nothing.
        self.stretches.retain(|stretch| stretch.generation.is_some());
        if let Some(at) = self.stretches.iter().position(|stretch| stretch.top == head) {
            self.stretches.drain(..at);
            self.count();
            return;
        }
        self.forget_from(STRETCHES_MAX - 1);
        let said = Vec::new();
        self.stretches.insert(0, Stretch { top: head, generation: None, said, next: Some(head) });
    }

    /// Forgets the stretches from this one on.
    fn forget_from(&mut self, nth: usize) {
        self.stretches.truncate(nth);
        self.count();
    }

    /// Counts what is kept, where some of it was forgotten.
    fn count(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        let said = self.stretches.iter().flat_map(|stretch| &stretch.said);
        let texts = self.texts.iter().map(|text| text.len());
        self.bytes = said.map(|said| said.bytes()).chain(texts).sum();
    }

    /// Forgets half of the oldest stretch, where that is not the one that is being read.
    fn makes_room(&mut self) -> bool {
        let [_, .., oldest] = self.stretches.as_mut_slice() else { return false };
        let half = oldest.said.len() / 2;
        match oldest.said.get(half).map(|said| said.id) {
            Some(first) => {
                oldest.next = Some(first);
                oldest.said.truncate(half);
                self.count();
            }
            None => self.forget_from(self.stretches.len() - 1),
        }
        true
    }

    /// Takes in the next commit of the newest stretch.
    fn take(&mut self, info: &CommitInfo) {
        let generation = info.commit.generation;
        // Behind a commit are those of smaller generations: what was not met by now is not met any more.
        let is_passed = |stretch: &Stretch| {
            stretch.generation.is_some_and(|top| top >= generation) && stretch.top != info.id
        };
        while self.stretches.get(1).is_some_and(is_passed) {
            drop(self.stretches.remove(1));
            self.count();
        }
        let said = self.understand(info);
        let Some(stretch) = self.stretches.first_mut() else { return };
        stretch.generation.get_or_insert(generation);
        stretch.next = info.commit.parents.first().copied();
        if let Some(said) = said {
            self.bytes += said.bytes();
            stretch.said.push(Arc::new(said));
        }
    }

    /// What a commit says of tables; none where that is nothing.
    fn understand(&mut self, info: &CommitInfo) -> Option<Said> {
        let said = |key: &str| info.commit.metadata.get(key).map(String::as_str);
        let table = self.text(said(TABLE)?);
        let uuid = said(UUID).map(|uuid| self.text(&uuid.to_ascii_lowercase()));
        let changes = said(CHANGES).unwrap_or_default();
        let (named, is_cut) = names(changes);
        let snapshots = named.collect();
        Some(Said { id: info.id, table, uuid, snapshots, makes: makes(changes), is_cut })
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.bytes += text.len();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// Where the newest stretch has reached the next one, the two are one; the commit at which they met.
    fn joins(&mut self) -> Option<CommitId> {
        let [stretch, behind, ..] = self.stretches.as_slice() else { return None };
        let met = stretch.next.filter(|next| *next == behind.top)?;
        let behind = self.stretches.remove(1);
        if let Some(stretch) = self.stretches.first_mut() {
            stretch.said.extend(behind.said);
            stretch.next = behind.next;
        }
        Some(met)
    }
}

impl Reading<'_> {
    pub(super) async fn next(&mut self) -> onward::Result<Next> {
        loop {
            let Some(stretch) = self.walked.stretches.first() else { return Ok(Next::End) };
            if let Some(said) = stretch.said.get(self.given) {
                self.given += 1;
                self.measured.hears();
                if self.given.is_multiple_of(GIVEN_MAX) {
                    tokio::task::yield_now().await;
                }
                return Ok(Next::Said(Arc::clone(said)));
            }
            let Some(next) = stretch.next else { return Ok(Next::End) };
            if let Some(met) = self.walked.joins() {
                self.log = None;
                return Ok(Next::Kept(met));
            }
            while self.walked.bytes >= BYTES_MAX {
                if !self.walked.makes_room() {
                    return Ok(Next::Full);
                }
            }
            if self.left == 0 {
                return Ok(Next::Enough);
            }
            let log = match self.log.take() {
                Some(log) => log,
                None => self.repo.log_from(vec![next], &of_the_branch()).await?,
            };
            let log = self.log.insert(log);
            let Some(info) = log.try_next().await? else { return Ok(Next::End) };
            self.left -= 1;
            self.measured.reads();
            self.walked.take(&info);
        }
    }
}

/// The commits of a branch, and not of what was merged into it.
fn of_the_branch() -> LogRequest {
    LogRequest { first_parent: true, ..LogRequest::default() }
}

impl Said {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of::<Arc<Self>>()
            + 2 * size_of::<usize>()
            + size_of_val(&*self.snapshots)
    }
}
