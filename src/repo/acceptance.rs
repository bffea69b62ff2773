//! Asking before a commit or a merge is queued: who may refuse it is asked by the process that submits it, so that
//! no helper ever waits for an answer. What was accepted is decided whatever anybody says later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;

use crate::clock::Deadline;
use crate::commit::op::merge::MergePlan;
use crate::commit::op::request::{Changes, Request};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::OpId;
use crate::tree::{ALL, InlineRun, Record, RunRef, ScanStart};

use super::ask::{Answer, Ask, Asked};
use super::handles::{Branch, Onward};
use super::protection::Rule;
use super::protection::check::{Check, OnFailure};

/// Paths that who checks is told, at most.
pub const PATHS_MAX: usize = 100;

/// The longest reason of who refuses that is repeated, in characters.
const REASON_MAX: usize = 500;

impl Onward {
    /// Says who asks before commits and merges of protected branches are accepted; the first one counts. In a process
    /// that was told of nobody they are refused, where a rule has a check.
    pub fn ask_by(&self, ask: Arc<dyn Ask>) {
        let _ = self.inner.ask.set(ask);
    }
}

impl Branch {
    /// Fails with [`ErrorKind::Forbidden`] where a check of a rule refuses to have this queued on the branch, and with
    /// [`ErrorKind::Unavailable`] where one gives no answer and its rule does not take that for a yes. Reads the
    /// rules when those at hand are old; without a check it costs nothing else.
    pub(super) async fn check_acceptance(
        &self,
        op_id: OpId,
        committer: &str,
        request: &Request,
        may_repeat: bool,
        deadline: Option<Deadline>,
    ) -> Result<()> {
        let (repo, branch) = (self.repo.name()?, self.branch_name()?);
        let inner = &self.repo.onward.inner;
        let ruled = inner.protection.rules(inner.coordinator.objects(), &repo).await?;
        let checks: Vec<(&Rule, &Check)> = ruled.rules.checks(branch.as_str()).collect();
        if checks.is_empty() {
            return Ok(());
        }
        // One that is known was asked about before, and is told what became of it.
        if may_repeat {
            match self.status_of_one(op_id).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let Some(ask) = inner.ask.get() else {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "commits to branch '{branch}' of repository '{repo}' are checked before they are accepted, and this program cannot ask: commit by a sidecar or the command"
                ),
            ));
        };
        let asked = self.asked(op_id, committer, request).await?;
        for (rule, check) in checks {
            let own = Duration::from_millis(check.timeout_ms);
            let timeout = deadline.map_or(own, |deadline| deadline.left().min(own));
            let answer = ask.ask(&rule.pattern, check, &asked, timeout).await;
            // Who commits has a say in how long he waits, and none in whether he is checked.
            let way = if timeout < own { OnFailure::Refuse } else { check.on_failure };
            self.heed(rule, way, &asked, answer).map_err(|error| match may_repeat {
                // Whether it was accepted before is not known for ever.
                true => error.in_doubt(),
                false => error,
            })?;
        }
        Ok(())
    }

    fn heed(&self, rule: &Rule, way: OnFailure, asked: &Asked, answer: Answer) -> Result<()> {
        let Asked { repository, branch, kind, op_id, .. } = asked;
        let of = format!("the check of the rule for '{}'", rule.pattern);
        match (answer, way) {
            (Answer::Accepted, _) => Ok(()),
            (Answer::Failed(why), OnFailure::Accept) => {
                tracing::warn!(%op_id, repository, branch, why, "accepted without an answer of {of}");
                Ok(())
            }
            (Answer::Refused(reason), _) => Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "this {kind} into branch '{branch}' of repository '{repository}' was refused by {of}: {}",
                    plain(&reason)
                ),
            )
            .refused()),
            (Answer::Failed(why), OnFailure::Refuse) => Err(Error::unavailable(format!(
                "{of} gave no answer ({}), and without one nothing is accepted into branch '{branch}' of repository '{repository}': nothing was done, try again later",
                plain(&why)
            ))
            .refused()),
        }
    }

    async fn asked(&self, op_id: OpId, committer: &str, request: &Request) -> Result<Asked> {
        let (message, metadata, (count, paths)) = match request {
            Request::Commit(commit) => {
                let changes = match &commit.changes {
                    Changes::Sealed => self.first_staged().await?,
                    Changes::Inline(encoded) => self.first_paths(encoded, None).await?,
                    Changes::Run(run) => self.first_paths(&[], Some(run)).await?,
                };
                (commit.message.clone(), commit.metadata.clone(), changes)
            }
            Request::Merge(merge) => {
                let records = merge.merge.plan.records();
                let (count, paths) = self.first_paths(records, merge.merge.run()).await?;
                let count = match &merge.merge.plan {
                    MergePlan::Survivors(survivors) => Some(survivors.surviving),
                    MergePlan::Changes(_) => count,
                };
                (merge.message.clone(), merge.metadata.clone(), (count, paths))
            }
            _ => (String::new(), BTreeMap::new(), (Some(0), Vec::new())),
        };
        Ok(Asked {
            repository: self.repo.name()?.to_string(),
            branch: self.branch_name()?.to_string(),
            op_id,
            kind: request.kind(),
            committer: committer.to_owned(),
            message,
            metadata,
            count,
            paths,
        })
    }

    /// How many changes there are, and the first of them.
    async fn first_paths(&self, inline: &[u8], run: Option<&RunRef>) -> Result<Counted> {
        let inline =
            if inline.is_empty() { InlineRun::default() } else { InlineRun::decode(inline)? };
        let mut first: BTreeMap<String, bool> = BTreeMap::new();
        let mut count = inline.len() as u64;
        if let Some(run) = run {
            count = count.max(run.records);
            let tree = self.repo.lake().await?.tree().clone();
            let mut records = tree.scan_run(Arc::new(run.clone()), ALL, ScanStart::all());
            while first.len() < PATHS_MAX
                && let Some(record) = records.try_next().await?
            {
                first.insert(record.path.to_string(), record.is_delete());
            }
        }
        let told = |record: &Record| (record.path.to_string(), record.is_delete());
        first.extend(inline.records().iter().map(told));
        Ok((Some(count), first.into_iter().take(PATHS_MAX).collect()))
    }

    async fn first_staged(&self) -> Result<Counted> {
        let staged = self.staged_from(&ScanStart::all(), PATHS_MAX).await?;
        let told =
            staged.into_iter().map(|one| (one.path.to_string(), one.change.entry().is_none()));
        Ok((None, told.collect()))
    }
}

type Counted = (Option<u64>, Vec<(String, bool)>);

/// What somebody else said, as it may be repeated.
fn plain(text: &str) -> String {
    let shown: String = text.chars().take(REASON_MAX).collect();
    shown.escape_debug().to_string()
}
