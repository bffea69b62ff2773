//! Files that uploads to local storage have left behind when their process was killed. Object stores
//! have rules of their own for such; a local one keeps them for ever, and no listing shows them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::failure::{io_failed, late};
use super::key;
use super::list::Listed;
use super::staged::becoming;
use super::store::Objects;
use crate::model::error::Result;

/// Unfinished files told at once, at most; the rest are there for who asks again.
pub const UNFINISHED_MAX: usize = 10_000;

impl Objects {
    /// The files below a folder of local storage that are being written, or were when their process
    /// was killed: when one was last written to tells the two apart. At most [`UNFINISHED_MAX`]; none
    /// on other storage.
    pub async fn unfinished(&self, folder: &str) -> Result<Vec<Listed>> {
        key::folder(folder)?;
        let Some(root) = self.root() else { return Ok(Vec::new()) };
        let call = self.named("list what is unfinished in", folder);
        let (root, folder) = (root.path().to_owned(), folder.to_owned());
        let walked = tokio::task::spawn_blocking(move || walk(&root, &folder));
        match tokio::time::timeout(self.deadline, walked).await {
            Ok(walked) => walked
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(|error| io_failed(call, error)),
            Err(_) => Err(late(call, self.deadline)),
        }
    }

    /// Removes a file that [`Objects::unfinished`] has told of; absent is fine.
    pub async fn remove_unfinished(&self, key: &str) -> Result<()> {
        let Some((root, object)) = self.root().zip(becoming(key)) else { return Ok(()) };
        key::object(object)?;
        let call = self.named("remove what is unfinished", key);
        match tokio::time::timeout(self.deadline, tokio::fs::remove_file(root.path().join(key)))
            .await
        {
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_failed(call, error))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(late(call, self.deadline)),
        }
    }
}

fn walk(root: &Path, folder: &str) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            // What no key of ours can become is somebody else's.
            let is_ours = |key: &&str| becoming(key).is_some_and(|of| key::object(of).is_ok());
            let Some(key) = path.to_str().filter(is_ours) else { continue };
            if found.len() == UNFINISHED_MAX {
                return Ok(found);
            }
            match entry.metadata() {
                // It was finished meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                metadata => found.push(listed(key, &metadata?)?),
            }
        }
    }
    Ok(found)
}

fn listed(key: &str, metadata: &fs::Metadata) -> io::Result<Listed> {
    let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Ok(Listed { key: key.to_owned(), size: metadata.len(), modified_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_behind_the_mark_is_unfinished() {
        assert_eq!(becoming("lake/data/00/00ab#1"), Some("lake/data/00/00ab"));
        for name in ["lake/data/00/00ab", "a#", "a#1b", "a#b"] {
            assert_eq!(becoming(name), None, "{name}");
        }
    }

    #[tokio::test]
    async fn what_others_have_named_alike_is_neither_told_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
        fs::create_dir_all(dir.path().join("lake/data")).unwrap();
        for name in ["ours#1", "their file#1"] {
            fs::write(dir.path().join("lake/data").join(name), "half").unwrap();
        }
        let told = objects.unfinished("lake").await.unwrap();
        let keys: Vec<&str> = told.iter().map(|listed| listed.key.as_str()).collect();
        assert_eq!(keys, ["lake/data/ours#1"]);
    }
}
