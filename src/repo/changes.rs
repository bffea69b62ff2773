//! Building a commit: changes, message, metadata, and how it is to be decided.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::clock::{self, Deadline, Stopwatch};
use crate::commit::accept::persist::persist;
use crate::commit::op::queued::Header;
use crate::commit::op::request::{Changes, CommitRequest, INLINE_MAX, Op, Request};
use crate::commit::round::situation::{VALIDATED_BYTES_MAX, VALIDATED_MAX};
use crate::coord::submit::{Seal, Submission};
use crate::model::address::RefExpr;
use crate::model::change::{Change, Condition, PathChange};
use crate::model::conflict::Strategy;
use crate::model::entry::Entry;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{Fingerprint, OpId};
use crate::model::outcome::Outcome;
use crate::model::path::ObjectPath;
use crate::model::producer::Producer;
use crate::tree::{ChangeSetWriter, ChangeSorter, LateTree, SmallMax, Tree, Twice};

use super::handles::Branch;
use super::named_lives::NamedLives;
use super::protection::Action;
use super::ticket::{TicketHandle, late, see_through};

/// Changes that may travel inside the op, at most; their bytes are limited too.
const INLINE_RECORDS_MAX: usize = 512;

/// A commit in the making. Mistakes in its parts are reported when it is submitted.
#[derive(Debug)]
#[must_use = "a change does nothing until it is committed or submitted"]
pub struct ChangeBuilder {
    branch: Branch,
    sorter: ChangeSorter,
    named_lives: NamedLives,
    /// Whether it commits what is staged instead of changes of its own.
    staged: bool,
    conditional: bool,
    message: String,
    metadata: BTreeMap<String, String>,
    committer: Option<String>,
    producers: Vec<Producer>,
    op_id: Option<OpId>,
    fingerprint: Option<Fingerprint>,
    /// Whether the caller gave the id, and so may have submitted the op before.
    named: bool,
    base: Option<RefExpr>,
    strategy: Strategy,
    allow_empty: bool,
    date_ms: Option<i64>,
    timeout: Option<Duration>,
    mistake: Option<Error>,
}

impl Branch {
    /// A commit of the changes it will be given. What is staged on the branch stays staged.
    pub fn change(&self) -> ChangeBuilder {
        ChangeBuilder::new(self.clone(), false)
    }

    /// A commit of everything that is staged on the branch, by whomever.
    pub fn commit_staged(&self) -> ChangeBuilder {
        ChangeBuilder::new(self.clone(), true)
    }
}

impl ChangeBuilder {
    fn new(branch: Branch, staged: bool) -> Self {
        let mut sorter = ChangeSorter::new(0);
        sorter.on_twice(Twice::Refused("change"));
        Self {
            branch,
            sorter,
            named_lives: NamedLives::default(),
            staged,
            conditional: false,
            message: String::new(),
            metadata: BTreeMap::new(),
            committer: None,
            producers: Vec::new(),
            op_id: None,
            fingerprint: None,
            named: false,
            base: None,
            strategy: Strategy::Fail,
            allow_empty: false,
            date_ms: None,
            timeout: None,
            mistake: None,
        }
    }

    /// The path names `entry` from this commit on.
    pub fn put(self, path: impl Into<String>, entry: Entry) -> Self {
        self.with(path.into(), Change::Put(entry), None)
    }

    /// The path names nothing from this commit on.
    pub fn delete(self, path: impl Into<String>) -> Self {
        self.with(path.into(), Change::Delete, None)
    }

    /// The same as [`ChangeBuilder::put`], on a condition that is checked when the op's turn
    /// comes.
    pub fn put_if(self, path: impl Into<String>, entry: Entry, condition: Condition) -> Self {
        self.with(path.into(), Change::Put(entry), Some(condition))
    }

    /// The same as [`ChangeBuilder::delete`], on a condition.
    pub fn delete_if(self, path: impl Into<String>, condition: Condition) -> Self {
        self.with(path.into(), Change::Delete, Some(condition))
    }

