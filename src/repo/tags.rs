//! Tags: names for commits that stay. Their records in the object store are the only copy.

use futures::TryStreamExt;

use crate::commit::log::record::{decode, encode};
use crate::model::address::RefExpr;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::model::name::{BranchName, RepoName, TagName};
use crate::objects::{Created, layout};

use super::handles::Repository;

/// What there is to know of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagInfo {
    /// Name of the tag.
    pub name: TagName,
    /// The commit that it names.
    pub commit: CommitId,
}

impl Repository {
    /// Names the commit of `reference`. Fails with [`crate::ErrorKind::Conflict`] when the name is
    /// taken, and with [`crate::ErrorKind::InvalidInput`] when no ref could lead to it.
    pub async fn create_tag(&self, name: &TagName, reference: &RefExpr) -> Result<TagInfo> {
        name.check_new()?;
        let repo = self.name()?;
        let commit = self.require_commit(reference).await?;
        let (life, _) = self.live().await?;
        self.onward.coordinator().lake(&life).require_content(&commit).await?;
        if let Ok(branch) = BranchName::new(name.as_str())
            && self.onward.inner.find(&repo, &branch).await?.is_some()
        {
            return Err(Error::conflict(format!(
                "'{name}' is the name of a branch in repository '{repo}': choose another"
            ))
            .known_as("tag already exists: not unique"));
        }
        let exists = || {
            Error::conflict(format!(
                "tag '{name}' exists in repository '{repo}': delete it first or choose another name"
            ))
            .known_as("tag already exists: not unique")
        };
        // A create that finds its own bytes is taken for one whose reply was lost.
        if self.find_tag(name).await?.is_some() {
            return Err(exists());
        }
        let objects = self.onward.coordinator().objects();
        match objects.create(&layout::tag(&life, name), encode(&commit)?).await? {
            Created::Written => Ok(TagInfo { name: name.clone(), commit }),
            Created::Found(_) => Err(exists()),
        }
    }

    /// All tags, by name.
    pub async fn tags(&self) -> Result<Vec<TagInfo>> {
        let (life, _) = self.live().await?;
        let objects = self.onward.coordinator().objects();
        let mut names: Vec<TagName> = objects
            .list(&layout::tags_dir(&life), None)
            .try_filter_map(|listed| async move { Ok(layout::parse_tag(&listed.key)) })
            .try_collect()
            .await?;
        names.sort();
        let mut tags = Vec::with_capacity(names.len());
        for name in names {
            if let Some(commit) = self.find_tag(&name).await? {
                tags.push(TagInfo { name, commit });
            }
        }
        Ok(tags)
    }

    /// A tag, or an error that says it is not there.
    pub async fn tag(&self, name: &TagName) -> Result<TagInfo> {
        self.live().await?;
        match self.find_tag(name).await? {
            Some(commit) => Ok(TagInfo { name: name.clone(), commit }),
            None => Err(no_tag(&self.name()?, name)),
        }
    }

    /// Removes a tag. Its commit stays.
    pub async fn delete_tag(&self, name: &TagName) -> Result<()> {
        self.tag(name).await?;
        let key = layout::tag(&self.life().await?, name);
        self.onward.coordinator().objects().delete(&key).await
    }

    /// A tag of the life that the repository was in when last asked.
    pub(super) async fn find_tag(&self, name: &TagName) -> Result<Option<CommitId>> {
        let key = layout::tag(&self.life().await?, name);
        match self.onward.coordinator().objects().get(&key).await? {
            Some(bytes) => decode(&key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn tag_exists(&self, name: &str) -> Result<bool> {
        match TagName::new(name) {
            Ok(name) => Ok(self.find_tag(&name).await?.is_some()),
            Err(_) => Ok(false),
        }
    }
}

fn no_tag(repo: &RepoName, name: &TagName) -> Error {
    Error::not_found(format!("there is no tag '{name}' in repository '{repo}'"))
        .known_as("tag not found")
        .at_the_prompt(format!("`onward tag list {repo}` shows what there is"))
}
