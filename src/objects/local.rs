//! Local files as a store that writes objects in one visit to another thread.
//!
//! Every batch of commits waits until its log entry is created, every upload until it is written, and on
//! local files a good part of that was handing the work over: once to compare the root, once to write. Here
//! the root is compared and the object written, flushed and named in one go. So is a small object opened and
//! read, which the crate below hands over twice; what the system has in memory of it is read without handing
//! anything over. Everything else is as the crate has it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::at_hand;
use super::backend::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, LocalFileSystem,
    MultipartUpload, ObjectMeta, ObjectStore, Path, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result,
};
use super::folder::e_tag;
use super::root::LocalRoot;
use super::staged::becoming_at;

/// How many files of other writers of the same object a writer passes by.
const STAGED_MAX: u32 = 1024;

/// Bytes of an object that are read in the visit that opens it, at most.
const READ_AT_ONCE: u64 = 256 << 10;

/// Bytes of an object that are read without such a visit where they are in memory, at most: copying them
/// takes less than handing over would.
const READ_AT_HAND: u64 = 64 << 10;

/// Files below a watched root. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct LocalFiles {
    files: Arc<LocalFileSystem>,
    root: Arc<LocalRoot>,
}

impl LocalFiles {
    /// Those of `files` below `root`.
    pub(super) fn new(files: LocalFileSystem, root: Arc<LocalRoot>) -> Self {
        Self { files: Arc::new(files), root }
    }

    /// Where an object lies.
    pub(super) fn path(&self, of: &Path) -> Result<PathBuf> {
        self.files.path_to_filesystem(of)
    }

    /// The root that they lie below.
    pub(super) fn root(&self) -> &Arc<LocalRoot> {
        &self.root
    }

    /// Begins to write the object at `path`. Blocks.
    pub(super) fn begin(&self, path: PathBuf) -> io::Result<Draft> {
        Draft::begin(&self.root, path)
    }
}

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

/// How a file that was written comes to its name.
#[derive(Clone, Copy)]
enum Naming {
    /// Where the name is free.
    IfAbsent,
    /// Instead of who has it.
    Instead,
}

/// What came of writing a file.
enum Made {
    /// It is there, with all it holds, whatever happens to the power.
    Durably,
    /// Somebody's is there.
    Taken(io::Error),
}

/// A file that is being written, and removed unless it comes to its name. Should it stay all the same, garbage
/// collection finds it by its own.
pub(super) struct Draft {
    root: Arc<LocalRoot>,
    file: File,
    staged: PathBuf,
    path: PathBuf,
    is_named: bool,
}

impl Draft {
    fn begin(root: &Arc<LocalRoot>, path: PathBuf) -> io::Result<Self> {
        root.compare()?;
        root.make_folder(folder_of(&path)?)?;
        let (file, staged) = stage(&path)?;
        Ok(Self { root: Arc::clone(root), file, staged, path, is_named: false })
    }

    /// Adds the next `len` bytes of a file, or what is left of it, and returns how many they were. Blocks. The
    /// system copies them itself where it can; a file system whose files share blocks moves none.
    pub(super) fn add(&mut self, from: &mut File, len: u64) -> io::Result<u64> {
        io::copy(&mut from.take(len), &mut self.file)
    }

    /// Gives the file its name instead of who has it. Blocks.
    pub(super) fn replace(self) -> io::Result<()> {
        self.finish(Naming::Instead).map(|_| ())
    }

