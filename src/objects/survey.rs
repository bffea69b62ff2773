//! Several small objects and a folder, asked for at once: what somebody has to know before going on.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{try_join, try_join_all};

use super::backend;
use super::key;
use super::local::LocalFiles;
use super::store::{Objects, too_large};
use crate::model::error::Result;

/// The largest object of a survey on local files, in bytes.
const SURVEYED_MAX: u64 = 1 << 20;

/// What a survey has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// What the objects hold, in the order in which they were asked for; `None` where there is none.
    pub objects: Vec<Option<Bytes>>,
    /// The keys of the objects directly in the folder, in no order.
    pub keys: Vec<String>,
}

/// What one visit has found.
enum Visited {
    Whole(Vec<Option<Bytes>>, Vec<String>),
    /// An object is too large, by the place of its key and its size.
    TooLarge(usize, u64),
}

impl Objects {
    /// Reads objects of at most 1 MiB, and lists the objects directly in a folder. Costs what reading and
    /// listing them one by one does in requests, all of which are made at the same time; on local files one
    /// visit to another thread. Of what others write meanwhile, any part may be seen.
    pub async fn survey(&self, keys: &[&str], folder: &str) -> Result<Surveyed> {
        match &self.local {
            Some(files) => self.survey_files(files, keys, folder).await,
            None => {
                let objects = try_join_all(keys.iter().map(|key| self.get(key)));
                let keys = self.list(folder, None).map_ok(|listed| listed.key);
                let (objects, mut keys) = try_join(objects, keys.try_collect::<Vec<_>>()).await?;
                keys.retain(|key| parent_of(key) == folder);
                Ok(Surveyed { objects, keys })
            }
        }
    }

    async fn survey_files(
        &self,
        files: &LocalFiles,
        keys: &[&str],
        folder: &str,
    ) -> Result<Surveyed> {
        let call = self.named("read", folder);
        let paths = keys.iter().map(|key| Ok(files.path(&key::object(key)?)));
        let paths: Vec<_> = paths.collect::<Result<_>>()?;
        let dir = key::folder(folder)?.map(|folder| files.path(&folder));
        keys.iter().for_each(|_| self.meter.get());
        self.meter.list();
        let root = Arc::clone(files.root());
        let visit = async {
            let paths: Vec<_> = paths.into_iter().collect::<backend::Result<_>>()?;
            let dir = dir.transpose()?.unwrap_or_else(|| root.path().to_owned());
            let visit = move || {
                let mut objects = Vec::with_capacity(paths.len());
                for (place, path) in paths.iter().enumerate() {
                    match read(path)? {
                        Some((size, _)) if size > SURVEYED_MAX => {
                            return Ok(Visited::TooLarge(place, size));
                        }
                        found => objects.push(found.map(|(_, bytes)| bytes)),
                    }
                }
                let names = names_in(&dir)?;
                // What is absent is so only if this is the root that was opened.
                root.compare()?;
                Ok(Visited::Whole(objects, names))
            };
            let visited = tokio::task::spawn_blocking(visit).await;
            visited.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
        };
        match self.within(call, visit).await.map_err(|trouble| trouble.into_error(call))? {
            Visited::Whole(objects, names) => {
                objects.iter().flatten().for_each(|bytes| self.meter.read(bytes.len()));
                let keys = names.iter().map(|name| format!("{folder}/{name}")).collect();
                Ok(Surveyed { objects, keys })
            }
            Visited::TooLarge(place, size) => {
                let key = keys.get(place).copied().unwrap_or_default();
                Err(too_large(self.named("read", key), size))
            }
        }
    }
}

/// The folder that a key lies in.
fn parent_of(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Size and bytes of a file, all of them where they are not too many. Blocks.
fn read(path: &FilePath) -> io::Result<Option<(u64, Bytes)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(SURVEYED_MAX) as usize);
    file.take(SURVEYED_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Some((metadata.len().max(bytes.len() as u64), bytes.into())))
}

/// The names of the files in a folder. Blocks.
fn names_in(folder: &FilePath) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // What no key can be called is no object.
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
            && key::check(&name).is_ok()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn failed(source: io::Error) -> backend::Error {
    backend::Error::Generic { store: "LocalFileSystem", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Refusal, refusal};

    #[tokio::test]
    async fn a_survey_finds_what_reads_and_a_listing_do() {
        let dir = tempfile::tempdir().unwrap();
        for url in [format!("file://{}", dir.path().display()), "memory://".to_owned()] {
            let objects = Objects::open(&url).unwrap();
            for key in
                ["lake/repo", "lake/branches/b/1", "lake/branches/b/2", "lake/branches/b/c/3"]
            {
                objects.put(key, key.as_bytes().to_vec().into()).await.unwrap();
            }
            let wanted = ["lake/repo", "lake/tags/b", "lake/branches"];
            let mut found = objects.survey(&wanted, "lake/branches/b").await.unwrap();
            assert_eq!(found.objects, [Some(Bytes::from_static(b"lake/repo")), None, None]);
            found.keys.sort();
            assert_eq!(found.keys, ["lake/branches/b/1", "lake/branches/b/2"]);
            let nothing = objects.survey(&[], "lake/branches/x").await.unwrap();
            assert_eq!(nothing, Surveyed { objects: Vec::new(), keys: Vec::new() });
            assert!(objects.survey(&["../x"], "lake").await.is_err());
        }
    }

    #[tokio::test]
    async fn what_is_absent_from_a_root_that_is_gone_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let objects = Objects::open(&format!("file://{}", root.display())).unwrap();
        fs::rename(&root, dir.path().join("elsewhere")).unwrap();
        let gone = objects.survey(&["lake/repo"], "lake/branches/b").await.unwrap_err();
        assert_eq!(refusal(&gone), Some(Refusal::Gone), "{gone}");
    }

    #[tokio::test]
    async fn an_object_that_is_no_record_is_not_taken_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
        let large = vec![0; SURVEYED_MAX as usize + 1];
        objects.put("lake/repo", large.into()).await.unwrap();
        let error = objects.survey(&["lake/repo"], "lake").await.unwrap_err();
        assert!(error.to_string().contains("lake/repo"), "{error}");
    }
}
