//! What is staged on a branch, compared with what is committed there.

use futures::{StreamExt, TryStreamExt};

use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;
use crate::tree::{Diff, ScanStart};

use super::handles::Branch;

/// Paths looked up at the same time, at most.
const LOOKUPS: usize = 16;

impl Branch {
    /// What is staged and differs from the head, in path order, and where to go on: at most `limit`
    /// staged paths are looked at, some of which may come to nothing.
    pub async fn staged_diff(
        &self,
        start: &ScanStart,
        limit: usize,
    ) -> Result<(Vec<Diff>, Option<ScanStart>)> {
        let staged = self.staged_from(start, limit).await?;
        let last = staged.last().filter(|_| staged.len() >= limit);
        let next = last.map(|change| start.clone().after(change.path.as_str()));
        let head = self.show().await?.commit;
        let lake = &self.repo.lake().await?;
        let metarange = &match &head {
            Some(head) => lake.metarange(head).await?,
            None => Default::default(),
        };
        let looked_up = futures::stream::iter(staged)
            .map(|change| async move {
                let before = lake.tree().get(metarange, &change.path).await?;
                Ok(differing(change.path, before, change.change.entry().cloned()))
            })
            .buffered(LOOKUPS)
            .try_filter_map(|diff| async { Ok(diff) })
            .try_collect()
            .await?;
        Ok((looked_up, next))
    }
}

fn differing(path: ObjectPath, before: Option<Entry>, after: Option<Entry>) -> Option<Diff> {
    let same = match (&before, &after) {
        (None, None) => true,
        (Some(before), Some(after)) => before.same_identity(after),
        _ => false,
    };
    (!same).then_some(Diff { path, before, after })
}
