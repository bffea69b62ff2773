//! From names to lives of repositories and incarnations of branches, and back from doubt to truth.
//!
//! Redis answers first; what it does not know is looked up in the object store, which decides, and
//! put back. So a Redis that lost everything is repaired by use. Which life a repository's name
//! stands for only the object store says; a process remembers it for a while, or until it is found wrong.

use std::sync::PoisonError;
use std::time::Duration;

use crate::commit::context::BranchContext;
use crate::commit::log::record::{BranchRecord, RepoRecord};
use crate::commit::mend::present::Name;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};
use crate::objects::layout;

use super::config::NAMES_KEPT;
use super::handles::{Branch, Deployment};
use super::known_lives::Remembered;
use super::place::{Place, living};

/// How long the object store may take to say which life a repository is in that one is known of.
const ASKING: Duration = Duration::from_secs(1);

impl Deployment {
    /// The incarnation that a branch name stands for.
    pub(super) async fn resolve(&self, repo: &RepoName, name: &BranchName) -> Result<Place> {
        self.find(repo, name).await?.ok_or_else(|| no_branch(repo, name))
    }

    /// What the name of a branch stands for, or `None`. The repository must be there.
    pub(super) async fn find(&self, repo: &RepoName, name: &BranchName) -> Result<Option<Place>> {
        let known = self.known_place(repo, name);
        if let Some(known) = &known
            && self.still_in(&known.life).await?
        {
            return Ok(Some(known.clone()));
        }
        Box::pin(self.look_up(repo, name)).await
    }

    fn known_place(&self, repo: &RepoName, name: &BranchName) -> Option<Place> {
        let key = (repo.clone(), name.clone());
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Whether a repository is in this life, as far as is known. Fails where it is known to be gone.
    async fn still_in(&self, life: &RepoLife) -> Result<bool> {
        match self.lives.recall(life.name()) {
            Remembered::Fresh(now) => Ok(now == *life),
            // Boxed: what seldom happens should not make every question as large.
            Remembered::Stale(now) => Ok(Box::pin(self.ask_again(now)).await? == *life),
            Remembered::Nothing => Ok(false),
        }
    }

    /// Asks for the life of a repository that was in `last` some time ago. An object store that does not
    /// answer soon holds up nobody who can go on without it.
    async fn ask_again(&self, last: RepoLife) -> Result<RepoLife> {
        match tokio::time::timeout(ASKING, self.live(last.name())).await {
            Ok(Ok((life, _))) => Ok(life),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Err(error),
            Ok(Err(_)) | Err(_) => Ok(last),
        }
    }

    async fn look_up(&self, repo: &RepoName, name: &BranchName) -> Result<Option<Place>> {
        let life = self.life(repo).await?;
        let uid = match self.coordinator.names(&life).find(name).await? {
            Some(uid) => Some(uid),
            // The life that is remembered may be over, with all that it had.
            None => self.find_in_store(&self.live(repo).await?.0, name).await?,
        };
        let Some(uid) = uid else { return Ok(None) };
        let place = Place { life: self.life(repo).await?, uid };
        self.remember(name, place.clone());
        Ok(Some(place))
    }

    async fn find_in_store(&self, life: &RepoLife, name: &BranchName) -> Result<Option<BranchUid>> {
        let lake = self.coordinator.lake(life);
        match BranchRecord::newest(&lake, name).await? {
            Some((record, false)) => {
                self.coordinator.names(life).name(name, record.uid).await?;
                Ok(Some(record.uid))
            }
            Some((_, true)) | None => Ok(None),
        }
    }

    /// The life of a repository, as it was when last asked; see [`Deployment::live`].
    pub(super) async fn life(&self, repo: &RepoName) -> Result<RepoLife> {
        match self.lives.recall(repo) {
            Remembered::Fresh(life) => Ok(life),
            Remembered::Stale(last) => Box::pin(self.ask_again(last)).await,
            Remembered::Nothing => Ok(self.live(repo).await?.0),
        }
    }

    /// The life that a repository is in now and its record, or an error that says that it is not
    /// there, or is being deleted.
    pub(super) async fn live(&self, repo: &RepoName) -> Result<(RepoLife, RepoRecord)> {
        let objects = self.coordinator.objects();
        let found = RepoRecord::newest(objects, repo).await;
        let found = found.and_then(|found| living(repo, found));
        match &found {
            Ok((life, _)) => self.remember_life(life),
            Err(error) if error.kind() == ErrorKind::NotFound => self.forget_life(repo),
            Err(_) => {}
        }
        found
    }

    pub(super) fn remember_life(&self, life: &RepoLife) {
        self.lives.remember(life);
    }

    pub(super) fn forget_life(&self, repo: &RepoName) {
        self.lives.forget(repo);
    }

    pub(super) fn remember(&self, name: &BranchName, place: Place) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_KEPT {
            names.clear();
        }
        names.insert((place.life.name().clone(), name.clone()), place);
    }

    /// Finishes the removal of a branch that has ended: whoever notices does it. Where the whole
    /// repository was removed meanwhile, nothing is left to be done.
    pub(super) async fn finish_deletion(&self, ended: &BranchContext) -> Result<()> {
        let (lake, name, uid) = (&ended.lake, &ended.name, ended.uid);
        if let Some((record, _)) = BranchRecord::find_uid(lake, name, uid).await? {
            let mark = layout::branch_deleted(lake.life(), name, record.incarnation);
            self.coordinator.objects().put(&mark, bytes::Bytes::new()).await?;
        }
        self.unname(ended).await
    }

    /// Forgets that a name stands for an incarnation that it stands for no more.
    pub(super) async fn unname(&self, gone: &BranchContext) -> Result<()> {
        let (life, name) = (gone.lake.life(), &gone.name);
        self.coordinator.names(life).unname(name, gone.uid).await?;
        let key = (life.name().clone(), name.clone());
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Ok(())
    }

    /// Looks anew, at the next use, for what the names of a branch and its repository stand for.
    pub(super) fn forget_place(&self, over: &BranchContext) {
        let repo = over.lake.repo();
        self.forget_life(repo);
        self.forget_rules(repo);
        let key = (repo.clone(), over.name.clone());
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

#[doc(hidden)]
impl Name for Branch {
    async fn find(&self) -> Result<BranchContext> {
        self.context().await
    }

    async fn bury(&self, ended: &BranchContext) -> Result<()> {
        self.repo.onward.inner.finish_deletion(ended).await
    }

    async fn forget(&self, gone: &BranchContext) -> Result<()> {
        self.repo.onward.inner.forget_place(gone);
        self.repo.onward.inner.unname(gone).await
    }

    fn nowhere(&self) -> Error {
        match (self.repo.name(), self.branch_name()) {
            (Ok(repo), Ok(name)) => no_branch(&repo, &name),
            (Err(error), _) | (_, Err(error)) => error,
        }
    }
}

fn no_branch(repo: &RepoName, name: &BranchName) -> Error {
    Error::not_found(format!("there is no branch '{name}' in repository '{repo}'"))
        .known_as("branch not found")
        .at_the_prompt(format!("`onward branch list {repo}` shows what there is"))
}
