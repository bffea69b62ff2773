//! A branch: creating and showing it, submitting ops to it, and seeing its queue.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Deadline, Stopwatch};
use crate::commit::accept::admission::Admission;
use crate::commit::accept::persist::persist;
use crate::commit::accept::queue::BranchQueue;
use crate::commit::accept::submitting::Submitting;
use crate::commit::context::{BATCH_MAX, BranchContext};
use crate::commit::log::record::{BranchRecord, RepoRecord, RepoState, encode};
use crate::commit::mend::present::{Name, accepted, present};
use crate::commit::mend::restore::{open_new, read_back};
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::request::{Op, Request};
use crate::coord::HeadView;
use crate::coord::submit::{Seal, Submission};
use crate::model::address::RefExpr;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{CommitId, Fingerprint, OpId, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, TagName};
use crate::model::outcome::{Details, Outcome};
use crate::objects::{Created, layout};

use super::handles::Branch;
use super::named_lives::NamedLives;
use super::outcome::complete;
use super::place::Place;
use super::removal::require_live;
use super::standing::{self, LOOK_WAITS};
use super::ticket::{Again, HandleState, TicketHandle, same_request};

/// How long after its record a branch is in Redis, if its maker did not sleep over it: while he slept
/// others can have worked on it, ended it, and Redis have forgotten that.
const OPENED_SOON: Duration = Duration::from_secs(60);

/// The first incarnation of a name.
const FIRST: u32 = 1;

/// What there is to say of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchInfo {
    /// Name of the branch.
    pub name: BranchName,
    /// The head commit.
    pub commit: Option<CommitId>,
    /// Tickets decided so far.
    pub done: u64,
    /// Why head and tickets are not told, where lists would show them: the branch's record or its log is
    /// damaged, or of a newer program.
    pub damage: Option<String>,
}

impl BranchInfo {
    /// Of a branch that cannot be read.
    pub(super) fn damaged(name: BranchName, why: &Error) -> Self {
        Self { name, commit: None, done: 0, damage: Some(why.to_string()) }
    }
}

/// What a new branch is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewBranch {
    /// Whether lists leave it out unless they are asked for all: a branch for one transaction.
    pub hidden: bool,
}

/// A branch's queue at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueView {
    /// Tickets decided so far.
    pub done: u64,
    /// How many ops are waiting.
    pub depth: u64,
    /// Whether nobody had the turn to decide them. This look has helped them on.
    pub stood: bool,
    /// The first of them.
    pub ops: Vec<QueuedView>,
}

/// One waiting op.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueuedView {
    /// Its place in the order of the branch.
    pub ticket: Ticket,
    /// Id of the op that waits.
    pub op_id: OpId,
    /// What it asks for.
    pub kind: &'static str,
    /// Name of whoever asks for it.
    pub committer: String,
    /// When it was submitted, milliseconds since the Unix epoch.
    pub created_ms: i64,
}

impl QueuedView {
    /// How long ago it was submitted, milliseconds; never negative, as clocks differ.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.created_ms).max(0)
    }
}

fn exists(name: &BranchName, life: &RepoLife) -> Error {
    Error::conflict(format!(
        "branch '{name}' exists in repository '{}': choose another name or delete it first",
        life.name()
    ))
    .known_as("branch already exists: not unique")
}

impl Branch {
    /// Creates the branch at the commit that `from` names. Fails with
    /// [`crate::ErrorKind::Conflict`] when it exists.
    pub async fn create(&self, from: &RefExpr) -> Result<BranchInfo> {
        self.create_as(from, NewBranch::default()).await
    }

    /// Creates the branch at the commit that `from` names, with a say in what it is like.
    pub async fn create_as(&self, from: &RefExpr, new: NewBranch) -> Result<BranchInfo> {
        let start = async {
            let start = self.repo.commit_of(from).await?;
            if let Some(start) = &start {
                self.repo.lake().await?.require_content(start).await?;
            }
            Ok(start)
        };
        let free = async {
            if let Some(life) = self.of_new_name().await? {
                return Ok((life, FIRST));
            }
            let (life, _) = self.repo.live().await?;
            let incarnation = self.free_incarnation(&life).await?;
            Ok((life, incarnation))
        };
        // Neither waits for the other.
        let (start, free) = tokio::join!(start, free);
        let (start, (life, incarnation)) = (start?, free?);
        self.record(&life, start, incarnation, new).await
    }

