//! Runs and ranges of a repository: what its tree reads and writes.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::measures;
use crate::model::error::{Error, Result};
use crate::model::ids::{RangeId, RunId};
use crate::objects::layout;
use crate::tree::{InlineAddress, InlineRun, Span, TreeStore};

use super::cache::EntryCache;

/// The tree's view of the repository.
pub(super) struct Pieces(pub(super) Arc<EntryCache>);

impl Pieces {
    async fn required(&self, key: String, span: Option<Span>) -> Result<Bytes> {
        let found = match span {
            Some(span) => self.0.objects.get_span(&key, span).await?,
            None => self.0.objects.get(&key).await?,
        };
        found.ok_or_else(|| {
            Error::corrupt(format!(
                "object '{key}' is missing from {}: restore it from a copy",
                self.0.objects.url()
            ))
        })
    }
}

impl TreeStore for Pieces {
    fn read_range(&self, id: RangeId, span: Span) -> BoxFuture<'_, Result<Bytes>> {
        self.required(layout::range(&self.0.repo, id), Some(span)).boxed()
    }

    fn write_range(&self, id: RangeId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        measures::range_written();
        async move { self.0.objects.put(&layout::range(&self.0.repo, id), bytes).await }.boxed()
    }

    fn read_run(&self, id: RunId) -> BoxFuture<'_, Result<Bytes>> {
        self.required(layout::run(&self.0.repo, id), None).boxed()
    }

    fn write_run(&self, id: RunId, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move { self.0.objects.put(&layout::run(&self.0.repo, id), bytes).await }.boxed()
    }

    fn read_inline(&self, at: InlineAddress) -> BoxFuture<'_, Result<Arc<InlineRun>>> {
        async move {
            let entry = self.0.require(at.uid, at.first).await?;
            entry.runs.get(usize::from(at.segment)).cloned().ok_or_else(|| {
                Error::corrupt(format!(
                    "log entry {} of branch {} has no run {}",
                    at.first, at.uid, at.segment
                ))
            })
        }
        .boxed()
    }
}
