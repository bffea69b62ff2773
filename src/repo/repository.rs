//! A repository: creating, showing, listing, deleting it and its branches.

use futures::{StreamExt, TryStreamExt};

use crate::clock;
use crate::commit::log::record::{BranchRecord, RepoRecord, decode, encode};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::OpId;
use crate::model::name::{BranchName, RepoName};
use crate::objects::{Created, layout};

use super::branch::{BranchInfo, NewBranch};
use super::handles::Repository;

/// Objects deleted at the same time, at most.
const DELETES: usize = 32;

/// What there is to say of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepoInfo {
    /// Name of the repository.
    pub name: RepoName,
    /// Its default branch.
    pub default_branch: BranchName,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
}

#[doc(hidden)]
impl From<RepoRecord> for RepoInfo {
    fn from(record: RepoRecord) -> Self {
        Self {
            name: record.name,
            default_branch: record.default_branch,
            created_ms: record.created_ms,
        }
    }
}

impl Repository {
    /// Creates the repository with a default branch and a first, empty commit on it. Fails with
    /// [`crate::ErrorKind::Conflict`] when it exists.
    pub async fn create(&self, default_branch: &BranchName) -> Result<RepoInfo> {
        let name = self.name()?;
        self.onward.check_storage().await?;
        let record = RepoRecord {
            name: name.clone(),
            default_branch: default_branch.clone(),
            created_ms: clock::now_ms(),
        };
        let objects = self.onward.coordinator().objects();
        let exists = || Error::conflict(format!("repository '{name}' exists: choose another name"));
        let key = layout::repo(&name);
        let record = match objects.create(&key, encode(&record)?).await? {
            Created::Written => record,
            Created::Found(theirs) => {
                // Whoever began it may have gone away before its branch was there.
                let begun: RepoRecord = decode(&key, &theirs)?;
                let lake = self.onward.coordinator().lake(&name);
                if BranchRecord::newest(&lake, &begun.default_branch).await?.is_some() {
                    return Err(exists());
                }
                begun
            }
        };
        let branch = self.branch(record.default_branch.as_str());
        match branch.create_at(None, NewBranch::default()).await {
            // Somebody else finished what was begun.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            made => drop(made?),
        }
        // Once, whoever finishes it.
        let op_id = OpId::of_bytes(format!("create {name} {}", record.created_ms).as_bytes());
        let first = branch.change().message("Repository created").allow_empty(true);
        first.op_id(op_id).commit().await?;
        Ok(record.into())
    }

    /// The repository's record, or an error that says it is not there.
    pub async fn show(&self) -> Result<RepoInfo> {
        Ok(self.onward.inner.repo_record(&self.name()?).await?.into())
    }

    /// What there is to know of the repository, or `None`.
    pub(super) async fn find(&self) -> Result<Option<RepoInfo>> {
        match self.show().await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All branches, by name.
    pub async fn branches(&self) -> Result<Vec<BranchInfo>> {
        let name = self.name()?;
        self.onward.inner.repo_record(&name).await?;
        let lake = self.onward.coordinator().lake(&name);
        let records = BranchRecord::all_live(&lake).await?;
        let shown = futures::stream::iter(records)
            .map(|record| async move {
                match self.branch(record.name.as_str()).show().await {
                    Ok(info) => Ok(Some(info)),
                    // It ended between the two looks.
                    Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffered(16)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(shown.into_iter().flatten().collect())
    }

    /// Deletes the repository: every branch ends in its turn, then all that the repository has in
    /// the object store is removed. Objects linked from elsewhere are not touched.
    pub async fn delete(&self) -> Result<()> {
        let name = self.name()?;
        self.onward.inner.repo_record(&name).await?;
        let lake = self.onward.coordinator().lake(&name);
        for record in BranchRecord::all_live(&lake).await? {
            let branch = self.branch(record.name.as_str());
            match branch.end().await {
                Err(error) if error.kind() != crate::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.onward
                .coordinator()
                .context(&name, &record.name, record.uid)
                .redis
                .forget()
                .await?;
        }
        self.onward.coordinator().names(&name).forget().await?;
        let objects = self.onward.coordinator().objects();
        // The record goes last: while it is there nobody can create the name anew, whose objects
        // would then be deleted as well.
        let record = layout::repo(&name);
        objects
            .list(&layout::repo_dir(&name), None)
            .try_filter(|listed| std::future::ready(listed.key != record))
            .try_for_each_concurrent(
                DELETES,
                |listed| async move { objects.delete(&listed.key).await },
            )
            .await?;
        for listed in objects.unfinished(&layout::repo_dir(&name)).await? {
            objects.remove_unfinished(&listed.key).await?;
        }
        objects.delete(&record).await?;
        self.forget_protection(&name);
        Ok(())
    }
}
