//! From names to incarnations of branches, and back from doubt to truth.
//!
//! Redis answers first; what it does not know is looked up in the object store, which decides, and
//! put back. So a Redis that lost everything is repaired by use.

use std::sync::PoisonError;

use crate::commit::context::BranchContext;
use crate::commit::log::record::{BranchRecord, RepoRecord, decode};
use crate::commit::mend::present::Name;
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::{BranchName, RepoName};
use crate::objects::layout;

use super::config::NAMES_KEPT;
use super::handles::{Branch, Deployment};

impl Deployment {
    /// The incarnation that a branch name stands for.
    pub(super) async fn resolve(&self, repo: &RepoName, name: &BranchName) -> Result<BranchUid> {
        self.find(repo, name).await?.ok_or_else(|| no_branch(repo, name))
    }

    /// The uid of the branch that a name stands for, or `None`. The repository must be there.
    pub(super) async fn find(
        &self,
        repo: &RepoName,
        name: &BranchName,
    ) -> Result<Option<BranchUid>> {
        let key = (repo.clone(), name.clone());
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(uid) = known {
            return Ok(Some(uid));
        }
        Box::pin(self.look_up(repo, name)).await
    }

    async fn look_up(&self, repo: &RepoName, name: &BranchName) -> Result<Option<BranchUid>> {
        let uid = match self.coordinator.names(repo).find(name).await? {
            Some(uid) => uid,
            None => match self.find_in_store(repo, name).await? {
                Some(uid) => uid,
                None => return Ok(None),
            },
        };
        self.remember(repo, name, uid);
        Ok(Some(uid))
    }

    async fn find_in_store(&self, repo: &RepoName, name: &BranchName) -> Result<Option<BranchUid>> {
        let lake = self.coordinator.lake(repo);
        let Some((record, deleted)) = BranchRecord::newest(&lake, name).await? else {
            self.repo_record(repo).await?;
            return Ok(None);
        };
        if deleted {
            return Ok(None);
        }
        self.coordinator.names(repo).name(name, record.uid).await?;
        Ok(Some(record.uid))
    }

    /// The record of a repository, or an error that says it is not there.
    pub(super) async fn repo_record(&self, repo: &RepoName) -> Result<RepoRecord> {
        let key = layout::repo(repo);
        match self.coordinator.objects().get(&key).await? {
            Some(bytes) => decode(&key, &bytes),
            None => Err(Error::not_found(format!(
                "there is no repository '{repo}': `onward repo list` shows what there is, `onward repo create {repo}` makes it"
            ))),
        }
    }

    pub(super) fn remember(&self, repo: &RepoName, name: &BranchName, uid: BranchUid) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_KEPT {
            names.clear();
        }
        names.insert((repo.clone(), name.clone()), uid);
    }

    fn forget(&self, repo: &RepoName, name: &BranchName) {
        let key = (repo.clone(), name.clone());
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Finishes the removal of a branch that has ended: whoever notices does it.
    pub(super) async fn finish_deletion(
        &self,
        repo: &RepoName,
        name: &BranchName,
        uid: BranchUid,
    ) -> Result<()> {
        let lake = self.coordinator.lake(repo);
        let record = BranchRecord::of_uid(&lake, name, uid).await?;
        let mark = layout::branch_deleted(repo, name, record.incarnation);
        self.coordinator.objects().put(&mark, bytes::Bytes::new()).await?;
        self.unname(repo, name, uid).await
    }

    /// Forgets that a name stands for an incarnation that it stands for no more.
    async fn unname(&self, repo: &RepoName, name: &BranchName, uid: BranchUid) -> Result<()> {
        self.coordinator.names(repo).unname(name, uid).await?;
        self.forget(repo, name);
        Ok(())
    }
}

#[doc(hidden)]
impl Name for Branch {
    async fn find(&self) -> Result<BranchContext> {
        self.context().await
    }

    async fn bury(&self, ended: &BranchContext) -> Result<()> {
        let repo = ended.lake.repo();
        self.repo.onward.inner.finish_deletion(repo, &ended.name, ended.uid).await
    }

    async fn forget(&self, gone: &BranchContext) -> Result<()> {
        self.repo.onward.inner.unname(gone.lake.repo(), &gone.name, gone.uid).await
    }

    fn nowhere(&self) -> Error {
        match (self.repo.name(), self.branch_name()) {
            (Ok(repo), Ok(name)) => no_branch(&repo, &name),
            (Err(error), _) | (_, Err(error)) => error,
        }
    }
}

fn no_branch(repo: &RepoName, name: &BranchName) -> Error {
    Error::not_found(format!(
        "there is no branch '{name}' in repository '{repo}': `onward branch list {repo}` shows what there is"
    ))
}
