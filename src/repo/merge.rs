//! Merging, reverting and cherry-picking.
//!
//! All of them are worked out here, against the head as it is now and in parallel with everything
//! else, then queued and decided in their turn. None fails because another was faster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Deadline, Stopwatch};
use crate::commit::accept::persist::persist;
use crate::commit::log::lake::Lake;
use crate::commit::mend::present::bring_up;
use crate::commit::merge::correct::carry_on;
use crate::commit::merge::settle::{Conflicts, Resolved};
use crate::commit::merge::work_out::{MergeSpec, WorkedOut, preview, work_out};
use crate::commit::op::merge::{MergePlan, MergeRequest, PreparedMerge};
use crate::commit::op::queued::Header;
use crate::commit::op::request::Request;
use crate::model::address::RefExpr;
use crate::model::conflict::{ConflictPath, Retry, Strategy};
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, Fingerprint, OpId};
use crate::model::outcome::{Details, Outcome};

use super::handles::Branch;
use super::hint;
use super::merge_spec::What;
use super::protection::Action;
use super::resolve::{self, ROUNDS_MAX, Resolve, is_outrun, resolved, with_ticket_of};
use super::ticket::{TicketHandle, TicketStatus, late, same_request, see_through};

/// A merge before it is submitted.
enum Ready {
    /// There is nothing to submit.
    Clear(TicketHandle),
    /// It is worked out.
    Op(Box<Request>),
}

/// A merge, revert or cherry-pick in the making.
#[derive(Debug, Clone)]
#[must_use = "a merge does nothing until it is committed, submitted or tried"]
pub struct MergeBuilder {
    branch: Branch,
    what: What,
    message: Option<String>,
    metadata: BTreeMap<String, String>,
    committer: Option<String>,
    strategy: Strategy,
    squash: bool,
    allow_empty: bool,
    retry: Retry,
    hint: Option<String>,
    op_id: Option<OpId>,
    fingerprint: Option<Fingerprint>,
    timeout: Option<Duration>,
    resolver: Option<Arc<dyn Resolve>>,
}

/// What a merge would bring, tried without doing it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MergePreview {
    /// The commit the changes start from.
    pub base: Option<CommitId>,
    /// The commit they lead to.
    pub source: Option<CommitId>,
    /// The head they were tried on.
    pub dest: Option<CommitId>,
    /// How many changes the source brings.
    pub changes: u64,
    /// How many of them the branch would take over.
    pub surviving: u64,
    /// How many of these both sides changed and are put together, such as Iceberg tables.
    pub resolved: u64,
    /// The first conflicting paths, at most 10,000; [`super::Repository::three_way_diff`] has all.
    pub conflicts: Vec<ConflictPath>,
    /// How many there are.
    pub conflicts_total: u64,
}

impl Branch {
    /// A merge of `source`, any ref, into this branch.
    pub fn merge(&self, source: RefExpr) -> MergeBuilder {
        MergeBuilder::new(self.clone(), What::Merge(source))
    }

    /// A commit that takes the changes of another one back. `parent`, from 1, says against which
    /// parent a merge commit is compared; it is needed for those.
    pub fn revert(&self, commit: RefExpr, parent: Option<u32>) -> MergeBuilder {
        MergeBuilder::new(self.clone(), What::Revert { commit, parent })
    }

    /// A commit that repeats the changes of another one. `parent` as for [`Branch::revert`].
    pub fn cherry_pick(&self, commit: RefExpr, parent: Option<u32>) -> MergeBuilder {
        MergeBuilder::new(self.clone(), What::CherryPick { commit, parent })
    }
}

impl MergeBuilder {
    fn new(branch: Branch, what: What) -> Self {
        Self {
            branch,
            what,
            message: None,
            metadata: BTreeMap::new(),
            committer: None,
            strategy: Strategy::Fail,
            squash: false,
            allow_empty: false,
            retry: Retry::Server,
            hint: None,
            op_id: None,
            fingerprint: None,
            timeout: None,
            resolver: None,
        }
    }

    /// Why; by default what is done to what.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
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

    /// What happens to paths that both sides changed.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Whether the commit leaves the source out of its parents. Only for merges.
    pub fn squash(mut self, squash: bool) -> Self {
        self.squash = squash;
        self
    }

    /// Whether a commit is wanted even if there is nothing to bring.
    pub fn allow_empty(mut self, allow: bool) -> Self {
        self.allow_empty = allow;
        self
    }

