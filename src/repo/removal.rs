//! The end of a repository: its name is told to be going before anything of it goes.
//!
//! 1. Its record says *ending*: nobody makes a repository, branch or tag of that name any more.
//! 2. Every branch ends in its turn, so that each op that was accepted has its outcome.
//! 3. Its record says *removing*: whatever a process still remembers of it is over.
//! 4. All that it has is removed, but the record.
//! 5. Its record says *removed*: the name is free, for a life that lies in a folder of its own.
//!
//! Each step can be taken again, by whoever comes, at the same time too. What a process of the old
//! life writes that slept through all of it lies in the folder of the old life, where nobody looks
//! for anything but garbage.

use futures::TryStreamExt;

use crate::commit::context::BranchContext;
use crate::commit::log::record::{RepoRecord, RepoState};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::life::{LIVES, RepoLife};
use crate::objects::{Objects, becoming, layout};

use super::handles::Repository;
use super::lives::{self, Life};
use super::place::living;

/// Objects deleted at the same time, at most.
const DELETES: usize = 32;

impl Repository {
    /// Deletes the repository: every branch ends in its turn, then all that the repository has in
    /// the object store is removed. Objects linked from elsewhere are not touched. While it lasts
    /// the repository is [`ErrorKind::NotFound`] to everybody, and its name is taken; a deletion that
    /// was interrupted is finished by calling this again.
    pub async fn delete(&self) -> Result<()> {
        let name = self.name()?;
        let coordinator = self.onward.coordinator();
        let (objects, faults) = (coordinator.objects(), coordinator.faults());
        let life = self.deletable().await?;
        RepoRecord::bring_to(objects, &life, RepoState::Ending).await?;
        self.onward.inner.forget_life(&name);
        self.forget_rules(&name);
        faults.pass("repo-ending").await?;
        self.end_branches(&life).await?;
        RepoRecord::bring_to(objects, &life, RepoState::Removing).await?;
        coordinator.names(&life).forget().await?;
        faults.pass("repo-removing").await?;
        remove_all(objects, &life).await?;
        faults.pass("repo-emptied").await?;
        RepoRecord::bring_to(objects, &life, RepoState::Removed).await?;
        Ok(())
    }

    /// Fails with [`ErrorKind::NotFound`] where there is nothing to delete.
    #[doc(hidden)]
    pub async fn check_deletable(&self) -> Result<()> {
        self.deletable().await.map(drop)
    }

    /// The life that can be deleted: one that goes on, or whose deletion was begun.
    async fn deletable(&self) -> Result<RepoLife> {
        let name = self.name()?;
        match RepoRecord::newest(self.onward.coordinator().objects(), &name).await? {
            Some((life, record)) if record.state != RepoState::Removed => Ok(life),
            none => living(&name, none).map(|(life, _)| life),
        }
    }

    async fn end_branches(&self, life: &RepoLife) -> Result<()> {
        let coordinator = self.onward.coordinator();
        let lake = coordinator.lake(life);
        for Life { name, record, .. } in
            lives::all(&lake).await?.into_iter().filter(|branch| branch.live)
        {
            let uid = match record {
                Ok(record) => record.uid,
                // Nobody can read what it was; Redis may know which one it is.
                Err(error) => match coordinator.names(life).find(&name).await? {
                    Some(uid) => {
                        tracing::warn!(%error, branch = %name, "a branch ends without its record");
                        coordinator.context(life, &name, uid).redis.forget().await?;
                        continue;
                    }
                    None => continue,
                },
            };
            let branch: BranchContext = coordinator.context(life, &name, uid);
            match self.branch(name.as_str()).end_in(&branch).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Removes all that a life has, but its record and the lives that came after it.
pub(super) async fn remove_all(objects: &Objects, life: &RepoLife) -> Result<()> {
    let folder = layout::repo_dir(life);
    let is_later = |name: &str| name == LIVES && life.number() == 1;
    for name in objects.list_dirs(&folder).await? {
        if is_later(&name) {
            continue;
        }
        objects
            .list(&format!("{folder}/{name}"), None)
            .try_for_each_concurrent(
                DELETES,
                |listed| async move { objects.delete(&listed.key).await },
            )
            .await?;
    }
    let settings = [
        layout::protection(life),
        layout::write_policy(life),
        layout::sinks(life),
        layout::metadata(life),
    ];
    for key in settings.into_iter().chain([layout::hint_key(life)]) {
        objects.delete(&key).await?;
    }
    let later = format!("{folder}/{LIVES}/");
    // Who deletes it at the same time may be writing its record.
    let record = layout::repo(life);
    for listed in objects.unfinished(&folder).await? {
        let is_later = life.number() == 1 && listed.key.starts_with(&later);
        if !is_later && becoming(&listed.key) != Some(record.as_str()) {
            objects.remove_unfinished(&listed.key).await?;
        }
    }
    Ok(())
}

/// Removes what processes have left that slept through the end of a life and wrote on in it: of all
/// lives before this one.
pub(super) async fn remove_strays(objects: &Objects, life: &RepoLife) -> Result<()> {
    for number in 1..life.number() {
        remove_all(objects, &RepoLife::new(life.name().clone(), number)).await?;
    }
    Ok(())
}

/// The error of whoever made something in a repository that came to its end meanwhile.
pub(super) async fn require_live(objects: &Objects, life: &RepoLife) -> Result<()> {
    let record = RepoRecord::of(objects, life).await?;
    match living(life.name(), record.map(|record| (life.clone(), record))) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::not_found(format!(
            "repository '{}' was deleted meanwhile: nothing was made in it",
            life.name()
        ))),
        Err(error) => Err(error),
    }
}
