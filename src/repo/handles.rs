//! What users hold: a deployment, a repository by name, a branch by name. Nothing is checked until
//! one is used; what can be done with each is in the files that are named for it.

use std::sync::Arc;

use crate::commit::Coordinator;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::Name;
use crate::model::error::{Error, Result};
use crate::model::name::{BranchName, RepoName};

use super::deployment::Deployment;
use super::names::no_branch;

/// A deployment of Onward: one Redis, one object store, any number of repositories. Cheap to
/// clone; clones share connections, caches and helpers.
#[derive(Debug, Clone)]
pub struct Onward {
    pub(super) deployment: Arc<Deployment>,
}

impl Onward {
    /// A repository, by name. Nothing is checked until it is used.
    pub fn repo(&self, name: impl Into<String>) -> Repository {
        Repository { onward: self.clone(), name: name.into() }
    }

    /// This process's part in the protocol.
    pub fn coordinator(&self) -> &Coordinator {
        &self.deployment.coordinator
    }
}

/// A repository, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) onward: Onward,
    name: String,
}

impl Repository {
    pub(super) fn name(&self) -> Result<RepoName> {
        RepoName::new(self.name.as_str())
    }

    /// A branch, by name. Nothing is checked until it is used.
    pub fn branch(&self, name: impl Into<String>) -> Branch {
        Branch { repo: self.clone(), name: name.into() }
    }
}

/// A branch of a repository, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Branch {
    pub(super) repo: Repository,
    name: String,
}

impl Branch {
    pub(super) fn branch_name(&self) -> Result<BranchName> {
        BranchName::new(self.name.as_str())
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repo
    }
}

impl Name for Branch {
    async fn find(&self) -> Result<BranchContext> {
        self.context().await
    }

    async fn bury(&self, ended: &BranchContext) -> Result<()> {
        let repo = ended.lake.repo();
        self.repo.onward.deployment.finish_deletion(repo, &ended.name, ended.uid).await
    }

    async fn forget(&self, gone: &BranchContext) -> Result<()> {
        self.repo.onward.deployment.unname(gone.lake.repo(), &gone.name, gone.uid).await
    }

    fn nowhere(&self) -> Error {
        match (self.repo.name(), self.branch_name()) {
            (Ok(repo), Ok(name)) => no_branch(&repo, &name),
            (Err(error), _) | (_, Err(error)) => error,
        }
    }
}