    fn with(mut self, path: String, change: Change, condition: Option<Condition>) -> Self {
        if self.mistake.is_none() {
            let added = ObjectPath::new(path)
                .and_then(|path| self.push(PathChange { path, change, condition }));
            self.mistake = added.err();
        }
        self
    }

    /// Adds one change. For many changes: memory is bounded, the rest goes to temporary files. A path
    /// that is named twice is a mistake, which is found when the commit is submitted: what the first
    /// change asks for, and its condition, would be lost in silence.
    pub fn push(&mut self, change: PathChange) -> Result<()> {
        self.push_numbered(self.sorter.pushed() + 1, change)
    }

    /// Adds the change that is in this line of a file: mistakes that are found later name it.
    pub fn push_line(&mut self, line: u64, change: PathChange) -> Result<()> {
        self.sorter.on_twice(Twice::Refused("line"));
        self.push_numbered(line, change)
    }

    /// Another one of the same branch, without anything.
    pub(super) fn empty(&self) -> Self {
        Self::new(self.branch.clone(), self.staged)
    }

    /// Of several changes of one path the last one counts.
    pub(super) fn last_wins(mut self) -> Self {
        self.sorter.on_twice(Twice::LastWins);
        self
    }

    /// How many paths it takes away, of which nobody will hear: the changes go no further.
    pub(super) async fn removals(self) -> Result<u64> {
        let count = move || {
            let mut removals = 0;
            for record in self.sorter.finish()? {
                removals += u64::from(record?.is_delete());
            }
            Ok(removals)
        };
        clock::on_other_thread(count).await?
    }

    fn push_numbered(&mut self, number: u64, change: PathChange) -> Result<()> {
        if self.staged {
            return Err(Error::invalid(
                "a commit of what is staged takes no changes of its own: stage them, or use change()",
            ));
        }
        if let Change::Put(entry) = &change.change {
            entry.check().map_err(|error| error.context(format!("path '{}'", change.path)))?;
        }
        self.named_lives.note(&self.branch.repo, &change.change)?;
        self.conditional |= change.condition.is_some();
        self.sorter.push_numbered(number, change)
    }

    /// The message of the commit: why it is made.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a key-value pair.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Who, if not the connection's committer.
    pub fn committer(mut self, committer: impl Into<String>) -> Self {
        self.committer = Some(committer.into());
        self
    }

    /// The op's place in its producer's sequence: the same (producer, epoch, sequence) is decided
    /// once, however often it is submitted. The same op again gets its outcome; another op, or one
    /// that comes behind a higher sequence, is [`Outcome::Behind`]; a lower epoch than one decided is
    /// [`Outcome::Fenced`]. A producer that starts again asks [`Branch::producer`] where it was.
    pub fn producer(mut self, producer: impl Into<String>, epoch: u64, sequence: u64) -> Self {
        self.producers = vec![Producer::new(producer, epoch, sequence)];
        self
    }

