//! Merging, reverting, cherry-picking, and setting a branch's head.
//!
//! All of them are worked out here, against the head as it is now and in parallel with everything
//! else, then queued and decided in their turn. None fails because another was faster.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::clock::{self, Deadline};
use crate::commit::accept::persist::persist;
use crate::commit::log::lake::Lake;
use crate::commit::mend::present::bring_up;
use crate::commit::merge::graph::merge_base;
use crate::commit::merge::prepared::{
    Committed, MergeSpec, Ruled, WorkedOut, carry_on, three_way, work_out,
};
use crate::commit::op::queued::{MergeKind, MergePlan, MergeRequest, Request};
use crate::model::address::RefExpr;
use crate::model::conflict::{ConflictPath, Retry, Strategy};
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, OpId};
use crate::model::outcome::{Details, Outcome};
use crate::tree::ScanStart;

use super::branch::BranchInfo;
use super::handles::{Branch, Repository};
use super::hint;
use super::protection::Action;
use super::ticket::{TicketHandle, TicketStatus, see_through};

/// The key of a merge commit's metadata that tells its strategy, as lakeFS writes it.
const STRATEGY_KEY: &str = ".lakefs.merge.strategy";

/// The keys of metadata that tell which commit was taken back, or repeated.
const REVERTED_KEY: &str = "onward.reverted";
const PICKED_KEY: &str = "onward.cherry_picked";

/// A merge before it is submitted.
enum Prepared {
    /// There is nothing to submit.
    Clear(TicketHandle),
    /// It is worked out.
    Op(Box<Request>),
}

/// What is to be brought into the branch.
#[derive(Debug, Clone)]
enum What {
    Merge(RefExpr),
    Revert { commit: RefExpr, parent: Option<u32> },
    CherryPick { commit: RefExpr, parent: Option<u32> },
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
    timeout: Option<Duration>,
}

/// What a merge would bring, tried without doing it.
#[derive(Debug, Clone, PartialEq)]
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
    /// The first conflicting paths, at most 10,000; [`Repository::three_way_diff`] has all.
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

    /// Makes the commit of `reference` the head, in its turn behind what is queued. Commits that
    /// no other ref leads to are lost with the next garbage collection. Refused while changes are
    /// staged.
    pub async fn reset_to(&self, reference: &RefExpr) -> Result<BranchInfo> {
        self.check_protection(Action::Reset).await?;
        let to = self.repo.require_commit(reference).await?;
        self.repo.lake()?.require_content(&to).await?;
        if !self.status("", None, 1).await?.is_empty() {
            return Err(Error::conflict(format!(
                "changes are staged on branch '{}': commit them or take them back first",
                self.branch_name()?
            )));
        }
        let op_id = clock::new_op_id();
        let deadline = Deadline::after(self.repo.onward.deployment.timeout);
        let mut handle = self.submit_op(op_id, None, Request::Reset(to), Some(deadline)).await?;
        match handle.wait(deadline.left()).await? {
            Outcome::Applied { .. } => self.show().await,
            Outcome::Failed { reason, .. } => Err(Error::invalid(reason)),
            Outcome::StillQueued { ticket, .. } => Err(Error::unavailable(format!(
                "the reset is still queued (ticket {ticket}): it will be done in its turn"
            ))),
            other => Err(Error::conflict(format!(
                "the branch was not reset: the op {op_id} ended as '{}'; reset it again",
                other.name()
            ))),
        }
    }
}

impl Repository {
    /// The merge base of two refs: their nearest common ancestor; `None` where the histories have
    /// nothing in common.
    pub async fn merge_base(&self, a: &RefExpr, b: &RefExpr) -> Result<Option<CommitId>> {
        let (a, b) = (self.require_commit(a).await?, self.require_commit(b).await?);
        merge_base(&self.lake()?, a, b).await
    }

    /// What merging `source` into `dest` would bring, path by path in order: every change from
    /// their merge base to `source`, decided against `dest`. Costs that difference and a lookup
    /// for each change.
    pub async fn three_way_diff(
        &self,
        dest: &RefExpr,
        source: &RefExpr,
        start: ScanStart,
    ) -> Result<BoxStream<'static, Result<Ruled>>> {
        let source_id = self.require_commit(source).await?;
        let dest_id = self.require_commit(dest).await?;
        let lake = self.lake()?;
        let base = base_of(&lake, self, (dest, dest_id), (source, source_id)).await?;
        let committed = Committed::at(&lake, Some(dest_id)).await?;
        let base = lake.metarange(&base).await?;
        let source = lake.metarange(&source_id).await?;
        let (sender, receiver) = futures::channel::mpsc::channel(STREAMED);
        tokio::spawn(async move {
            let sink = futures::sink::SinkExt::sink_map_err(sender, |_| ());
            let all = three_way(&lake, base, source, &committed, start);
            // An error here says that nobody listens any more.
            let _ = all.map(Ok).forward(sink).await;
        });
        Ok(receiver.boxed())
    }
}

