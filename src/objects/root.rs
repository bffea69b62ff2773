//! The root directory of `file://` storage, and the watch that it stays the same one.
//!
//! A file system that is unmounted or a root that is removed while Onward runs would look like an
//! empty store: reads would find nothing and a second history could begin. So the root's identity
//! is remembered at opening and compared before every create and behind every "not found".

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::at_hand;
use super::backend::LocalFileSystem;
use super::failure::{Call, io_failed};
use super::folders::Folders;
use crate::model::error::Result;

/// A local root directory and its identity.
#[derive(Debug)]
pub(super) struct LocalRoot {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Those that are being made.
    folders: Folders,
    /// Those in which objects are being named.
    named: Folders,
}

impl LocalRoot {
    /// Opens the directory at `path`, made durably if absent.
    pub(super) fn open(path: &Path, url: &str) -> Result<(Self, LocalFileSystem)> {
        let call = Call { verb: "open", key: "", url };
        let metadata = make(path).map_err(|error| io_failed(call, error))?;
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|error| super::failure::classify(call, error).into_error(call))?
            .with_fsync(true);
        let (device, inode) = (metadata.dev(), metadata.ino());
        let (folders, named) = Default::default();
        let root = Self { path: path.to_owned(), device, inode, folders, named };
        Ok((root, store))
    }

    /// The directory that is the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails when the directory is not the one that was opened.
    pub(super) async fn check(self: &Arc<Self>, call: Call<'_>) -> Result<()> {
        if at_hand::folder(&self.path).is_some_and(|found| self.is(&found)) {
            return Ok(());
        }
        let root = Arc::clone(self);
        blocking(call, move || root.compare()).await
    }

    /// Whether a directory is this one, by whatever way it was come to.
    pub(super) fn is(&self, directory: &fs::Metadata) -> bool {
        directory.dev() == self.device && directory.ino() == self.inode
    }

    /// Whether a file lies in it, by where it really is. Blocks.
    pub(super) fn holds(&self, file: &Path) -> io::Result<bool> {
        Ok(fs::canonicalize(file)?.starts_with(fs::canonicalize(&self.path)?))
    }

    /// Makes the name of an object durable that another process may have given it a moment ago:
    /// its bytes are on disk before it has the name, the name itself perhaps not yet.
    pub(super) async fn sync_name(&self, call: Call<'_>, key: &str) -> Result<()> {
        let path = self.path.join(key);
        blocking(call, move || match path.parent() {
            Some(dir) => fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        })
        .await
    }

    /// Makes a folder, if it is not there, that only the user who runs this can look into.
    pub(super) async fn keep_private(&self, call: Call<'_>, folder: &str) -> Result<()> {
        let path = self.path.join(folder);
        blocking(call, move || {
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        })
        .await
    }

    /// Fails when the directory is not the one that was opened. Blocks.
    pub(super) fn compare(&self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(now) if self.is(&now) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "the root is not the directory that was opened",
            )),
        }
    }

    /// Makes a folder below it. Blocks.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.folders.make(folder, &self.path)
    }

    /// Gives an object in a folder below it its name by `naming`, and returns when that lasts. Those who
    /// do so in one folder at the same time share a sync of it. Blocks.
    pub(super) fn name_in(
        &self,
        folder: &Path,
        naming: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.named.sync(folder, naming)
    }
}

/// Does what blocks on another thread.
pub(super) async fn blocking<T: Send + 'static>(
    call: Call<'_>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| io_failed(call, error))
}

fn make(path: &Path) -> io::Result<fs::Metadata> {
    if !path.try_exists()? {
        fs::create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
    }
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() { Ok(metadata) } else { Err(io::ErrorKind::NotADirectory.into()) }
}
