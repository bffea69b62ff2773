//! Objects that lie elsewhere: a folder of a store that is only listed, never written, and whose
//! names follow nobody's rules but the store's.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use url::Url;

use super::backend::{self, GetRange, ObjectMeta, ObjectStoreExt, Path};
use super::failure::{Call, Trouble, io_failed, late};
use super::folder;
use super::foreign::{Foreign, Found, LeftOut, LeftOutKind};
use super::read::Streamed;
use super::root::LocalRoot;
use super::store::Objects;
use crate::clock;
use crate::model::error::{Error, ErrorKind, Result};

/// Folders of the first level that are listed at the same time, at most.
const LISTINGS: usize = 16;

/// What a walk through a local folder has found and nobody has taken yet, at most.
const FOUND_MAX: usize = 4096;

/// A folder of a store.
#[derive(Debug, Clone)]
pub struct Source {
    objects: Objects,
    location: Location,
    /// A local folder as its URL spells it, which may lead over symbolic links.
    spelled: Option<PathBuf>,
    /// The folder within what `objects` is open on, of a cloud store.
    folder: Option<Path>,
    /// The one object in it that is meant; `None` for all.
    name: Option<String>,
    /// The storage of the deployment, which no link in a local folder leads into.
    own: Option<Arc<LocalRoot>>,
}

/// Where a folder is, to be compared and to make addresses from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    Local(PathBuf),
    Cloud { bucket: String, folder: String },
}

impl Location {
    fn of(url: &Url) -> Result<Self> {
        if url.scheme() == "file" {
            let path = folder::file_of(url.as_str())?;
            return Ok(Self::Local(std::fs::canonicalize(&path).unwrap_or(path)));
        }
        let host = url.host_str().unwrap_or_default();
        let folder = Path::from_url_path(url.path()).map_err(|error| {
            Error::invalid("the path of the URL is not valid").with_source(error)
        })?;
        let bucket = format!("{}://{host}", url.scheme());
        Ok(Self::Cloud { bucket, folder: folder.into() })
    }

    /// Whether one of two folders is inside the other.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local(a), Self::Local(b)) => a.starts_with(b) || b.starts_with(a),
            (Self::Cloud { bucket: a, folder: x }, Self::Cloud { bucket: b, folder: y }) => {
                let (x, y) = (Path::from(x.as_str()), Path::from(y.as_str()));
                a == b && (x.prefix_matches(&y) || y.prefix_matches(&x))
            }
            _ => false,
        }
    }

    /// Whether the root of `objects` is inside it, or it inside that.
    fn is_with(&self, objects: &Objects) -> bool {
        let root = Url::parse(objects.url()).ok().and_then(|url| Self::of(&url).ok());
        root.is_some_and(|root| root.overlaps(self))
    }

    fn url(&self) -> String {
        match self {
            Self::Local(path) => folder::url_of(path),
            Self::Cloud { bucket, folder } if folder.is_empty() => bucket.clone(),
            Self::Cloud { bucket, folder } => format!("{bucket}/{folder}"),
        }
    }

    /// The address of the object `key` below the folder.
    fn address(&self, key: &str) -> String {
        match self {
            Self::Local(path) => Self::Local(path.join(key)).url(),
            Self::Cloud { .. } => format!("{}/{key}", self.url()),
        }
    }
}

impl Source {
    /// Opens a folder by its URL: `file:///absolute/dir`, `s3://bucket/prefix`, `gs://…`,
    /// `az://…`. `options` are settings of a cloud client that win over the environment, as for
    /// [`Objects::open_with`]. Credentials and queries in the URL are not used and not kept.
    pub fn open(url: &str, options: &[(String, String)]) -> Result<Self> {
        let parsed = parsed(url)?;
        let location = Location::of(&parsed)?;
        let (root, spelled, folder) = match &location {
            Location::Local(path) if !path.is_dir() => {
                return Err(Error::not_found(format!(
                    "'{}' is not a directory: give the folder whose objects are wanted",
                    path.display()
                )));
            }
            Location::Local(_) => (location.url(), folder::file_of(parsed.as_str()).ok(), None),
            Location::Cloud { bucket, folder } => {
                let folder = Some(Path::from(folder.as_str())).filter(|_| !folder.is_empty());
                (bucket.clone(), None, folder)
            }
        };
        let objects = Objects::open_with(&root, options)?;
        Ok(Self { objects, location, spelled, folder, name: None, own: None })
    }

