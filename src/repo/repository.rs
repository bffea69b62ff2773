//! A repository: creating and showing it.

use crate::clock;
use crate::commit::log::record::{BranchRecord, RepoRecord, RepoState};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{OpId, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};
use crate::model::outcome::Outcome;
use crate::objects::{Created, layout};

use super::branch::NewBranch;
use super::handles::{Branch, Repository};
use super::place::finishes;

/// As lakeFS says that a repository exists.
const NOT_UNIQUE: &str = "error creating repository: not unique";

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
    /// Creates the repository with a default branch and a first, empty commit on it; one that was
    /// begun and left is finished. Fails with [`crate::ErrorKind::Conflict`] when it exists, and
    /// while one of that name is being deleted.
    pub async fn create(&self, default_branch: &BranchName) -> Result<RepoInfo> {
        self.onward.check_storage().await?;
        let (life, record) = self.begin(default_branch).await?;
        self.onward.inner.remember_life(&life);
        self.forget_rules(life.name());
        self.onward.coordinator().faults().pass("repo-begun").await?;
        let branch = self.branch(record.default_branch.as_str());
        match branch.create_in(&life, None, NewBranch::default()).await {
            // Somebody else finished what was begun.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            made => drop(made?),
        }
        self.make_first_commit(&branch, &record).await.map_err(|error| {
            error.context(format!(
                "repository '{}' was begun and has no first commit yet (create it again to finish it)",
                record.name
            ))
        })?;
        Ok(record.into())
    }

    /// The record of the life that is being created: a new one, or one that was begun and left.
    async fn begin(&self, default_branch: &BranchName) -> Result<(RepoLife, RepoRecord)> {
        let name = self.name()?;
        let objects = self.onward.coordinator().objects();
        let record = RepoRecord {
            name: name.clone(),
            default_branch: default_branch.clone(),
            created_ms: clock::now_ms(),
            state: RepoState::Live,
        };
        let life = match RepoRecord::newest(objects, &name).await? {
            None => RepoLife::first(name),
            Some((life, found)) if found.state == RepoState::Removed => life.next(),
            Some((life, found)) => return self.go_on(life, found).await,
        };
        let key = layout::repo(&life);
        match objects.create(&key, record.encode()?).await? {
            Created::Written => Ok((life, record)),
            Created::Found(theirs) => self.go_on(life, RepoRecord::decode(&key, &theirs)?).await,
        }
    }

    /// A repository that was begun by somebody who may have gone away before it was whole.
    async fn go_on(&self, life: RepoLife, found: RepoRecord) -> Result<(RepoLife, RepoRecord)> {
        let name = life.name();
        if found.state != RepoState::Live {
            return Err(Error::conflict(format!(
                "repository '{name}' is being deleted: create it when that is done, or delete it once more first"
            ))
            .known_as(NOT_UNIQUE)
            .at_the_prompt(finishes(name)));
        }
        let lake = self.onward.coordinator().lake(&life);
        let is_whole = match BranchRecord::newest(&lake, &found.default_branch).await? {
            None => false,
            Some((branch, ended)) => {
                // The first life of the branch that begins from nothing has the first commit.
                ended
                    || branch.start.is_some()
                    || lake.entry(branch.uid, Ticket(1)).await?.is_some()
            }
        };
        if is_whole {
            return Err(Error::conflict(format!(
                "repository '{name}' exists: choose another name"
            ))
            .known_as(NOT_UNIQUE));
        }
        Ok((life, found))
    }

    async fn make_first_commit(&self, branch: &Branch, record: &RepoRecord) -> Result<()> {
        // Once, whoever finishes it.
        let op_id = format!("create {} {}", record.name, record.created_ms);
        let first = branch.change().message("Repository created").allow_empty(true);
        match first.op_id(OpId::of_bytes(op_id.as_bytes())).commit().await? {
            Outcome::Failed { reason, .. } => Err(Error::conflict(reason)),
            _ => Ok(()),
        }
    }

    /// The repository's record, or an error that says it is not there.
    pub async fn show(&self) -> Result<RepoInfo> {
        Ok(self.live().await?.1.into())
    }

    /// What there is to know of the repository, or `None`.
    pub(super) async fn find(&self) -> Result<Option<RepoInfo>> {
        match self.show().await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
