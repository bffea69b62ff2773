//! Objects that are made of others.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_util::io::StreamReader;

use super::failure::Call;
use super::key;
use super::local::{Draft, LocalFiles};
use super::root::blocking;
use super::store::Objects;
use super::upload::Hasher;
use crate::model::error::{Error, Result};

/// Bytes that are copied from one local file to another at a time, each time within the deadline of a call.
const COPIED_AT_ONCE: u64 = 64 << 20;

impl Objects {
    /// Writes an object to `key`, in place of what is there, that is made of others: `parts`, by key and size in
    /// bytes, one behind the other. It appears whole or not at all. On local files their file system copies,
    /// or shares the blocks where it does that (Btrfs, XFS); from other stores the bytes are read and written,
    /// in the memory of an [`upload`](Self::upload). Fails where a part is not there with that size.
    pub async fn join(&self, parts: &[(String, u64)], key: &str) -> Result<()> {
        let size: u64 = parts.iter().map(|(_, size)| size).sum();
        let joined = match &self.local {
            Some(files) => self.join_files(files, parts, key).await?,
            None => {
                let reader = StreamReader::new(self.clone().one_by_one(parts.to_vec()));
                self.upload_hashed(key, reader, Hasher::of_nothing()).await?.size
            }
        };
        match joined == size {
            true => Ok(()),
            false => Err(Error::internal(format!(
                "{joined} bytes were brought together of parts that have {size}"
            ))),
        }
    }

    fn one_by_one(self, parts: Vec<(String, u64)>) -> BoxStream<'static, io::Result<Bytes>> {
        let pieces = futures::stream::iter(parts).then(move |(key, size)| {
            let objects = self.clone();
            async move {
                let streamed = objects.stream(&key).await.map_err(io::Error::other)?;
                let streamed = streamed.filter(|streamed| streamed.size == size);
                let streamed = streamed.ok_or_else(|| io::Error::other(lost_part(&key)))?;
                Ok::<_, io::Error>(streamed.chunks.map_err(io::Error::other))
            }
        });
        pieces.try_flatten().boxed()
    }

    async fn join_files(
        &self,
        files: &LocalFiles,
        parts: &[(String, u64)],
        key: &str,
    ) -> Result<u64> {
        let call = self.named("write", key);
        let path = |key: &str| {
            let path = files.path(&key::object(key)?);
            path.map_err(|error| Error::internal("a key is no path").with_source(error))
        };
        let (to, files) = (path(key)?, files.clone());
        let mut draft = self.blocking(call, move || files.begin(to)).await?;
        let mut joined = 0;
        for (key, size) in parts {
            let from = path(key)?;
            let mut file = self.opened(call, from, key, *size).await?;
            self.meter.get();
            loop {
                let copied;
                (draft, file, copied) = self
                    .blocking(call, move || {
                        let copied = draft.add(&mut file, COPIED_AT_ONCE)?;
                        Ok((draft, file, copied))
                    })
                    .await?;
                joined += copied;
                self.meter.read(usize::try_from(copied).unwrap_or(usize::MAX));
                if copied < COPIED_AT_ONCE {
                    break;
                }
            }
        }
        self.meter.put(usize::try_from(joined).unwrap_or(usize::MAX));
        self.blocking(call, move || Draft::replace(draft)).await?;
        Ok(joined)
    }

    async fn opened(&self, call: Call<'_>, from: PathBuf, key: &str, size: u64) -> Result<File> {
        let open = move || match File::open(from) {
            Ok(file) => file.metadata().map(|metadata| Some((file, metadata.len()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let opened = self.blocking(call, open).await?;
        let whole = opened.filter(|(_, len)| *len == size);
        whole.map(|(file, _)| file).ok_or_else(|| lost_part(key))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: Call<'_>,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.in_time(call, blocking(call, work)).await
    }
}

/// What is told of a part that others are to be made of and that is not there.
pub(crate) fn lost_part(key: &str) -> Error {
    Error::corrupt(format!("the part at '{key}' is missing: begin the upload anew"))
}