    /// Creates the branch in the life that its repository is in.
    pub(super) async fn create_in(
        &self,
        life: &RepoLife,
        start: Option<CommitId>,
        new: NewBranch,
    ) -> Result<BranchInfo> {
        self.record(life, start, self.free_incarnation(life).await?, new).await
    }

    /// The life that the repository is in, where that is the one that is known and nothing in it has, or ever
    /// had, the name of the branch: all that is asked at once. `None` where there is more to ask.
    async fn of_new_name(&self) -> Result<Option<RepoLife>> {
        let (repo, name, inner) = (self.repo.name()?, self.branch_name()?, &self.repo.onward.inner);
        let Some(life) = inner.lives.last(&repo) else { return Ok(None) };
        let record = layout::repo(&life);
        let tag = TagName::new(name.as_str()).ok().map(|name| layout::tag(&life, &name));
        let wanted: Vec<&str> =
            [Some(&record), tag.as_ref()].into_iter().flatten().map(String::as_str).collect();
        let found =
            inner.coordinator.objects().survey(&wanted, &layout::branch_dir(&life, &name)).await?;
        let mut objects = found.objects.into_iter();
        let (Some(Some(bytes)), None) = (objects.next(), objects.next().flatten()) else {
            return Ok(None);
        };
        let is_live = RepoRecord::decode(&record, &bytes)?.state == RepoState::Live;
        let is_new = !found.keys.iter().any(|key| layout::parse_branch(key).is_some());
        if !is_live || !is_new {
            return Ok(None);
        }
        inner.remember_life(&life);
        Ok(Some(life))
    }

    /// The incarnation that the branch will be. Fails with [`ErrorKind::Conflict`] where the name is
    /// taken.
    async fn free_incarnation(&self, life: &RepoLife) -> Result<u32> {
        let name = self.branch_name()?;
        let lake = self.repo.onward.coordinator().lake(life);
        let (is_tag, newest) =
            tokio::join!(self.repo.tag_exists(name.as_str()), BranchRecord::newest(&lake, &name));
        if is_tag? {
            return Err(Error::conflict(format!(
                "'{name}' is the name of a tag in repository '{}': choose another name",
                life.name()
            )));
        }
        match newest? {
            Some((record, false)) if !self.has_ended(life, &record).await? => {
                Err(exists(&name, life))
            }
            Some((record, _)) => Ok(record.incarnation + 1),
            None => Ok(FIRST),
        }
    }

    /// Makes the branch: whoever writes the record of an incarnation has made it.
    async fn record(
        &self,
        life: &RepoLife,
        start: Option<CommitId>,
        incarnation: u32,
        new: NewBranch,
    ) -> Result<BranchInfo> {
        let (name, coordinator) = (self.branch_name()?, self.repo.onward.coordinator());
        let record = BranchRecord {
            name: name.clone(),
            incarnation,
            uid: clock::new_branch_uid(),
            start,
            created_ms: clock::now_ms(),
            hidden: new.hidden,
        };
        let context = coordinator.context(life, &name, record.uid);
        let (losses, begun) = (context.redis.losses(), Stopwatch::start());
        let key = layout::branch(life, &name, incarnation);
        match coordinator.objects().create(&key, encode(&record)?).await? {
            Created::Written => {}
            Created::Found(_) => return Err(exists(&name, life)),
        }
        coordinator.faults().pass("branch-recorded").await?;
        if self.open(&context, &record).await? && begun.elapsed() < OPENED_SOON {
            // It has no log that this Redis could be behind.
            context.contact.note(losses);
        }
        Ok(BranchInfo { name, commit: start, done: 0, damage: None })
    }

    /// Puts a branch that was just recorded into Redis, and sees whether its repository is still
    /// there. The record has made the branch: a Redis that cannot take it gets it at its first use.
    /// Returns whether it was put there by this call.
    async fn open(&self, context: &BranchContext, record: &BranchRecord) -> Result<bool> {
        let inner = &self.repo.onward.inner;
        let (name, uid, life) = (&record.name, record.uid, context.lake.life());
        let named = inner.coordinator.names(life);
        let opened = tokio::try_join!(open_new(context, record.start), named.name(name, uid));
        if let Err(error) = &opened {
            tracing::warn!(%error, branch = %name, "Redis does not have the new branch yet");
        }
        inner.coordinator.faults().pass("branch-opened").await?;
        // A deletion says so before it lists the branches that it has to end. So either it has seen
        // this one, or is seen here.
        let objects = inner.coordinator.objects();
        if let Err(error) = require_live(objects, life).await {
            if error.kind() == ErrorKind::NotFound {
                objects.delete(&layout::branch(life, name, record.incarnation)).await?;
                context.redis.forget().await?;
                inner.forget_life(life.name());
            }
            return Err(error);
        }
        inner.remember(name, Place { life: life.clone(), uid });
        Ok(opened.is_ok_and(|(is_ours, ())| is_ours))
    }

