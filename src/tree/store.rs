//! The one way the tree reaches bytes: ranges, run lists and inline runs by name.
//!
//! Everything behind this trait is immutable and named by its content, so an implementation may
//! cache and retry freely. It must not know what the bytes mean.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::inline::InlineRun;
use super::run::InlineAddress;
pub use crate::model::span::Span;

use crate::model::error::Result;
use crate::model::ids::{RangeId, RunId};

/// Reads and writes immutable pieces by name.
///
/// Errors: [`crate::ErrorKind::Corrupt`] when a piece that was named is not there,
/// [`crate::ErrorKind::Unavailable`] when it cannot be reached now.
pub trait TreeStore: Send + Sync + 'static {
    /// Reads a part of a range file. A [`Span::From`] that passes the end of the file may be
    /// answered short.
    fn read_range(&self, id: RangeId, span: Span) -> BoxFuture<'_, Result<Bytes>>;

    /// Stores a whole range file. Idempotent: a file of that name that exists already is as good.
    fn write_range(&self, id: RangeId, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Reads the whole list of ranges of a long run.
    fn read_run(&self, id: RunId) -> BoxFuture<'_, Result<Bytes>>;

    /// Stores the list of ranges of a long run. Idempotent.
    fn write_run(&self, id: RunId, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Reads a run that lives inside a log entry. The implementation caches: the tree calls this
    /// once per lookup.
    fn read_inline(&self, at: InlineAddress) -> BoxFuture<'_, Result<Arc<InlineRun>>>;
}
