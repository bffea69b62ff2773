//! The files of tables, as a rebase needs them: whoever implements this decides which locations may be reached.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;

/// Reads and writes files by the locations that metadata names, such as `s3://lake/t/metadata/snap-1.avro`.
#[async_trait]
pub trait TableFiles: Send + Sync {
    /// All bytes of the file at `location`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] where there is none, [`io::ErrorKind::FileTooLarge`] where it has more than
    /// `bytes_max`, [`io::ErrorKind::PermissionDenied`] where the location is none that may be read; anything
    /// else means that the storage did not answer, and that the same call may succeed later.
    async fn read(&self, location: &str, bytes_max: u64) -> io::Result<Bytes>;

    /// Writes a file that nobody has written before: the location has a number in it that is used once.
    ///
    /// # Errors
    ///
    /// As of [`TableFiles::read`].
    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()>;
}