    /// Whether an incarnation without a mark has ended by its log: its deletion was cut short.
    async fn has_ended(&self, life: &RepoLife, record: &BranchRecord) -> Result<bool> {
        let inner = &self.repo.onward.inner;
        let ended = read_back(&inner.coordinator.lake(life), record).await?.closed;
        if ended {
            let context = inner.coordinator.context(life, &record.name, record.uid);
            inner.finish_deletion(&context).await?;
        }
        Ok(ended)
    }

    /// Name, head and tickets decided.
    pub async fn show(&self) -> Result<BranchInfo> {
        let (_, head) = self.head().await?;
        let (name, damage) = (self.branch_name()?, None);
        Ok(BranchInfo { name, commit: head.commit, done: head.done, damage })
    }

    /// The front of the branch's queue, at most `limit` ops.
    pub async fn queue(&self, limit: usize) -> Result<QueueView> {
        let ask = |context: BranchContext| async move { context.look(limit.min(BATCH_MAX)).await };
        let (context, view) = present(self, ask).await?;
        let stood = standing::stands(&view);
        if stood {
            standing::help(self.repo.onward.coordinator(), &context, &view);
        }
        let mut ops = Vec::with_capacity(view.elements.len());
        for (index, element) in view.elements.iter().enumerate() {
            let queued = QueuedOp::decode(element)?;
            let (kind, committer, created_ms) = match queued.body {
                Body::Op(op) => (op.request.kind(), op.committer, op.created_ms),
                Body::Damaged(_) => ("damaged", String::new(), 0),
                Body::Newer(_) => ("newer", String::new(), 0),
            };
            let ticket = Ticket(view.head.done + 1 + index as u64);
            ops.push(QueuedView { ticket, op_id: queued.id, kind, committer, created_ms });
        }
        Ok(QueueView { done: view.head.done, depth: view.depth, stood, ops })
    }

    /// The head, by a Redis that was brought up to the log where there was a doubt.
    pub(super) async fn head(&self) -> Result<(BranchContext, HeadView)> {
        let ask = |context: BranchContext| async move { context.look_at_head().await };
        let (context, view) = present(self, ask).await?;
        if !standing::stands(&view) {
            return Ok((context, view.head));
        }
        Box::pin(self.see_through(&context, Deadline::after(LOOK_WAITS))).await;
        let (context, view) = present(self, ask).await?;
        Ok((context, view.head))
    }

    /// Sees through what waits in the queue where nobody has the turn to decide it. Returns whether that
    /// was so.
    async fn help_where_it_stands(&self) -> Result<bool> {
        let ask = |context: BranchContext| async move { context.look(0).await };
        let (context, view) = present(self, ask).await?;
        let stands = standing::stands(&view);
        if stands {
            self.see_through(&context, Deadline::after(LOOK_WAITS)).await;
        }
        Ok(stands)
    }

    /// Sees through what waits in the queue now, as far as that is possible before the deadline. Where
    /// rounds of this process fail, nobody is kept waiting for the next.
    async fn see_through(&self, context: &BranchContext, deadline: Deadline) {
        if self.queue_of(context).last_error().is_some() {
            return;
        }
        let coordinator = self.repo.onward.coordinator();
        if let Err(error) = standing::see_through(coordinator, context, deadline).await {
            tracing::info!(%error, "a queue stands");
        }
    }

    pub(super) async fn context(&self) -> Result<BranchContext> {
        let (repo, name) = (self.repo.name()?, self.branch_name()?);
        let place = self.repo.onward.inner.resolve(&repo, &name).await?;
        Ok(self.repo.onward.coordinator().context(&place.life, &name, place.uid))
    }

