//! Where the bytes of files go: the storage of the branch's repository, or one of the user's own.

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::{Branch, Entry, Error, Result};
use tokio::io::AsyncSeekExt;

use crate::file::Content;

/// A place for the bytes of files. What is put and never committed is garbage: whoever has a store of
/// their own collects it there.
pub trait Store: Send + Sync {
    /// Writes a file, whole or not at all, and tells how a commit is to name it. Called again after an
    /// error that is retryable; `path` is the file's name on the branch, and no other file's.
    fn put<'a>(&'a self, path: &'a str, content: &'a Content) -> BoxFuture<'a, Result<Entry>>;
}

/// The storage of the deployment, as `onward put` uses it: what is not committed within the grace period
/// is collected.
#[derive(Debug, Clone)]
pub struct BranchStore(Branch);

impl BranchStore {
    /// The storage of a branch's repository.
    pub fn new(branch: Branch) -> Self {
        Self(branch)
    }
}

impl Store for BranchStore {
    fn put<'a>(&'a self, path: &'a str, content: &'a Content) -> BoxFuture<'a, Result<Entry>> {
        async move {
            match content {
                Content::Memory(bytes) => self.0.upload(bytes.as_ref()).await,
                Content::File(file) => {
                    let again = |error: std::io::Error| {
                        Error::unavailable(format!("the temporary file of '{path}' cannot be read"))
                            .with_source(error)
                    };
                    let mut file = tokio::fs::File::from_std(file.try_clone().map_err(again)?);
                    file.rewind().await.map_err(again)?;
                    self.0.upload(file).await
                }
            }
        }
        .boxed()
    }
}