    /// Who tries again when paths of the merge change while it waits. By default whoever decides
    /// it, at once; with [`Retry::Client`] it ends as [`Outcome::LostRace`] with a hint.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Goes on from the hint of a try that lost a race.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The op's id; submitting the same id again is the same op.
    pub fn op_id(mut self, op_id: OpId) -> Self {
        self.op_id = Some(op_id);
        self
    }

    /// What tells this request from others under the same op id, as that of a change does.
    #[doc(hidden)]
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// How long [`MergeBuilder::commit`] waits, if not the connection's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Who resolves conflicts, where no strategy does.
    #[doc(hidden)]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// What it would bring, by the head as it is now. Writes nothing.
    pub async fn preview(&self) -> Result<MergePreview> {
        let (lake, spec, against) = self.resolve().await?;
        let mut tally = preview(&lake, spec, against).await?;
        let resolved = match self.asks_resolver() {
            Some(by) => resolve::without_resolvable(by, &mut tally.conflicts).await?,
            None => 0,
        };
        Ok(MergePreview {
            base: spec.base,
            source: spec.source,
            dest: against,
            changes: tally.changes,
            surviving: tally.surviving.saturating_add(resolved),
            resolved,
            conflicts: tally.conflicts.paths,
            conflicts_total: tally.conflicts.total,
        })
    }

    /// Submits it and waits for its outcome. The timeout covers both. While Redis is away it goes
    /// on under the same op id until the timeout.
    pub async fn commit(self) -> Result<Outcome> {
        let timeout = self.timeout.unwrap_or(self.branch.repo.onward.inner.timeout);
        let deadline = Deadline::after(timeout);
        let (mut round, mut earlier) = (0, None);
        loop {
            let outcome = self.clone().of_round(round).commit_until(deadline).await?;
            round += 1;
            // In its turn: others have changed what was resolved, or something that may be by now.
            if !is_outrun(&outcome) || self.asks_resolver().is_none() || round > ROUNDS_MAX {
                return Ok(with_ticket_of(earlier, outcome));
            }
            earlier = Some(outcome);
        }
    }

    async fn commit_until(self, deadline: Deadline) -> Result<Outcome> {
        let onward = self.branch.repo.onward.clone();
        see_through(deadline, self.submit_until(Some(deadline)), || {
            late(&onward).context(
                "the merge could not be worked out and queued in time: nothing was changed unless the log of the branch shows it",
            )
        })
        .await
    }

    /// This merge as it is asked for in a round, with the op id of that.
    fn of_round(self, round: u32) -> Self {
        let op_id = self.op_id.map(|first| resolve::op_of_round(first, round));
        Self { op_id, ..self }
    }

    /// Who resolves conflicts, where they are not decided otherwise.
    fn asks_resolver(&self) -> Option<&dyn Resolve> {
        self.resolver.as_deref().filter(|_| self.strategy == Strategy::Fail)
    }

    /// Works it out and submits it. A conflict with the head as it is now ends it here, with
    /// nothing queued. Once a ticket is returned, it will be decided whatever happens to this
    /// process.
    pub async fn submit(self) -> Result<TicketHandle> {
        self.submit_until(None).await
    }

    async fn submit_until(self, deadline: Option<Deadline>) -> Result<TicketHandle> {
        let op_id = self.op_id.unwrap_or_else(clock::new_op_id);
        let committer = self.branch.committer(self.committer.clone());
        let message = self.message.as_deref().unwrap_or_default();
        let metadata = Some(&self.metadata);
        Header { committer: &committer, producers: &[], message, metadata }.check()?;
        match persist(deadline, || self.prepare(op_id)).await? {
            Ready::Clear(handle) => Ok(handle),
            Ready::Op(request) => {
                let (committer, asked) = (self.committer, self.fingerprint);
                self.branch.submit_op(op_id, committer, *request, asked, deadline).await
            }
        }
    }

    /// Works it out, unless it was submitted before.
    async fn prepare(&self, op_id: OpId) -> Result<Ready> {
        if self.op_id.is_some()
            && let Some(handle) = self.known(op_id).await?
        {
            return Ok(Ready::Clear(handle));
        }
        if !matches!(self.what, What::Merge(_)) {
            self.branch.check_protection(Action::Commit).await?;
        }
        let (lake, spec, against) = self.resolve().await?;
        let worked_out = match self.resume(&lake, spec, against).await? {
            Some(worked_out) => worked_out,
            None => self.work_out(&lake, spec, against).await?,
        };
        let merge = match self.to_be_queued(op_id, worked_out) {
            Ok(merge) => merge,
            Err(outcome) => return self.end_early(op_id, outcome).await.map(Ready::Clear),
        };
        let metadata = self.metadata.clone();
        let (message, metadata) = self.what.words(&self.branch, &lake, spec, metadata).await?;
        let request = Request::Merge(MergeRequest {
            message: self.message.clone().unwrap_or(message),
            metadata,
            allow_empty: self.allow_empty,
            retry: self.retry,
            merge,
        });
        Ok(Ready::Op(Box::new(request)))
    }

