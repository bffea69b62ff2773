//! Pages of names: repositories, branches and tags in their order, as many at a time as asked for.

use futures::{StreamExt, TryStreamExt};

use crate::commit::log::lake::Lake;
use crate::commit::log::record::{BranchRecord, Incarnation, incarnations};
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::model::name::{BranchName, RepoName, TagName};
use crate::objects::layout;

use super::branch::BranchInfo;
use super::handles::Onward;
use super::handles::Repository;
use super::repository::RepoInfo;
use super::tags::TagInfo;

/// Records read at the same time, at most.
const READS: usize = 16;

/// Which page of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamesRequest {
    /// Only names that begin with this.
    pub prefix: String,
    /// Only names behind this one.
    pub after: String,
    /// The most names to return.
    pub amount: usize,
}

impl NamesRequest {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && (self.after.is_empty() || name > self.after.as_str())
    }
}

/// A page of what has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamePage<T> {
    /// What was asked for, by name.
    pub items: Vec<T>,
    /// Whether there are more behind it.
    pub has_more: bool,
}

impl<T> NamePage<T> {
    /// The first `amount` of what `reads` find in their order. No more is read than that takes, but
    /// for the [`READS`] under way.
    async fn read(
        reads: impl Iterator<Item = impl Future<Output = Result<Option<T>>>>,
        amount: usize,
    ) -> Result<Self> {
        let mut items: Vec<T> = futures::stream::iter(reads)
            .buffered(READS)
            .try_filter_map(|found| async { Ok(found) })
            .take(amount.saturating_add(1))
            .try_collect()
            .await?;
        let has_more = items.len() > amount;
        items.truncate(amount);
        Ok(Self { items, has_more })
    }
}

impl Onward {
    /// A page of the repositories whose names contain `search`. Costs a listing of the names, and a
    /// read for each repository of the page.
    pub async fn repos_page(
        &self,
        request: &NamesRequest,
        search: &str,
    ) -> Result<NamePage<RepoInfo>> {
        let names = self.repo_names().await?.into_iter();
        let wanted =
            names.filter(|name| request.wants(name.as_str()) && name.as_str().contains(search));
        let reads = wanted.map(|name| async move { self.repo(name.as_str()).find().await });
        NamePage::read(reads, request.amount).await
    }

    /// The names of all repositories that there are, or were, in order. Costs a listing.
    pub(super) async fn repo_names(&self) -> Result<Vec<RepoName>> {
        let dirs = self.coordinator().objects().list_dirs("").await?;
        let mut names: Vec<RepoName> =
            dirs.into_iter().filter_map(|name| RepoName::new(name).ok()).collect();
        names.sort();
        Ok(names)
    }
}

impl Repository {
    /// A page of the branches; with `hidden` those that lists otherwise leave out, too. Costs a
    /// listing of all names there ever were, and two reads for each branch of the page.
    pub async fn branches_page(
        &self,
        request: &NamesRequest,
        hidden: bool,
    ) -> Result<NamePage<BranchInfo>> {
        let lake = &self.onward.coordinator().lake(&self.live().await?.0);
        let wanted = incarnations(lake)
            .await?
            .into_iter()
            .filter(|found| found.live && request.wants(found.name.as_str()));
        let reads = wanted.map(|found| async move {
            match self.listed(lake, &found, hidden).await {
                // It ended between two looks.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                // What is wrong with one branch is no reason to show none.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerVersion) =>
                {
                    Ok(Some(BranchInfo::damaged(found.name, &error)))
                }
                listed => listed,
            }
        });
        NamePage::read(reads, request.amount).await
    }

    async fn listed(
        &self,
        lake: &Lake,
        found: &Incarnation,
        hidden: bool,
    ) -> Result<Option<BranchInfo>> {
        let record = BranchRecord::read(lake, &found.name, found.number).await?;
        if record.is_none_or(|record| record.hidden && !hidden) {
            return Ok(None);
        }
        self.branch(found.name.as_str()).show().await.map(Some)
    }

    /// All branches, by name. One that is damaged is among them, and says so.
    pub async fn branches(&self) -> Result<Vec<BranchInfo>> {
        let all = NamesRequest { amount: usize::MAX, ..NamesRequest::default() };
        Ok(self.branches_page(&all, true).await?.items)
    }

    /// The heads of all branches, by name. Fails where one cannot be read.
    pub(super) async fn heads(&self) -> Result<Vec<(BranchName, CommitId)>> {
        let mut heads = Vec::new();
        for mut info in self.branches().await? {
            if info.damage.is_some() {
                info = self.branch(info.name.as_str()).show().await?;
            }
            heads.extend(info.commit.map(|head| (info.name, head)));
        }
        Ok(heads)
    }

    /// A page of the tags. Costs a listing of their names, and a read for each tag of the page.
    pub async fn tags_page(&self, request: &NamesRequest) -> Result<NamePage<TagInfo>> {
        let (life, _) = self.live().await?;
        let mut names: Vec<TagName> = self
            .onward
            .coordinator()
            .objects()
            .list(&layout::tags_dir(&life), None)
            .try_filter_map(|listed| async move { Ok(layout::parse_tag(&listed.key)) })
            .try_filter(|name| std::future::ready(request.wants(name.as_str())))
            .try_collect()
            .await?;
        names.sort();
        let reads = names.into_iter().map(|name| async move {
            Ok(self.find_tag(&name).await?.map(|commit| TagInfo { name, commit }))
        });
        NamePage::read(reads, request.amount).await
    }
}