    /// The file has its name only when its bytes are on disk.
    fn finish(mut self, naming: Naming) -> io::Result<Made> {
        self.file.sync_all()?;
        let Self { root, staged, path, is_named, .. } = &mut self;
        let named = root.name_in(folder_of(path)?, || {
            match naming {
                Naming::IfAbsent => name(&*staged, &*path)?,
                Naming::Instead => fs::rename(&*staged, &*path)?,
            }
            *is_named = true;
            Ok(())
        });
        match named {
            Ok(()) => Ok(Made::Durably),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && matches!(naming, Naming::IfAbsent) =>
            {
                Ok(Made::Taken(error))
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_file(&self.staged);
        }
    }
}

fn folder_of(path: &FilePath) -> io::Result<&FilePath> {
    path.parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an object lies in a folder"))
}

/// Writes the file at `path` with `payload`. Blocks.
fn write(
    root: &Arc<LocalRoot>,
    path: PathBuf,
    payload: &PutPayload,
    naming: Naming,
) -> io::Result<Made> {
    let mut draft = Draft::begin(root, path)?;
    payload.iter().try_for_each(|part| draft.file.write_all(part))?;
    draft.finish(naming)
}

/// A file that is to become the one at `path`, and nobody else's.
fn stage(path: &FilePath) -> io::Result<(File, PathBuf)> {
    for number in 1..STAGED_MAX {
        let staged = becoming_at(path, number);
        match File::create_new(&staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, staged)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Gives a file its name unless that is taken, in one step where the file system has one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn name(staged: &FilePath, path: &FilePath) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    match renameat2(AT_FDCWD, staged, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => link(staged, path),
        named => Ok(named?),
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn name(staged: &FilePath, path: &FilePath) -> io::Result<()> {
    link(staged, path)
}

/// Gives a file its name unless that is taken, in two steps: for a moment it has both names.
fn link(staged: &FilePath, path: &FilePath) -> io::Result<()> {
    fs::hard_link(staged, path)?;
    let _ = fs::remove_file(staged);
    Ok(())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "LocalFileSystem", source: Box::new(error) }
}

/// Whether bytes are asked for, and nothing else.
fn is_plain(options: &GetOptions) -> bool {
    matches!(
        options,
        GetOptions {
            if_match: None,
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
            version: None,
            head: false,
            ..
        }
    )
}

fn unread(path: &FilePath, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => {
            Error::NotFound { path: path.display().to_string(), source: Box::new(source) }
        }
        _ => failed(source),
    }
}

/// An object that was opened, and what is asked for of it.
struct Opened {
    file: File,
    meta: ObjectMeta,
    range: Range<u64>,
}

impl Opened {
    /// Finds out what there is to know of the file at `path`.
    fn new(file: File, path: &FilePath, location: Path, options: &GetOptions) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| unread(path, error))?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::NotFound, "it is no regular file");
            return Err(unread(path, error));
        }
        let meta = ObjectMeta {
            location,
            last_modified: metadata.modified().map_err(failed)?.into(),
            size: metadata.len(),
            e_tag: Some(format!("\"{}\"", e_tag(&metadata))),
            version: None,
        };
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(failed)?,
            None => 0..meta.size,
        };
        Ok(Self { file, meta, range })
    }

    /// Room for what is asked for, where that is at most so much.
    fn room(&self, max: u64) -> Option<Vec<u8>> {
        let len = self.range.end.saturating_sub(self.range.start);
        usize::try_from(len).ok().filter(|_| len <= max).map(|len| vec![0; len])
    }

    /// With the bytes that are asked for, or with the file where they are too many to be read at once.
    fn with(self, read: Option<Vec<u8>>, path: PathBuf) -> GetResult {
        let payload = match read {
            Some(bytes) => {
                GetResultPayload::Stream(futures::stream::iter([Ok(bytes.into())]).boxed())
            }
            None => GetResultPayload::File(self.file, path),
        };
        let (attributes, extensions) = Default::default();
        GetResult { payload, meta: self.meta, range: self.range, attributes, extensions }
    }
}

/// Opens the object at `path`, and reads what is asked for of it if that is little. Blocks.
fn read(path: PathBuf, location: Path, options: &GetOptions) -> Result<GetResult> {
    let file = File::open(&path).map_err(|error| unread(&path, error))?;
    let opened = Opened::new(file, &path, location, options)?;
    let mut bytes = opened.room(READ_AT_ONCE);
    if let Some(bytes) = &mut bytes {
        opened.file.read_exact_at(bytes, opened.range.start).map_err(failed)?;
    }
    Ok(opened.with(bytes, path))
}

