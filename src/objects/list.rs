//! Listings: as the backend gives them, the first so many in order, and the folders of a folder.

use std::collections::BinaryHeap;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use super::key;
use super::store::Objects;
use crate::model::error::{Error, Result};

/// The most entries [`Objects::list_sorted`] returns at once.
pub const LIST_SORTED_MAX: usize = 10_000;

/// The most folders [`Objects::list_dirs`] returns.
const LIST_DIRS_MAX: usize = 1_000_000;

/// One object of a listing. Ordered by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The key, relative to the root.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the clock of the store, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
}

impl Objects {
    /// Lists the objects under the folder `prefix` (empty: all), recursively, those behind the key
    /// `after` only, if given.
    ///
    /// **Order is the backend's**: by key on S3, GCS, Azure and in memory, arbitrary on local
    /// files. Objects written or deleted meanwhile may or may not appear. A prefix means a folder:
    /// `a` lists `a/b` but not `ab`. Bounded memory; the deadline holds for each entry.
    pub fn list(&self, prefix: &str, after: Option<&str>) -> BoxStream<'static, Result<Listed>> {
        let paths = key::folder(prefix).and_then(|folder| {
            let after = after.map(key::position).transpose()?;
            Ok((folder, after))
        });
        let (folder, after) = match paths {
            Ok(paths) => paths,
            Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
        };
        self.meter.list();
        let entries = match &after {
            None => self.store.list(folder.as_ref()),
            Some(after) => self.store.list_with_offset(folder.as_ref(), after),
        };
        let state = (entries, self.clone(), prefix.to_owned(), false);
        futures::stream::try_unfold(state, |(mut entries, objects, prefix, checked)| async move {
            let call = objects.named("list", &prefix);
            if !checked {
                // A root that is gone would look like an empty one.
                objects.check_root(call).await?;
            }
            let next = async { entries.next().await.transpose() };
            let entry = objects.within(call, next).await.map_err(|t| t.into_error(call))?;
            Ok(entry.map(|meta| {
                let listed = Listed {
                    key: meta.location.into(),
                    size: meta.size,
                    modified_ms: meta.last_modified.timestamp_millis(),
                };
                (listed, (entries, objects, prefix, true))
            }))
        })
        .boxed()
    }

    /// The first `limit` (at most [`LIST_SORTED_MAX`]) objects under `prefix` behind `after`, in
    /// the bytewise order of their keys. Costs what is returned where the backend lists in order,
    /// and a walk of the whole folder on local files. Memory: `limit` entries.
    pub async fn list_sorted(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let limit = limit.min(LIST_SORTED_MAX);
        let mut entries = self.list(prefix, after);
        // The largest key is on top, to be thrown out by a smaller one.
        let mut smallest: BinaryHeap<Listed> = BinaryHeap::new();
        let mut ordered = self.ordered;
        while limit > 0 && !(ordered && smallest.len() == limit) {
            let Some(entry) = entries.try_next().await? else { break };
            // A store that breaks its promise of order once is not believed again.
            ordered = ordered && smallest.peek().is_none_or(|largest| *largest < entry);
            smallest.push(entry);
            if smallest.len() > limit {
                smallest.pop();
            }
        }
        Ok(smallest.into_sorted_vec())
    }

    /// The names of the folders directly in the folder `prefix`, sorted. A folder is there while
    /// an object is below it; on local files an emptied one may still show.
    pub async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>> {
        let folder = key::folder(prefix)?;
        let call = self.named("list", prefix);
        self.check_root(call).await?;
        self.meter.list();
        let found = self
            .within(call, self.store.list_with_delimiter(folder.as_ref()))
            .await
            .map_err(|trouble| trouble.into_error(call))?;
        if found.common_prefixes.len() > LIST_DIRS_MAX {
            return Err(Error::invalid(format!("{call}: more than {LIST_DIRS_MAX} folders")));
        }
        let mut names: Vec<String> = found
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }
}