    /// Submits an op to the branch under its present name, through outages of Redis until
    /// `deadline`. A name that by now stands for another incarnation is looked up again, and takes
    /// nothing that names what is not kept in its life.
    pub(super) async fn submit(
        &self,
        submission: Submission,
        asked: Option<Fingerprint>,
        named: NamedLives,
        deadline: Option<Deadline>,
    ) -> Result<TicketHandle> {
        self.repo.onward.check_storage_until(deadline).await?;
        let submitting = &Submitting::new(submission.clone());
        let named_lives = &named;
        let attempt = |context: BranchContext| async move {
            self.check_named(&context, named_lives).await?;
            submitting.attempt(&self.queue_of(&context)).await
        };
        let admitted = match persist(deadline, || accepted(self, attempt)).await {
            // What fills the queue may be of clients that are gone, and nobody's to decide.
            Err(full) if full.kind().retry_after().is_some() => {
                match Box::pin(self.help_where_it_stands()).await? {
                    true => persist(deadline, || accepted(self, attempt)).await,
                    false => Err(full),
                }
            }
            admitted => admitted,
        };
        let (mut context, mut admission) = admitted?;
        if let Admission::NothingStaged(_) = admission {
            // What was staged may be in the queue, and come back from there.
            let wait = deadline.unwrap_or_else(|| Deadline::after(LOOK_WAITS));
            let coordinator = self.repo.onward.coordinator();
            if standing::see_through(coordinator, &context, wait).await? > 0 {
                (context, admission) = persist(deadline, || accepted(self, attempt)).await?;
            }
        }
        let mut handle = self.admitted(&context, admission, asked).await?;
        handle.again = Some(Box::new(Again { branch: self.clone(), submission, named }));
        Ok(handle)
    }

    /// The handle of an op that was submitted.
    pub(super) async fn admitted(
        &self,
        context: &BranchContext,
        admission: Admission,
        asked: Option<Fingerprint>,
    ) -> Result<TicketHandle> {
        let state = match admission {
            Admission::Queued(pending) => {
                if pending.is_known {
                    self.same_in_queue(pending.op_id, asked).await?;
                }
                HandleState::Pending(pending)
            }
            Admission::NothingStaged(op_id) => {
                let details = Details::of(op_id);
                HandleState::Settled(Box::new(Outcome::NoChanges { ticket: None, details }))
            }
            Admission::BranchDeleted
            | Admission::Forgotten(_)
            | Admission::Unsure
            | Admission::Unreadable => return Err(self.nowhere()),
            Admission::Settled(outcome) => {
                let outcome = Box::pin(complete(context, *outcome)).await?;
                same_request(asked, &outcome)?;
                HandleState::Settled(Box::new(outcome))
            }
        };
        Ok(TicketHandle { queue: self.queue_of(context), state, asked, again: None })
    }

    /// Submits an op that takes nothing from the staging area, in the name of `committer` or else
    /// of the connection's, with what tells the request that is asked for from others under its id.
    pub(super) async fn submit_op(
        &self,
        op_id: OpId,
        committer: Option<String>,
        request: Request,
        asked: Option<Fingerprint>,
        deadline: Option<Deadline>,
    ) -> Result<TicketHandle> {
        if let Request::Merge(_) = &request {
            let committer = self.committer(committer.clone());
            self.check_acceptance(op_id, &committer, &request, true, deadline).await?;
        }
        let submission = self.submission(op_id, committer, request, asked)?;
        self.submit(submission, asked, NamedLives::default(), deadline).await
    }

    /// An op that takes nothing from the staging area, with what tells the request that is asked for
    /// from others under its id.
    pub(super) fn submission(
        &self,
        op_id: OpId,
        committer: Option<String>,
        request: Request,
        asked: Option<Fingerprint>,
    ) -> Result<Submission> {
        let (committer, created_ms) = (self.committer(committer), clock::now_ms());
        let (prepared_ms, producers, fingerprint) = (None, Vec::new(), asked);
        let op = Op { committer, created_ms, prepared_ms, producers, fingerprint, request };
        // Whoever gives an id of their own has asked what became of it.
        let (element, seal, may_repeat) = (op.encode(op_id)?, Seal::No, false);
        Ok(Submission { op_id, element, producers: Vec::new(), seal, may_repeat })
    }

    /// Who asks: the one given, or the connection's committer.
    pub(super) fn committer(&self, given: Option<String>) -> String {
        given.unwrap_or_else(|| self.repo.onward.inner.committer.clone())
    }

    /// A handle of an op whose outcome is clear without queueing it.
    pub(super) async fn settled(&self, outcome: Outcome) -> Result<TicketHandle> {
        let queue = self.queue_of(&self.context().await?);
        let state = HandleState::Settled(Box::new(outcome));
        Ok(TicketHandle { queue, state, asked: None, again: None })
    }

    pub(super) fn queue_of(&self, context: &BranchContext) -> Arc<BranchQueue> {
        self.repo.onward.coordinator().queue(context.lake.life(), &context.name, context.uid)
    }
}
