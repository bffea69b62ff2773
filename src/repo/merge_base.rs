//! What two refs have in common, and what stands between them path by path.

use std::sync::Arc;

use futures::stream::BoxStream;

use crate::commit::log::lake::Lake;
use crate::commit::merge::graph::{self, Apart, merge_base};
use crate::commit::merge::three_way::{Committed, Ruled, three_way};
use crate::model::address::RefExpr;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::tree::{Metarange, ScanStart};

use super::handles::Repository;

impl Repository {
    /// The merge base of two refs: their nearest common ancestor; `None` where the histories have
    /// nothing in common.
    pub async fn merge_base(&self, a: &RefExpr, b: &RefExpr) -> Result<Option<CommitId>> {
        let (a, b) = (self.require_commit(a).await?, self.require_commit(b).await?);
        merge_base(&self.lake().await?, a, b).await
    }

    /// How far each of `heads`, at most 63, and `base` have gone apart. Costs the commits
    /// that not all of them have, at most about `visits_max`, each visited once.
    #[doc(hidden)]
    pub async fn apart(
        &self,
        base: CommitId,
        heads: &[CommitId],
        visits_max: usize,
    ) -> Result<Vec<Apart>> {
        graph::apart(&self.lake().await?, base, heads, visits_max).await
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
        Ok(self.three_way(dest, source).await?.from(start))
    }

    /// What merging `source` into `dest` would bring, ready to be read from any path on. Costs the walk to
    /// the merge base, once.
    #[doc(hidden)]
    pub async fn three_way(&self, dest: &RefExpr, source: &RefExpr) -> Result<ThreeWay> {
        let source_id = self.require_commit(source).await?;
        let dest_id = self.require_commit(dest).await?;
        let lake = self.lake().await?;
        let base = base_of(&lake, self, (dest, dest_id), (source, source_id)).await?;
        let dest = Arc::new(Committed::at(&lake, Some(dest_id)).await?);
        let (base, source) = (lake.metarange(&base).await?, lake.metarange(&source_id).await?);
        Ok(ThreeWay { lake, base, source, dest })
    }
}

/// Three ways that were looked up: every change of the second side since the base, beside what the first
/// one has.
#[derive(Debug, Clone)]
pub struct ThreeWay {
    lake: Lake,
    base: Metarange,
    source: Metarange,
    dest: Arc<Committed>,
}

impl ThreeWay {
    /// The decided changes from some path on. Whoever reads them does the work: nobody's end is taken for
    /// theirs.
    pub fn from(&self, start: ScanStart) -> BoxStream<'static, Result<Ruled>> {
        let dest = Arc::clone(&self.dest);
        three_way(&self.lake, self.base.clone(), self.source.clone(), dest, start)
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