    /// Opens the folder of one object, of which [`object`](Self::object) then tells; URLs as for
    /// [`open`](Self::open).
    pub fn open_object(url: &str, options: &[(String, String)]) -> Result<Self> {
        let (folder, name) = url.rsplit_once('/').unwrap_or_default();
        if name.is_empty() || folder.ends_with('/') {
            return Err(Error::invalid(
                "this URL names no object; examples: file:///srv/raw/a.csv, s3://bucket/raw/a.csv",
            ));
        }
        let source = Self::open(&format!("{folder}/"), options)?;
        let name = match &source.location {
            Location::Local(_) => file_name(&folder::file_of(url)?)?,
            Location::Cloud { .. } => name.to_owned(),
        };
        Ok(Self { name: Some(name), ..source })
    }

    /// The object `name` below the folder, of which [`object`](Self::object) then tells.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    /// Keeps out of the storage of a deployment: nothing of it is found or read, wherever symbolic
    /// links in the folder lead.
    #[must_use]
    pub fn apart_from(self, own: &Objects) -> Self {
        Self { own: own.root().cloned(), ..self }
    }

    /// Its URL, without credentials and query.
    pub fn url(&self) -> String {
        match &self.name {
            Some(name) => self.location.address(name),
            None => self.location.url(),
        }
    }

    /// The one object that the source was opened for.
    pub async fn object(&self) -> Result<Foreign> {
        let url = self.url();
        let call = self.objects.named("look at", &url);
        let name = self.name.as_deref().unwrap_or_default();
        let found = match &self.location {
            Location::Local(dir) => {
                let path = folder::below(dir, name)?;
                let (key, own) = (name.to_owned(), self.own.clone());
                self.on_file(call, move || {
                    let metadata = folder::metadata_of(&path, own.as_deref())?;
                    Ok(folder::foreign(key, &path, &metadata))
                })
                .await?
            }
            Location::Cloud { .. } => {
                let path = self.path(name)?;
                match self.objects.within(call, self.objects.store.head(&path)).await {
                    Ok(meta) => Some(self.foreign(meta)?),
                    Err(Trouble::Absent) => None,
                    Err(trouble) => return Err(trouble.into_error(call)),
                }
            }
        };
        found.ok_or_else(|| {
            Error::not_found(format!("there is no object '{url}' to import: check the URL"))
        })
    }

    /// The name below the folder of the object at an address; empty for the folder itself, `None`
    /// for what does not lie in it. Local files are compared by their paths, as the folder is spelled
    /// and as it really lies; what links in it lead to is not looked at.
    pub fn name_of(&self, address: &str) -> Option<String> {
        let Location::Local(dir) = &self.location else {
            let address = format!("{}/", address.trim_end_matches('/'));
            let rest = address.strip_prefix(&self.location.url())?.strip_prefix('/')?;
            return Some(rest.trim_end_matches('/').to_owned());
        };
        let path = folder::file_of(address).ok()?;
        let mut dirs = [Some(dir), self.spelled.as_ref()].into_iter().flatten();
        let name = dirs.find_map(|dir| path.strip_prefix(dir).ok())?.to_str()?;
        (name.is_empty() || folder::below(dir, name).is_ok()).then(|| name.to_owned())
    }

