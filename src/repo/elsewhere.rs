//! Objects that are written elsewhere than in the storage of the deployment, and linked from there.

use tokio::io::AsyncRead;

use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::objects::{Checksum, Foreign, Objects, Source};

use super::handles::Onward;

/// A folder of any store, outside of the deployment's own storage, that new objects are written to.
///
/// Nothing in it is ever collected: what is written and never committed is for the owner of the folder to
/// remove.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    objects: Objects,
    /// The same folder, as what is linked is looked at.
    source: Source,
    checksum: Checksum,
}

impl Onward {
    /// Opens a folder of a store by its URL: `file:///absolute/dir` (made if absent), `s3://bucket/prefix`,
    /// `gs://…`, `az://…` (by feature). `options` are settings of a cloud client that win over the
    /// environment, in the spelling of its variables. Nothing is sent yet.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) for a URL that is none, and for a folder
    /// that lies in the deployment's storage, or has that in it.
    pub fn elsewhere(&self, url: &str, options: &[(String, String)]) -> Result<Elsewhere> {
        if url.starts_with("memory:") {
            return Err(Error::invalid(
                "what is in the memory of a process cannot be linked: give a folder, a bucket",
            ));
        }
        let own = self.coordinator().objects();
        let apart = |overlaps: bool| match overlaps {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "this folder and this deployment's own storage {} lie inside each other: name a folder apart from it, or none",
                own.url()
            ))),
        };
        // Before the folder is made, and by what it really is.
        apart(Source::would_overlap(url, own)?)?;
        let objects = Objects::open_with(url, options)?;
        let source = Source::open(url, options)?;
        apart(source.overlaps(own))?;
        Ok(Elsewhere { objects, source, checksum: self.inner.checksum })
    }
}

impl Elsewhere {
    /// Writes an object, whole or not at all, and returns an entry that links it: with its URL as address,
    /// and with size and checksum as an import of it would have them (of cloud stores the ETag). It takes
    /// at most 48 MiB of memory, and one request more than the bytes do. `key` is the name below the folder;
    /// what has that name there is replaced.
    pub async fn put(&self, key: &str, reader: impl AsyncRead + Send) -> Result<Entry> {
        let written = self.objects.upload(key, reader, self.checksum).await?;
        let found = self.source.of(key).object().await?;
        if found.size != written.size {
            return Err(Error::unavailable(format!(
                "'{}' has {} bytes, and {} were written: somebody else writes there too",
                found.address, found.size, written.size
            )));
        }
        entry_of(found)
    }
}

/// The entry that links an object where it lies.
pub(super) fn entry_of(object: Foreign) -> Result<Entry> {
    let mtime = object.modified_ms.div_euclid(1000);
    let checksum = object.e_tag.unwrap_or_else(|| format!("{}-{mtime}", object.size));
    let entry = Entry { mtime, ..Entry::new(object.address, object.size, checksum) };
    entry.check()?;
    Ok(entry)
}
