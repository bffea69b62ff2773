//! Reading objects: whole, in spans, piece by piece.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::backend::{self, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStoreExt};
use super::key;
use super::store::{OBJECT_LEN_MAX, Objects, check_len, too_large};
use crate::model::error::Result;
pub use crate::model::span::Span;

/// Bytes of a local file that are read at a time.
const PIECE_LEN: usize = 256 << 10;

/// An object read piece by piece.
#[non_exhaustive]
pub struct Streamed {
    /// Size of the whole object, in bytes.
    pub size: u64,
    /// Its bytes in order; each piece has the deadline of a call.
    pub chunks: BoxStream<'static, Result<Bytes>>,
}

impl Objects {
    /// Reads a whole object; `None` if absent.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let path = key::object(key)?;
        let call = self.named("read", key);
        let read = async {
            let found = self.store.get(&path).await?;
            let size = found.meta.size;
            if size > OBJECT_LEN_MAX {
                return Ok(Err(size));
            }
            found.bytes().await.map(Ok)
        };
        self.meter.get();
        match self.within(call, read).await {
            Ok(Ok(bytes)) => {
                self.meter.read(bytes.len());
                Ok(Some(bytes))
            }
            Ok(Err(size)) => Err(too_large(call, size)),
            Err(trouble) => self.found_absent(call, trouble).await,
        }
    }

    /// Reads a part of an object; `None` if the object is absent, no bytes if the span lies behind
    /// its end.
    pub async fn get_span(&self, key: &str, span: Span) -> Result<Option<Bytes>> {
        let path = key::object(key)?;
        let call = self.named("read", key);
        check_len(call, span.len())?;
        let read = async {
            let Some(range) = range_of(span) else {
                return self.store.head(&path).await.map(|_| Bytes::new());
            };
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            match self.store.get_opts(&path, options).await {
                Ok(found) => found.bytes().await,
                Err(error @ backend::Error::NotFound { .. }) => Err(error),
                // Backends differ in how they take a range over the end; the size tells.
                Err(error) => match self.store.head(&path).await {
                    Ok(meta) if span.misses(meta.size) => Ok(Bytes::new()),
                    Ok(meta) if span.covers(meta.size) => {
                        self.store.get(&path).await?.bytes().await
                    }
                    _ => Err(error),
                },
            }
        };
        self.meter.get();
        match self.within(call, read).await {
            Ok(bytes) => {
                self.meter.read(bytes.len());
                Ok(Some(bytes))
            }
            Err(trouble) => self.found_absent(call, trouble).await,
        }
    }

    /// Reads an object of any size piece by piece; `None` if absent.
    pub async fn stream(&self, key: &str) -> Result<Option<Streamed>> {
        self.stream_of(key, None).await
    }

    /// Streams the bytes in `range`, which lies within the object.
    pub async fn stream_range(&self, key: &str, range: Range<u64>) -> Result<Option<Streamed>> {
        self.stream_of(key, Some(GetRange::Bounded(range))).await
    }

    async fn stream_of(&self, key: &str, range: Option<GetRange>) -> Result<Option<Streamed>> {
        self.stream_path(&key::object(key)?, key, range).await
    }

    /// Streams an object that follows nobody's rules for keys; `key` is for messages.
    pub(super) async fn stream_path(
        &self,
        path: &backend::Path,
        key: &str,
        range: Option<GetRange>,
    ) -> Result<Option<Streamed>> {
        let call = self.named("read", key);
        self.meter.get();
        let options = GetOptions { range, ..GetOptions::default() };
        let found = match self.within(call, self.store.get_opts(path, options)).await {
            Ok(found) => found,
            Err(trouble) => return self.found_absent(call, trouble).await,
        };
        let size = found.meta.size;
        Ok(Some(self.streamed(pieces(found), size, key)))
    }

    /// Streams the bytes in `range` of a local file of `size` bytes; `key` is for messages.
    pub(super) fn stream_file(
        &self,
        file: File,
        path: PathBuf,
        range: Range<u64>,
        size: u64,
        key: &str,
    ) -> Streamed {
        self.streamed(pieces_of_file(file, path, range), size, key)
    }

    /// Gives each piece the deadline of a call, and counts it.
    fn streamed(
        &self,
        chunks: BoxStream<'static, backend::Result<Bytes>>,
        size: u64,
        key: &str,
    ) -> Streamed {
        let state = (chunks, self.clone(), key.to_owned());
        let chunks = futures::stream::try_unfold(state, |(mut chunks, objects, key)| async move {
            let call = objects.named("read", &key);
            let next = async { chunks.next().await.transpose() };
            let chunk = objects.within(call, next).await.map_err(|t| t.into_error(call))?;
            Ok(chunk.map(|chunk: Bytes| {
                objects.meter.read(chunk.len());
                (chunk, (chunks, objects, key))
            }))
        });
        Streamed { size, chunks: chunks.boxed() }
    }

    /// Size of an object in bytes; `None` if absent.
    pub async fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.look(key).await?.map(|found| found.size))
    }
}

/// The span as the store takes it; `None` for no bytes.
fn range_of(span: Span) -> Option<GetRange> {
    match span {
        Span::From { len: 0, .. } | Span::Last(0) => None,
        Span::From { offset, len } => {
            Some(GetRange::Bounded(Range { start: offset, end: offset.saturating_add(len) }))
        }
        Span::Last(len) => Some(GetRange::Suffix(len)),
    }
}

/// The bytes of an object, in pieces that are worth a system call each.
fn pieces(found: GetResult) -> BoxStream<'static, backend::Result<Bytes>> {
    match found.payload {
        GetResultPayload::File(file, path) => pieces_of_file(file, path, found.range),
        _ => found.into_stream(),
    }
}

fn pieces_of_file(
    file: File,
    path: PathBuf,
    range: Range<u64>,
) -> BoxStream<'static, backend::Result<Bytes>> {
    let failed = move |source: io::Error| backend::Error::Generic {
        store: "LocalFileSystem",
        source: format!("{}: {source}", path.display()).into(),
    };
    let read = async move {
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(range.start)).await?;
        let length = range.end.saturating_sub(range.start);
        Ok::<_, io::Error>(ReaderStream::with_capacity(file.take(length), PIECE_LEN))
    };
    futures::stream::once(read).try_flatten().map_err(failed).boxed()
}