    /// The bytes of the object `name` below the folder, or those in `range`, which lies within it;
    /// `None` if there is none.
    pub async fn stream(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Streamed>> {
        let Location::Local(dir) = &self.location else {
            let path = self.path(name)?;
            return self.objects.stream_path(&path, name, range.map(GetRange::Bounded)).await;
        };
        let path = folder::below(dir, name)?;
        let call = self.objects.named("read", name);
        self.objects.meter.get();
        let own = self.own.clone();
        let opened = self.on_file(call, move || {
            folder::metadata_of(&path, own.as_deref())?;
            let file = folder::open_file(&path)?;
            let size = file.metadata()?.len();
            Ok((file, path, size))
        });
        let Some((file, path, size)) = opened.await? else { return Ok(None) };
        let range = range.unwrap_or(0..size);
        Ok(Some(self.objects.stream_file(file, path, range, size, name)))
    }

    /// Does something with a local file, on a thread that may be blocked; `None` where there is no
    /// such file, which is believed only while the folder is the one that was opened.
    async fn on_file<T: Send + 'static>(
        &self,
        call: Call<'_>,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        match self.objects.in_time(call, clock::on_other_thread(work)).await? {
            Ok(done) => Ok(Some(done)),
            Err(error) if folder::is_absent(&error) => {
                self.objects.check_root(call).await.map(|()| None)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let why = format!("{call}: the user who runs this may not read it");
                Err(Error::new(ErrorKind::Forbidden, why).with_source(error))
            }
            Err(error) => Err(io_failed(call, error)),
        }
    }

    /// Whether all of it lies in the folder of another one: by what both really are, not by how they
    /// are spelled.
    pub fn is_within(&self, other: &Self) -> bool {
        match (&self.location, &other.location) {
            (Location::Local(mine), Location::Local(theirs)) => mine.starts_with(theirs),
            (
                Location::Cloud { bucket, folder },
                Location::Cloud { bucket: their_bucket, folder: their_folder },
            ) => {
                let (mine, theirs) =
                    (Path::from(folder.as_str()), Path::from(their_folder.as_str()));
                bucket == their_bucket && mine.prefix_matches(&theirs)
            }
            _ => false,
        }
    }

    /// Where an object below the folder is. A name never leads out of it.
    fn path(&self, name: &str) -> Result<Path> {
        let below = match &self.folder {
            Some(folder) => format!("{folder}/{name}"),
            None => name.to_owned(),
        };
        Path::parse(below).map_err(|error| {
            Error::invalid("the name of the object is not valid").with_source(error)
        })
    }

    /// Whether the folder is inside the root of `objects`, or that inside the folder. Of cloud
    /// stores bucket and path are compared, whatever endpoint they are reached by.
    pub fn overlaps(&self, objects: &Objects) -> bool {
        self.location.is_with(objects)
    }

    /// The same by the URL of a folder that need not be there.
    pub fn would_overlap(url: &str, objects: &Objects) -> Result<bool> {
        Ok(Location::of(&parsed(url)?)?.is_with(objects))
    }

    /// All that lies below the folder, in no order; symbolic links of a local folder are followed. Of
    /// cloud stores the folders of the first level are listed at the same time, at most 16, and empty
    /// objects are told from the marks of folders. Memory:
    /// what lies directly in the folder, and a page for each listing; where the first level is too
    /// large to be listed within a call's deadline, one listing goes through everything. Of a local
    /// folder: 4,096 files and the folders that lead to one.
    pub async fn list(&self) -> Result<BoxStream<'static, Result<Found>>> {
        self.objects.meter.list();
        if let Location::Local(dir) = &self.location {
            return Ok(self.walk(dir.clone()));
        }
        let source = self.clone();
        let told = self.keys().await.map(move |object| {
            let source = source.clone();
            async move { source.told_from_marks(object?).await }
        });
        let told = told.buffer_unordered(LISTINGS);
        Ok(told.try_filter_map(|found| std::future::ready(Ok(found))).boxed())
    }

    /// What the listings of a cloud store have.
    async fn keys(&self) -> BoxStream<'static, Result<Foreign>> {
        let url = self.url();
        let call = self.objects.named("list", &url);
        let level = self.objects.store.list_with_delimiter(self.folder.as_ref());
        let Ok(level) = self.objects.within(call, level).await else {
            return self.below(self.folder.clone());
        };
        let source = self.clone();
        let direct = stream::iter(level.objects).map(move |meta| source.foreign(meta));
        let source = self.clone();
        let below = stream::iter(level.common_prefixes)
            .map(move |folder| source.below(Some(folder)))
            .flatten_unordered(LISTINGS);
        direct.boxed().chain(below).boxed()
    }

    /// Tells objects from the marks of folders: empty objects whose keys end with a slash, as consoles
    /// and file browsers make them. In a listing of the client they lack the slash, so one is looked for
    /// by the name that is left. Costs a request for each empty object.
    async fn told_from_marks(&self, object: Foreign) -> Result<Option<Found>> {
        if object.size > 0 {
            return Ok(Some(Found::Object(object)));
        }
        if object.key.is_empty() {
            return Ok(None);
        }
        let (url, path) = (&object.address, self.path(&object.key)?);
        let call = self.objects.named("look at", url);
        match self.objects.within(call, self.objects.store.head(&path)).await {
            Ok(meta) if meta.size == 0 => Ok(Some(Found::Object(object))),
            // The object of this name is another one, and has its own line in the listing.
            Ok(_) => Ok(None),
            Err(Trouble::Absent) => Ok(Some(Found::LeftOut(LeftOut {
                reason: format!("{url}/: the mark of a folder, which is no object"),
                kind: LeftOutKind::Special,
                key: object.key,
            }))),
            Err(trouble) => Err(trouble.into_error(call)),
        }
    }

    /// Walks through a local folder on a thread of its own, which ends when nobody takes what it
    /// finds.
    fn walk(&self, dir: PathBuf) -> BoxStream<'static, Result<Found>> {
        let (finds, found) = mpsc::channel(FOUND_MAX);
        let own = self.own.clone();
        let walking = tokio::task::spawn_blocking(move || {
            folder::walk(&dir, own.as_deref(), |found| finds.blocking_send(found).is_ok());
        });
        let state = (found, walking, self.clone());
        stream::try_unfold(state, |(mut found, walking, source)| async move {
            let url = source.url();
            let call = source.objects.named("list", &url);
            match tokio::time::timeout(source.objects.deadline, found.recv()).await {
                Ok(Some(next)) => Ok(Some((next?, (found, walking, source)))),
                // A walk that was cut short has not found everything.
                Ok(None) => match walking.await {
                    Ok(()) => Ok(None),
                    Err(error) => Err(Error::internal("the walk was cut short").with_source(error)),
                },
                Err(_) => Err(late(call, source.objects.deadline)),
            }
        })
        .boxed()
    }

    fn below(&self, folder: Option<Path>) -> BoxStream<'static, Result<Foreign>> {
        self.objects.meter.list();
        let entries = self.objects.store.list(folder.as_ref());
        let state = (entries, self.clone());
        stream::try_unfold(state, |(mut entries, source)| async move {
            let url = source.url();
            let call = source.objects.named("list", &url);
            let next = async {
                match entries.next().await.transpose() {
                    Err(backend::Error::InvalidPath { source: why }) => Ok(Err(why)),
                    next => next.map(Ok),
                }
            };
            let next = source.objects.within(call, next).await.map_err(|t| t.into_error(call))?;
            let next = next.map_err(|why| {
                Error::invalid(format!(
                    "{call}: there is a name that cannot be imported; rename it, or import from folders beside it"
                ))
                .with_source(why)
            })?;
            let foreign = next.map(|meta| source.foreign(meta)).transpose()?;
            Ok(foreign.map(|foreign| (foreign, (entries, source))))
        })
        .map_err(|error: Error| error.context("the source cannot be listed"))
        .boxed()
    }

    fn foreign(&self, meta: ObjectMeta) -> Result<Foreign> {
        let key = match &self.folder {
            None => meta.location.to_string(),
            Some(folder) => {
                let parts = meta.location.prefix_match(folder).ok_or_else(|| {
                    Error::unavailable(format!(
                        "the listing of {} holds '{}', which is not in it",
                        self.url(),
                        meta.location
                    ))
                })?;
                parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
            }
        };
        Ok(Foreign {
            address: self.location.address(&key),
            key,
            size: meta.size,
            modified_ms: meta.last_modified.timestamp_millis(),
            e_tag: meta.e_tag.map(|tag| tag.trim_matches('"').to_owned()),
        })
    }
}

