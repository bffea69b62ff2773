//! History: the log of a ref, and what differs between two.

use std::collections::{BinaryHeap, HashSet};

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::model::address::RefExpr;
use crate::model::commit::Commit;
use crate::model::error::Result;
use crate::model::ids::{CommitId, Ticket};
use crate::tree::{Diff, Metarange, ScanStart};

use super::repository::Repository;

/// A commit with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
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

/// Newest first: by creation time, then id; a parent never before its child.
#[derive(PartialEq, Eq)]
struct Next {
    created_ms: i64,
    info: CommitInfo,
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |next: &Self| (next.created_ms, next.info.commit.generation, next.info.id);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Walk {
    repo: Repository,
    start: Option<CommitId>,
    heap: BinaryHeap<Next>,
    seen: HashSet<CommitId>,
}

impl Walk {
    async fn visit(&mut self, id: CommitId) -> Result<()> {
        if self.seen.insert(id) {
            let commit = self.repo.commit(&id).await?;
            let created_ms = commit.created_ms;
            self.heap.push(Next { created_ms, info: CommitInfo { id, commit } });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<CommitInfo>> {
        if let Some(start) = self.start.take() {
            self.visit(start).await?;
        }
        let Some(Next { info, .. }) = self.heap.pop() else {
            return Ok(None);
        };
        for parent in &info.commit.parents {
            self.visit(*parent).await?;
        }
        Ok(Some(info))
    }
}

impl Repository {
    /// The commits that `reference` leads to, newest first. Reads as far as it is polled.
    pub async fn log(&self, reference: &RefExpr) -> Result<BoxStream<'static, Result<CommitInfo>>> {
        let start = self.commit_of(reference).await?;
        let walk =
            Walk { repo: self.clone(), start, heap: BinaryHeap::new(), seen: HashSet::new() };
        Ok(stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|info| (info, walk)))
        })
        .boxed())
    }

    /// One commit.
    pub async fn show_commit(&self, reference: &RefExpr) -> Result<CommitInfo> {
        let id = self.require_commit(reference).await?;
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

    /// The same, from some path on.
    pub async fn diff_from(
        &self,
        left: &RefExpr,
        right: &RefExpr,
        start: ScanStart,
    ) -> Result<BoxStream<'static, Result<Diff>>> {
        let left = self.metarange_of(left).await?;
        let right = self.metarange_of(right).await?;
        Ok(self.lake()?.diff(left, right, start))
    }

    pub(super) async fn metarange_of(&self, reference: &RefExpr) -> Result<Metarange> {
        match self.commit_of(reference).await? {
            None => Ok(Metarange::default()),
            Some(id) => self.lake()?.metarange(&id).await,
        }
    }
}