/// Decided changes that wait for who reads the stream, at most.
const STREAMED: usize = 1024;

async fn base_of(
    lake: &Lake,
    repo: &Repository,
    (a, a_id): (&RefExpr, CommitId),
    (b, b_id): (&RefExpr, CommitId),
) -> Result<CommitId> {
    merge_base(lake, a_id, b_id).await?.ok_or_else(|| {
        Error::invalid(format!(
            "'{a}' and '{b}' of repository '{}' have no commit in common: there is no merge base, so they cannot be merged",
            repo.display()
        ))
    })
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
            timeout: None,
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

    /// How long [`MergeBuilder::commit`] waits, if not the connection's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What it would bring, by the head as it is now. Writes nothing.
    pub async fn preview(&self) -> Result<MergePreview> {
        let (lake, spec, against) = self.resolve().await?;
        let worked_out = work_out(&lake, spec, against, false).await?;
        Ok(MergePreview {
            base: spec.base,
            source: spec.source,
            dest: against,
            changes: worked_out.changes,
            surviving: worked_out.surviving,
            conflicts: worked_out.conflicts,
            conflicts_total: worked_out.conflicts_total,
        })
    }

    /// Submits it and waits for its outcome. The timeout covers both. While Redis is away it goes
    /// on under the same op id until the timeout.
    pub async fn commit(self) -> Result<Outcome> {
        let timeout = self.timeout.unwrap_or(self.branch.repo.onward.deployment.timeout);
        let deadline = Deadline::after(timeout);
        see_through(deadline, self.submit_until(Some(deadline)), || {
            Error::unavailable(
                "the merge could not be worked out and queued before the deadline: nothing was changed unless `onward log` shows it",
            )
        })
        .await
    }

    /// Works it out and submits it. A conflict with the head as it is now ends it here, with
    /// nothing queued. Once a ticket is returned, it will be decided whatever happens to this
    /// process.
    pub async fn submit(self) -> Result<TicketHandle> {
        self.submit_until(None).await
    }

    async fn submit_until(self, deadline: Option<Deadline>) -> Result<TicketHandle> {
        let op_id = self.op_id.unwrap_or_else(clock::new_op_id);
        match persist(deadline, || self.prepare(op_id)).await? {
            Prepared::Clear(handle) => Ok(handle),
            Prepared::Op(request) => {
                self.branch.submit_op(op_id, self.committer, *request, deadline).await
            }
        }
    }

    /// Works it out, unless it was submitted before.
    async fn prepare(&self, op_id: OpId) -> Result<Prepared> {
        if self.op_id.is_some()
            && let Some(handle) = self.known(op_id).await?
        {
            return Ok(Prepared::Clear(handle));
        }
        if !matches!(self.what, What::Merge(_)) {
            self.branch.check_protection(Action::Commit).await?;
        }
        let (lake, spec, against) = self.resolve().await?;
        let worked_out = match self.resume(&lake, spec, against).await? {
            Some(worked_out) => worked_out,
            None => work_out(&lake, spec, against, true).await?,
        };
        if let Some(outcome) = self.early(op_id, &worked_out) {
            // It may have been decided before, and Redis have lost that since.
            if self.op_id.is_some() {
                bring_up(&self.branch.context().await?).await?;
                if let Some(handle) = self.known(op_id).await? {
                    return Ok(Prepared::Clear(handle));
                }
            }
            return self.branch.settled(outcome).await.map(Prepared::Clear);
        }
        let (message, metadata) = self.words(&lake, spec).await?;
        let request = Request::Merge(MergeRequest {
            message,
            metadata,
            allow_empty: self.allow_empty,
            retry: self.retry,
            merge: worked_out.merge,
        });
        Ok(Prepared::Op(Box::new(request)))
    }

    /// The op of this id, if it was submitted before.
    async fn known(&self, op_id: OpId) -> Result<Option<TicketHandle>> {
        match self.branch.ticket_status(op_id).await {
            Ok(TicketStatus::Decided(outcome)) => self.branch.settled(*outcome).await.map(Some),
            Ok(TicketStatus::Pending { ticket, position }) => {
                self.branch.attach(op_id, ticket, position).await.map(Some)
            }
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is to be merged into which head. The source is resolved before the head, so that
    /// whatever of the branch it contains is below that head.
    async fn resolve(&self) -> Result<(Lake, MergeSpec, Option<CommitId>)> {
        let repo = &self.branch.repo;
        let lake = repo.lake()?;
        let strategy = self.strategy;
        let spec = match &self.what {
            What::Merge(reference) => {
                let source = repo.require_commit(reference).await?;
                let dest = RefExpr::plain(self.branch.branch_name()?.as_str());
                let head = repo.require_commit(&dest).await?;
                let base = base_of(&lake, repo, (&dest, head), (reference, source)).await?;
                let kind = if self.squash { MergeKind::Squash } else { MergeKind::Merge };
                let spec = MergeSpec { kind, base: Some(base), source: Some(source), strategy };
                return Ok((lake, spec, Some(head)));
            }
            What::Revert { commit, parent } => {
                let (commit, parent) = self.with_parent(commit, *parent, "revert").await?;
                let kind = MergeKind::Revert;
                MergeSpec { kind, base: Some(commit), source: parent, strategy }
            }
            What::CherryPick { commit, parent } => {
                let (commit, parent) = self.with_parent(commit, *parent, "cherry-pick").await?;
                let kind = MergeKind::CherryPick;
                MergeSpec { kind, base: parent, source: Some(commit), strategy }
            }
        };
        if self.squash {
            return Err(Error::invalid("only a merge can be squashed"));
        }
        let head = self.branch.head().await?.1.commit;
        Ok((lake, spec, head))
    }

    /// A commit, and the parent that it is compared with.
    async fn with_parent(
        &self,
        reference: &RefExpr,
        number: Option<u32>,
        verb: &str,
    ) -> Result<(CommitId, Option<CommitId>)> {
        let repo = &self.branch.repo;
        let id = repo.require_commit(reference).await?;
        let parents = repo.commit(&id).await?.parents;
        let parent = match (number, parents.as_slice()) {
            (None, []) => None,
            (None, [parent]) => Some(*parent),
            (None, _) => {
                return Err(Error::invalid(format!(
                    "commit '{reference}' is a merge: say which of its {} parents it is compared with (--parent 1 is the branch it was merged into) to {verb} it",
                    parents.len()
                )));
            }
            (Some(number), parents) => {
                let at = (number as usize).checked_sub(1);
                let parent = at.and_then(|at| parents.get(at)).ok_or_else(|| {
                    Error::invalid(format!(
                        "commit '{reference}' has {} parents: there is no number {number}",
                        parents.len()
                    ))
                })?;
                Some(*parent)
            }
        };
        Ok((id, parent))
    }

    /// Goes on from a hint, where there is one and it still fits.
    async fn resume(
        &self,
        lake: &Lake,
        spec: MergeSpec,
        against: Option<CommitId>,
    ) -> Result<Option<WorkedOut>> {
        let Some(hint) = &self.hint else { return Ok(None) };
        let uid = self.branch.context().await?.uid;
        let merge = hint::redeem(lake, uid, hint).await?;
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
        let conflicts = Vec::new();
        Ok(Some(WorkedOut { merge, changes, surviving, conflicts, conflicts_total: 0 }))
    }

    /// The outcome, where there is nothing to be queued.
    fn early(&self, op_id: OpId, worked_out: &WorkedOut) -> Option<Outcome> {
        let details = Details::of(op_id);
        if worked_out.conflicts_total > 0 {
            return Some(Outcome::Conflict {
                ticket: None,
                paths: worked_out.conflicts.clone(),
                total: worked_out.conflicts_total,
                details,
            });
        }
        let nothing = match worked_out.merge.kind.follows_merge_base() {
            true => worked_out.changes == 0,
            false => worked_out.surviving == 0,
        };
        (nothing && !self.allow_empty).then_some(Outcome::NoChanges { ticket: None, details })
    }

    /// Message and metadata of the commit, as lakeFS users know them.
    async fn words(
        &self,
        lake: &Lake,
        spec: MergeSpec,
    ) -> Result<(String, BTreeMap<String, String>)> {
        let mut metadata = self.metadata.clone();
        let message = match &self.what {
            What::Merge(source) => {
                let strategy = match spec.strategy {
                    Strategy::Fail => "default",
                    Strategy::SourceWins => "source-wins",
                    Strategy::DestWins => "dest-wins",
                };
                metadata.entry(STRATEGY_KEY.into()).or_insert_with(|| strategy.into());
                format!("Merge '{source}' into '{}'", self.branch.branch_name()?)
            }
            What::Revert { .. } => {
                let reverted = spec.base.map(|id| id.to_string()).unwrap_or_default();
                metadata.entry(REVERTED_KEY.into()).or_insert_with(|| reverted.clone());
                format!("Revert {reverted}")
            }
            What::CherryPick { .. } => {
                let Some(picked) = &spec.source else {
                    return Err(Error::internal("a cherry-pick of no commit"));
                };
                metadata.entry(PICKED_KEY.into()).or_insert_with(|| picked.to_string());
                let picked = lake.commit(picked).await?;
                for (key, value) in picked.metadata {
                    metadata.entry(key).or_insert(value);
                }
                picked.message
            }
        };
        Ok((self.message.clone().unwrap_or(message), metadata))
    }
}