/// A URL read. What cannot be read is not repeated: it may hold a secret. In the names of a cloud store
/// `#` is a character like any other.
fn parsed(url: &str) -> Result<Url> {
    let url = match url.starts_with("file:") {
        true => url.to_owned(),
        false => url.replace('#', "%23"),
    };
    Url::parse(&url).map_err(|error| {
        Error::invalid("the source is not a URL; examples: file:///srv/raw, s3://bucket/raw")
            .with_source(error)
    })
}

/// The last part of the path of a file.
fn file_name(path: &std::path::Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| Error::invalid("the name of the object is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Location {
        Location::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn folders_inside_each_other_overlap_either_way() {
        for (a, b, overlap) in [
            ("s3://b/lake", "s3://b/lake/raw", true),
            ("s3://b", "s3://b/lake/raw", true),
            ("s3://k:s@b/lake?x=1", "s3://b/lake", true),
            ("s3://b/lake", "s3://b/lakes", false),
            ("s3://b/lake", "gs://b/lake", false),
            ("s3://b/lake", "s3://c/lake", false),
            ("file:///nowhere/lake", "file:///nowhere/lake/raw", true),
            ("file:///nowhere/lake", "file:///nowhere/lakes", false),
        ] {
            assert_eq!(place(a).overlaps(&place(b)), overlap, "{a} {b}");
            assert_eq!(place(b).overlaps(&place(a)), overlap, "{b} {a}");
        }
    }

    #[test]
    fn addresses_hold_no_secrets_and_files_are_escaped() {
        let cloud = place("s3://key:secret@bucket/raw%20data/?token=1");
        assert_eq!(cloud.url(), "s3://bucket/raw data");
        assert_eq!(cloud.address("a b"), "s3://bucket/raw data/a b");
        assert_eq!(place("s3://bucket").address("a"), "s3://bucket/a");
        assert_eq!(place("file:///no/where").address("a b#"), "file:///no/where/a%20b%23");
        let error = Source::open("s3//key:secret@bucket", &[]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_hash_in_a_url_never_makes_it_another_folder() {
        assert_eq!(Location::of(&parsed("s3://b/raw#1/").unwrap()).unwrap().url(), "s3://b/raw#1");
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("raw")).unwrap();
        std::fs::create_dir(dir.path().join("raw#1")).unwrap();
        let url = |name: &str| format!("file://{}/{name}", dir.path().display());
        for bad in ["raw#1", "raw#1/", "raw?1"] {
            assert!(Source::open(&url(bad), &[]).unwrap_err().message().contains("%23"), "{bad}");
        }
        let source = Source::open(&url("raw%231"), &[]).unwrap();
        assert_eq!(source.name_of(&url("raw%231/a%231")).as_deref(), Some("a#1"));
        assert_eq!(source.name_of(&url("raw%231/")).as_deref(), Some(""));
        let outside = ["raw#1/a", "raw/a", "raw%231/..%2fraw/a", "raw%231/%2e%2e/raw", "raw%231x"];
        for outside in outside {
            assert_eq!(source.name_of(&url(outside)), None, "{outside}");
        }
    }
}