    /// Works it out against a head, with what conflicts there are resolved by if all of them can be.
    async fn work_out(
        &self,
        lake: &Lake,
        spec: MergeSpec,
        against: Option<CommitId>,
    ) -> Result<WorkedOut> {
        let begun = Stopwatch::start();
        let mut worked_out = work_out(lake, spec, against, &Resolved::new()).await?;
        if let (WorkedOut::Conflicts(conflicts), Some(by)) = (&worked_out, self.asks_resolver())
            && let Some(resolved) = resolved(by, conflicts).await?
        {
            worked_out = work_out(lake, spec, against, &resolved).await?;
        }
        if let WorkedOut::Merge { merge, .. } = &mut worked_out
            && merge.run().is_some()
        {
            let redis = &self.branch.context().await?.redis;
            merge.prepared_ms = redis.began_ms(begun).await?;
        }
        Ok(worked_out)
    }

    /// The op of this id, if it was submitted before.
    async fn known(&self, op_id: OpId) -> Result<Option<TicketHandle>> {
        match self.branch.status_of_one(op_id).await {
            Ok(TicketStatus::Decided(outcome)) => {
                same_request(self.fingerprint, &outcome)?;
                self.branch.settled(outcome.of_a_repetition()).await.map(Some)
            }
            Ok(TicketStatus::Pending { ticket, position }) => {
                self.branch.attach(op_id, ticket, position, self.fingerprint).await.map(Some)
            }
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn resolve(&self) -> Result<(Lake, MergeSpec, Option<CommitId>)> {
        self.what.resolve(&self.branch, self.strategy, self.squash).await
    }

    /// Goes on from a hint, where there is one and it still fits.
    async fn resume(
        &self,
        lake: &Lake,
        spec: MergeSpec,
        against: Option<CommitId>,
    ) -> Result<Option<WorkedOut>> {
        let Some(hint) = &self.hint else { return Ok(None) };
        let merge = hint::redeem(&self.branch.context().await?, hint).await?;
        let told = MergeSpec {
            kind: merge.kind,
            base: merge.base,
            source: merge.source,
            strategy: merge.strategy,
        };
        if told.source != spec.source || told.kind != spec.kind || told.strategy != spec.strategy {
            return Err(Error::invalid(
                "the hint is refused: it is of another merge; merge without it, nothing is lost",
            ));
        }
        // A nearer base may turn conflicts into none: that is a new merge.
        if told.base != spec.base {
            return Ok(None);
        }
        let Some(merge) = carry_on(lake, &merge, against).await? else { return Ok(None) };
        let MergePlan::Survivors(survivors) = &merge.plan else { return Ok(None) };
        let (changes, surviving) = (survivors.changes, survivors.surviving);
        let merge = Box::new(merge);
        Ok(Some(WorkedOut::Merge { merge, changes, surviving }))
    }

    /// The merge, or its outcome where there is nothing to be queued.
    fn to_be_queued(
        &self,
        op_id: OpId,
        worked_out: WorkedOut,
    ) -> Result<PreparedMerge, Box<Outcome>> {
        let details = Details::of(op_id);
        match worked_out {
            WorkedOut::Conflicts(Conflicts { paths, total }) => {
                Err(Box::new(Outcome::Conflict { ticket: None, paths, total, details }))
            }
            WorkedOut::Merge { merge, changes, surviving }
                if merge.kind.brings_nothing(changes, surviving) && !self.allow_empty =>
            {
                Err(Box::new(Outcome::NoChanges { ticket: None, details }))
            }
            WorkedOut::Merge { merge, .. } => Ok(*merge),
        }
    }

    /// It ends with `outcome`, unless it was decided before, or is on its way in this process, and
    /// Redis has lost that since.
    async fn end_early(&self, op_id: OpId, outcome: Box<Outcome>) -> Result<TicketHandle> {
        if self.op_id.is_some() {
            // First: what this process does not see through any more is decided by now, and known.
            if let Some(handle) = self.branch.join(op_id, self.fingerprint).await? {
                return Ok(handle);
            }
            self.branch.repo.onward.coordinator().faults().pass("ends-early").await?;
            bring_up(&self.branch.context().await?).await?;
            if let Some(handle) = self.known(op_id).await? {
                return Ok(handle);
            }
        }
        self.branch.settled(*outcome).await
    }
}