    /// The op's place in the sequence of each of several producers, at most
    /// [`Producer::PER_OP_MAX`], whose names take part in the limit on messages and metadata with 16
    /// bytes more each. All advance with this op, or none does: where any of them is behind or fenced,
    /// so is the op, and [`Outcome::standing`] says which; one that is fenced counts before one that is
    /// behind, and of several alike the first by name. Without changes the op is
    /// [`Outcome::NoChanges`], and its producers advance all the same: a new owner so raises their
    /// epochs, and fences whoever had them, before it writes anything.
    ///
    /// [`Branch::producers`] tells where they were.
    pub fn producers(mut self, producers: impl IntoIterator<Item = Producer>) -> Self {
        self.producers = producers.into_iter().collect();
        self.producers.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The op's id; submitting the same id again is the same op. By default a new one, or the one
    /// that follows from the producer's sequence.
    pub fn op_id(mut self, op_id: OpId) -> Self {
        self.op_id = Some(op_id);
        self.named = true;
        self
    }

    /// What tells this request from others under the same op id: one that was accepted with another
    /// fingerprint before is [`ErrorKind::OpIdReused`], instead of being told its outcome.
    #[doc(hidden)]
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// The commit the changes were made against: paths that have changed since are decided by
    /// the three-way rule and `strategy`.
    pub fn base(mut self, base: RefExpr) -> Self {
        self.base = Some(base);
        self
    }

    /// What happens to paths that were changed on both sides.
    pub fn on_conflict(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Whether a commit without changes is wanted.
    pub fn allow_empty(mut self, allow: bool) -> Self {
        self.allow_empty = allow;
        self
    }

    /// The date of the commit, milliseconds since the Unix epoch, if not the moment when it is
    /// submitted: of history that is brought over from elsewhere.
    pub fn date_ms(mut self, date_ms: i64) -> Self {
        self.date_ms = Some(date_ms);
        self
    }

    /// The id of the op, drawn for it: nothing was submitted under it before, so that it needs not be asked whether this
    /// is a repetition.
    #[doc(hidden)]
    pub fn drawn_op_id(mut self, op_id: OpId) -> Self {
        self.op_id = Some(op_id);
        self
    }

    /// How long [`ChangeBuilder::commit`] waits, if not the connection's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Submits the commit and waits for its outcome. The timeout covers both; what it costs to
    /// write many changes to the object store first counts as well. While Redis is away the same
    /// op is submitted again until the timeout.
    pub async fn commit(mut self) -> Result<Outcome> {
        let timeout = self.timeout.unwrap_or(self.branch.repo.onward.inner.timeout);
        let op_id = self.id();
        self.op_id = Some(op_id);
        let deadline = Deadline::after(timeout);
        let onward = self.branch.repo.onward.clone();
        // Pinned here: it is large, and each hand that it went through would copy it.
        let submission = pin!(self.submit_until(Some(deadline)));
        see_through(deadline, submission, || in_doubt(op_id, late(&onward))).await
    }

    fn id(&self) -> OpId {
        self.op_id.unwrap_or_else(|| match self.producers.as_slice() {
            [] => clock::new_op_id(),
            producers => Producer::op_id_of(producers),
        })
    }

    /// Submits the commit. Once this returns, the commit will be decided whatever happens to this
    /// process. Fails with [`ErrorKind::Forbidden`] on a branch that is protected from it, and with
    /// [`ErrorKind::InvalidInput`] where an entry names an object of an earlier life of the repository.
    pub async fn submit(self) -> Result<TicketHandle> {
        self.submit_until(None).await
    }

    async fn submit_until(self, deadline: Option<Deadline>) -> Result<TicketHandle> {
        Ok(self.submit_counted(deadline).await?.0)
    }

    /// As [`ChangeBuilder::submit`]; tells also how many paths it takes away.
    pub(super) async fn submit_counted(
        mut self,
        deadline: Option<Deadline>,
    ) -> Result<(TicketHandle, u64)> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        self.check()?;
        self.branch.check_protection(Action::Commit).await?;
        let op_id = self.id();
        let (branch, asked) = (self.branch.clone(), self.fingerprint);
        let named = self.named_lives.clone();
        let (submission, removals) = self.submission(op_id, deadline).await?;
        let handle = branch.submit(submission, asked, named, deadline).await;
        Ok((handle.map_err(|error| in_doubt(op_id, error))?, removals))
    }

    fn check(&self) -> Result<()> {
        Producer::check_all(&self.producers)?;
        let committer = self.branch.committer(self.committer.clone());
        let (message, metadata) = (self.message.as_str(), Some(&self.metadata));
        Header { committer: &committer, producers: &self.producers, message, metadata }.check()?;
        let validated = self.conditional || self.base.is_some();
        if validated && self.sorter.pushed() > VALIDATED_MAX {
            return Err(Error::invalid(format!(
                "{} changes with conditions or a base are over the limit of {VALIDATED_MAX} per commit: split it",
                self.sorter.pushed()
            )));
        }
        if validated && self.sorter.pushed_bytes() > VALIDATED_BYTES_MAX {
            return Err(Error::invalid(format!(
                "{} bytes of changes with conditions or a base are over the limit of {VALIDATED_BYTES_MAX} per commit: split it",
                self.sorter.pushed_bytes()
            )));
        }
        if self.staged && self.base.is_some() {
            return Err(Error::invalid(
                "a base goes with changes of one's own, not with what is staged",
            ));
        }
        Ok(())
    }

    /// The op, and how many paths it takes away.
    async fn submission(
        self,
        op_id: OpId,
        deadline: Option<Deadline>,
    ) -> Result<(Submission, u64)> {
        let (created_ms, begun) = (clock::now_ms(), Stopwatch::start());
        // That nothing is staged is no answer to an op that may be decided, or queued elsewhere,
        // without this Redis knowing of it: only the log can tell.
        let is_repeatable = self.named || !self.producers.is_empty();
        let seal = match (self.staged, self.allow_empty || is_repeatable) {
            (false, _) => Seal::No,
            (true, false) => Seal::Staged,
            (true, true) => Seal::StagedOrEmpty,
        };
        let base = match &self.base {
            None => None,
            Some(base) => {
                let repo = &self.branch.repo;
                let commit = Box::pin(persist(deadline, || repo.commit_of(base))).await?;
                Some(commit.ok_or_else(|| {
                    Error::invalid(format!("'{base}' has no commit yet to be a base"))
                })?)
            }
        };
        let (changes, removals) = match self.staged {
            true => (Changes::Sealed, 0),
            false => write_changes(&self.branch, self.sorter).await?,
        };
        let prepared_ms = match &changes {
            // By the clock that all share, as helpers compare it with what garbage collection may take.
            Changes::Run(_) => Some(self.branch.context().await?.redis.began_ms(begun).await?),
            Changes::Inline(_) | Changes::Sealed => None,
        };
        let producers = self.producers.clone();
        let op = Op {
            committer: self.branch.committer(self.committer),
            created_ms,
            prepared_ms,
            producers: self.producers,
            fingerprint: self.fingerprint,
            request: Request::Commit(CommitRequest {
                message: self.message,
                metadata: self.metadata,
                changes,
                base,
                strategy: self.strategy,
                allow_empty: self.allow_empty,
                date_ms: self.date_ms,
                staging_lost: false,
            }),
        };
        let branch = &self.branch;
        branch.check_acceptance(op_id, &op.committer, &op.request, is_repeatable, deadline).await?;
        let element = op.encode(op_id)?;
        let may_repeat = is_repeatable;
        Ok((Submission { op_id, element, producers, seal, may_repeat }, removals))
    }
}

/// A call whose reply did not come may have been carried out.
fn in_doubt(op_id: OpId, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable if error.is_refused() => {
            error.context(format!("op {op_id} was not accepted, and nothing was done"))
        }
        ErrorKind::Unavailable => error.context(format!(
            "submitting op {op_id} (in doubt submit it again under this id: it is never committed twice)"
        )),
        _ => error,
    }
}

/// Few changes travel in the op; many are written to the object store first. Tells also how many are
/// removals.
async fn write_changes(branch: &Branch, sorter: ChangeSorter) -> Result<(Changes, u64)> {
    let is_long = sorter.pushed() > INLINE_RECORDS_MAX as u64;
    let mut changes = ChangeSetWriter::new(branch, SmallMax::records(INLINE_RECORDS_MAX));
    // Sorting a spill takes a while: not on a thread that serves others.
    let sorted = match is_long {
        true => clock::on_other_thread(move || sorter.finish()).await??,
        false => sorter.finish()?,
    };
    let mut removals = 0;
    for record in sorted {
        let record = record?;
        removals += u64::from(record.is_delete());
        changes.push(record).await?;
    }
    Ok((changes.finish_encoded(INLINE_MAX).await?.into(), removals))
}

#[doc(hidden)]
impl LateTree for Branch {
    fn tree(&self) -> BoxFuture<'_, Result<Tree>> {
        // A run must lie where the branch is now: its repository may have been made again since.
        async move {
            let (life, _) = self.repo.live().await?;
            Ok(self.repo.onward.coordinator().lake(&life).tree().clone())
        }
        .boxed()
    }
}
