//! The files of a rebase: those that are read, and those that are to be written when all is known.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::why::NotRebased;
use crate::table::{AVRO_BYTES_MAX, TableFiles};

/// Files that are read or written at the same time.
const AT_ONCE: usize = 16;

pub(super) struct Shelf<'a> {
    files: &'a dyn TableFiles,
    unique: Uuid,
    /// Counts the files, for names and marks that are used once.
    many: u64,
    to_write: BTreeMap<String, Bytes>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(unique: Uuid, files: &'a dyn TableFiles) -> Self {
        Self { files, unique, many: 0, to_write: BTreeMap::new() }
    }

    /// The files that are there already.
    pub(super) fn files(&self) -> &'a dyn TableFiles {
        self.files
    }

    /// The bytes of a file, be it written yet or not.
    pub(super) async fn read(&self, location: &str) -> Result<Bytes, NotRebased> {
        if let Some(bytes) = self.to_write.get(location) {
            return Ok(bytes.clone());
        }
        read(self.files, location, AVRO_BYTES_MAX).await
    }

    /// The bytes of several files, in their order: together no more than one may have.
    pub(super) async fn read_all(&self, locations: &[&str]) -> Result<Vec<Bytes>, NotRebased> {
        // Collected: a future that holds the iterator itself cannot be spawned.
        let reads: Vec<_> = locations.iter().map(|location| self.read(location)).collect();
        all_of(reads, AVRO_BYTES_MAX).await
    }

    /// A name for a new file in the folder of `beside`, such as `…/metadata/snap-1-0-<uuid>.avro`.
    pub(super) fn name(&mut self, beside: &str, kind: &str) -> String {
        self.many += 1;
        let folder = beside.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{kind}-{}-{}.avro", self.many, self.unique)
    }

    /// The mark between the blocks of a new file: unlike those of all others.
    pub(super) fn sync(&self) -> [u8; 16] {
        let many = Uuid::from_u64_pair(0, self.many).as_u128();
        (self.unique.as_u128() ^ many.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()
    }

    pub(super) fn write(&mut self, location: String, bytes: Bytes) {
        self.to_write.insert(location, bytes);
    }

    pub(super) async fn write_all(&mut self) -> io::Result<()> {
        let files = self.files;
        let all = std::mem::take(&mut self.to_write).into_iter();
        let write =
            |(location, bytes): (String, Bytes)| async move { files.write(&location, bytes).await };
        let writes: Vec<_> = all.map(write).collect();
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// The bytes of a file.
pub(super) async fn read(
    files: &dyn TableFiles,
    location: &str,
    bytes_max: u64,
) -> Result<Bytes, NotRebased> {
    files.read(location, bytes_max).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge | io::ErrorKind::PermissionDenied => {
            NotRebased::Not(format!("{location}: {error}"))
        }
        _ => NotRebased::Unavailable(error),
    })
}

/// What several reads give, in their order, some at the same time: together so many bytes at most.
pub(super) async fn all_of(
    reads: Vec<impl Future<Output = Result<Bytes, NotRebased>>>,
    bytes_max: u64,
) -> Result<Vec<Bytes>, NotRebased> {
    let mut reads = stream::iter(reads).buffered(AT_ONCE);
    let (mut files, mut bytes) = (Vec::new(), 0u64);
    while let Some(file) = reads.try_next().await? {
        bytes = bytes.saturating_add(file.len() as u64);
        if bytes > bytes_max {
            return Err(NotRebased::not(format!("its manifests have more than {bytes_max} bytes")));
        }
        files.push(file);
    }
    Ok(files)
}
