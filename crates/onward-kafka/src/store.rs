//! Where the bytes of files go: the storage of the branch's repository, or one of the user's own.

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::{Branch, Elsewhere, Entry, Error, Result};
use tokio::io::AsyncSeekExt;

use crate::clock::new_op_id;
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
            match reader(path, content).await? {
                Reader::Memory(bytes) => self.0.upload(bytes).await,
                Reader::File(file) => self.0.upload(file).await,
            }
        }
        .boxed()
    }
}

/// A folder of any store, from which files are linked: the entry on the branch has the URL of the file.
/// Names there are those on the branch, with `_` for what no key can have, and an id in front of the last
/// part, so that two processes that have made the same file never write over each other's.
#[derive(Debug, Clone)]
pub struct LinkedStore(Elsewhere);

impl LinkedStore {
    /// Files go to this folder.
    pub fn new(folder: Elsewhere) -> Self {
        Self(folder)
    }
}

impl Store for LinkedStore {
    fn put<'a>(&'a self, path: &'a str, content: &'a Content) -> BoxFuture<'a, Result<Entry>> {
        async move {
            let key = key_of(path);
            match reader(path, content).await? {
                Reader::Memory(bytes) => self.0.put(&key, bytes).await,
                Reader::File(file) => self.0.put(&key, file).await,
            }
        }
        .boxed()
    }
}

/// A key that no other file has, by the path of the file.
fn key_of(path: &str) -> String {
    let usual = |char: char| match char {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '=' | '+' | '/' => char,
        _ => '_',
    };
    let path: String = path.chars().map(usual).collect();
    let id = new_op_id();
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{id}-{name}"),
        None => format!("{id}-{path}"),
    }
}

/// The bytes of a file from their beginning.
enum Reader<'a> {
    Memory(&'a [u8]),
    File(tokio::fs::File),
}

async fn reader<'a>(path: &str, content: &'a Content) -> Result<Reader<'a>> {
    let file = match content {
        Content::Memory(bytes) => return Ok(Reader::Memory(bytes.as_ref())),
        Content::File(file) => file,
    };
    let again = |error: std::io::Error| {
        Error::unavailable(format!("the temporary file of '{path}' cannot be read"))
            .with_source(error)
    };
    let mut file = tokio::fs::File::from_std(file.try_clone().map_err(again)?);
    file.rewind().await.map_err(again)?;
    Ok(Reader::File(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_key_of_its_own_each_time() {
        let key = key_of("raw/day=1/é b%.jsonl");
        let (folder, name) = key.rsplit_once('/').unwrap();
        assert_eq!((folder, name.ends_with("-__b_.jsonl")), ("raw/day=1", true), "{key}");
        assert_ne!(key_of("a"), key_of("a"));
    }
}