/// The same without waiting for anything; `None` where something has to be waited for.
fn read_at_hand(
    path: &FilePath,
    location: &Path,
    options: &GetOptions,
) -> Option<Result<GetResult>> {
    let file = match at_hand::open(path)? {
        Ok(file) => file,
        Err(error) => return Some(Err(unread(path, error))),
    };
    let opened = Opened::new(file, path, location.clone(), options).ok()?;
    let mut bytes = opened.room(READ_AT_HAND)?;
    let is_whole = at_hand::fill(&opened.file, &mut bytes, opened.range.start);
    is_whole.then(|| Ok(opened.with(Some(bytes), path.to_owned())))
}

#[async_trait::async_trait]
impl ObjectStore for LocalFiles {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let naming = match options.mode {
            PutMode::Create if options.attributes.is_empty() => Naming::IfAbsent,
            PutMode::Overwrite if options.attributes.is_empty() => Naming::Instead,
            _ => return self.files.put_opts(location, payload, options).await,
        };
        let path = self.path(location)?;
        let root = Arc::clone(&self.root);
        let written =
            tokio::task::spawn_blocking(move || write(&root, path, &payload, naming)).await;
        match written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)? {
            Made::Durably => {
                Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
            }
            Made::Taken(error) => {
                Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(error) })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !is_plain(&options) {
            return self.files.get_opts(location, options).await;
        }
        let path = self.path(location)?;
        if let Some(read) = read_at_hand(&path, location, &options) {
            return read;
        }
        let location = location.clone();
        let reading = tokio::task::spawn_blocking(move || read(path, location, &options));
        reading.await.unwrap_or_else(|error| Err(failed(error)))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Created, Objects, Refusal, refusal};
    use super::*;

    #[tokio::test]
    async fn what_is_written_takes_the_place_of_what_was_there_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
        for n in 0..3u8 {
            objects.put("a/b/object", vec![n; 100].into()).await.unwrap();
            assert_eq!(objects.get("a/b/object").await.unwrap().unwrap(), vec![n; 100]);
        }
        assert!(objects.put("a/b", vec![1].into()).await.is_err(), "there is a folder");
        let names: Vec<_> = fs::read_dir(dir.path().join("a")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let names: Vec<_> = fs::read_dir(dir.path().join("a/b")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        fs::rename(dir.path().join("a"), dir.path().join("elsewhere")).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        let gone = objects.put("a/b/object", vec![1].into()).await.unwrap_err();
        assert_eq!(refusal(&gone), Some(Refusal::Gone), "{gone}");
        assert!(!dir.path().exists());
    }

    #[tokio::test]
    async fn of_many_who_create_one_object_one_does_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
        let all = (0..16u8).map(|n| {
            let objects = objects.clone();
            async move { objects.create("a/b/object", vec![n; 100].into()).await.unwrap() }
        });
        let created = futures::future::join_all(all).await;
        let winners = created.iter().filter(|created| **created == Created::Written).count();
        assert_eq!(winners, 1, "{created:?}");
        let names: Vec<_> = fs::read_dir(dir.path().join("a/b")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn a_name_that_is_taken_stays_as_it_is_with_and_without_a_step_for_that() {
        let dir = tempfile::tempdir().unwrap();
        for (step, give) in [name, link].into_iter().enumerate() {
            let path = dir.path().join(format!("object {step}"));
            for turn in 0..2u8 {
                let (mut file, staged) = stage(&path).unwrap();
                file.write_all(&[turn]).unwrap();
                let named = give(&staged, &path);
                assert_eq!(named.is_ok(), turn == 0, "{named:?}");
                assert_eq!(fs::read(&path).unwrap(), [0]);
                let _ = fs::remove_file(&staged);
            }
        }
    }

    #[test]
    fn a_writer_passes_by_what_another_is_writing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let (_first, first) = stage(&path).unwrap();
        let (_second, second) = stage(&path).unwrap();
        assert_ne!(first, second);
    }
}
