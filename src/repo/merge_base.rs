//! What two refs have in common, and what stands between them path by path.

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::commit::log::lake::Lake;
use crate::commit::merge::graph::merge_base;
use crate::commit::merge::three_way::{Committed, Ruled, three_way};
use crate::model::address::RefExpr;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::tree::ScanStart;

use super::handles::Repository;

/// Decided changes that wait for who reads the stream, at most.
const STREAMED: usize = 1024;

impl Repository {
    /// The merge base of two refs: their nearest common ancestor; `None` where the histories have
    /// nothing in common.
    pub async fn merge_base(&self, a: &RefExpr, b: &RefExpr) -> Result<Option<CommitId>> {
        let (a, b) = (self.require_commit(a).await?, self.require_commit(b).await?);
        merge_base(&self.lake().await?, a, b).await
    }

    /// What merging `source` into `dest` would bring, path by path in order: every change from
    /// their merge base to `source`, decided against `dest`. Costs that difference and a lookup
    /// for each change.
    pub async fn three_way_diff(
        &self,
        dest: &RefExpr,
        source: &RefExpr,
        start: ScanStart,
    ) -> Result<BoxStream<'static, Result<Ruled>>> {
        let source_id = self.require_commit(source).await?;
        let dest_id = self.require_commit(dest).await?;
        let lake = self.lake().await?;
        let base = base_of(&lake, self, (dest, dest_id), (source, source_id)).await?;
        let committed = Committed::at(&lake, Some(dest_id)).await?;
        let base = lake.metarange(&base).await?;
        let source = lake.metarange(&source_id).await?;
        let (sender, receiver) = futures::channel::mpsc::channel(STREAMED);
        tokio::spawn(async move {
            let sink = futures::sink::SinkExt::sink_map_err(sender, |_| ());
            let all = three_way(&lake, base, source, &committed, start);
            // An error here says that nobody listens any more.
            let _ = all.map(Ok).forward(sink).await;
        });
        Ok(receiver.boxed())
    }
}

/// The merge base of two refs, or an error that says there is none.
pub(super) async fn base_of(
    lake: &Lake,
    repo: &Repository,
    (a, a_id): (&RefExpr, CommitId),
    (b, b_id): (&RefExpr, CommitId),
) -> Result<CommitId> {
    merge_base(lake, a_id, b_id).await?.ok_or_else(|| {
        Error::invalid(format!(
            "'{a}' and '{b}' of repository '{}' have no commit in common: there is no merge base, so they cannot be merged",
            repo.display()
        ))
    })
}
