//! History: single commits, and what differs between two refs.

use futures::stream::BoxStream;

use crate::model::address::RefExpr;
use crate::model::commit::Commit;
use crate::model::error::Result;
use crate::model::ids::{CommitId, Ticket};
use crate::tree::{Diff, Metarange, ScanStart};

use super::handles::Repository;

/// A commit with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitInfo {
    /// Id of the commit.
    pub id: CommitId,
    /// What it says.
    pub commit: Commit,
}

impl CommitInfo {
    /// The commit's place in the order of the branch it was made on.
    pub fn ticket(&self) -> Ticket {
        self.id.first_ticket().plus(self.id.index().into())
    }
}

impl Repository {
    /// Shows the commit that a ref names.
    pub async fn show_commit(&self, reference: &RefExpr) -> Result<CommitInfo> {
        self.commit_info(self.require_commit(reference).await?).await
    }

    /// A commit by its id.
    pub async fn commit_info(&self, id: CommitId) -> Result<CommitInfo> {
        Ok(CommitInfo { id, commit: self.commit(&id).await? })
    }

    /// What is different in `right` from `left`, in path order; both by what is committed. Costs
    /// what differs, not what there is.
    pub async fn diff(
        &self,
        left: &RefExpr,
        right: &RefExpr,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<Diff>>> {
        self.diff_from(left, right, ScanStart::prefix(prefix)).await
    }

    /// What changed between two refs, from some path on.
    pub async fn diff_from(
        &self,
        left: &RefExpr,
        right: &RefExpr,
        start: ScanStart,
    ) -> Result<BoxStream<'static, Result<Diff>>> {
        let left = self.metarange_of(left).await?;
        let right = self.metarange_of(right).await?;
        Ok(self.lake().await?.diff(left, right, start))
    }

    pub(super) async fn metarange_of(&self, reference: &RefExpr) -> Result<Metarange> {
        match self.commit_of(reference).await? {
            None => Ok(Metarange::default()),
            Some(id) => self.lake().await?.metarange(&id).await,
        }
    }
}
