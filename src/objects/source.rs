//! Objects that lie elsewhere: a folder of a store that is only listed, never written, and whose
//! names follow nobody's rules but the store's.

use std::ops::Range;
use std::path::PathBuf;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use url::Url;

use super::backend::{self, GetRange, ObjectMeta, ObjectStoreExt, Path};
use super::failure::Trouble;
use super::read::Streamed;
use super::store::Objects;
use crate::model::error::{Error, Result};

/// Folders of the first level that are listed at the same time, at most.
const LISTINGS: usize = 16;

/// One object of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its name below the folder.
    pub key: String,
    /// Where it is, as a URL without credentials.
    pub address: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the clock of the store, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
    /// What the store recognises its content by, without quotes. For local files this is made of
    /// inode, modification time and size: it changes when a file is copied.
    pub e_tag: Option<String>,
}

/// A folder of a store.
#[derive(Debug, Clone)]
pub struct Source {
    objects: Objects,
    location: Location,
    /// The folder within what `objects` is open on.
    folder: Option<Path>,
    /// The one object in it that is meant; `None` for all.
    name: Option<String>,
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
            let path = url.to_file_path().map_err(|()| {
                Error::invalid("a file URL has an absolute path behind three slashes: file:///srv")
            })?;
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

    fn url(&self) -> String {
        match self {
            Self::Local(path) => match Url::from_file_path(path) {
                Ok(url) => url.into(),
                Err(()) => format!("file://{}", path.display()),
            },
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
        // What cannot be read as a URL is not repeated: it may hold a secret.
        let parsed = Url::parse(url).map_err(|error| {
            Error::invalid("the source is not a URL; examples: file:///srv/raw, s3://bucket/raw")
                .with_source(error)
        })?;
        let location = Location::of(&parsed)?;
        let (root, folder) = match &location {
            Location::Local(path) if !path.is_dir() => {
                return Err(Error::not_found(format!(
                    "'{}' is not a directory: give the folder whose objects are wanted",
                    path.display()
                )));
            }
            Location::Local(_) => (location.url(), None),
            Location::Cloud { bucket, folder } => {
                let folder = Some(Path::from(folder.as_str())).filter(|_| !folder.is_empty());
                (bucket.clone(), folder)
            }
        };
        Ok(Self { objects: Objects::open_with(&root, options)?, location, folder, name: None })
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
            Location::Local(_) => Path::from_url_path(name).map(String::from).map_err(|error| {
                Error::invalid("the name of the object is not valid").with_source(error)
            })?,
            Location::Cloud { .. } => name.to_owned(),
        };
        Ok(Self { name: Some(name), ..source })
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
        let path = self.path(name)?;
        match self.objects.within(call, self.objects.store.head(&path)).await {
            Ok(meta) => self.foreign(meta),
            Err(Trouble::Absent) => Err(Error::not_found(format!(
                "there is no object '{url}' to import: check the URL"
            ))),
            Err(trouble) => Err(trouble.into_error(call)),
        }
    }

    /// The bytes of the object `name` below the folder, or those in `range`, which lies within it;
    /// `None` if there is none.
    pub async fn stream(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Streamed>> {
        let path = self.path(name)?;
        self.objects.stream_path(&path, name, range.map(GetRange::Bounded)).await
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
        let root = Url::parse(objects.url()).ok().and_then(|url| Location::of(&url).ok());
        root.is_some_and(|root| root.overlaps(&self.location))
    }

    /// All objects below the folder, in no order. The folders of its first level are listed at the
    /// same time, at most 16. Memory: what lies directly in the folder, and a page for each listing;
    /// where the first level is too large to be listed within a call's deadline, one listing goes
    /// through everything.
    pub async fn list(&self) -> Result<BoxStream<'static, Result<Foreign>>> {
        let url = self.url();
        let call = self.objects.named("list", &url);
        let level = self.objects.store.list_with_delimiter(self.folder.as_ref());
        self.objects.meter.list();
        let Ok(level) = self.objects.within(call, level).await else {
            return Ok(self.below(self.folder.clone()));
        };
        let source = self.clone();
        let direct = stream::iter(level.objects).map(move |meta| source.foreign(meta)).boxed();
        let source = self.clone();
        let below = stream::iter(level.common_prefixes)
            .map(move |folder| source.below(Some(folder)))
            .flatten_unordered(LISTINGS);
        Ok(direct.chain(below).boxed())
    }

    fn below(&self, folder: Option<Path>) -> BoxStream<'static, Result<Foreign>> {
        self.objects.meter.list();
        let entries = self.objects.store.list(folder.as_ref());
        let state = (entries, self.clone());
        stream::try_unfold(state, |(mut entries, source)| async move {
            let url = source.url();
            let call = source.objects.named("list", &url);
            let next = async { entries.next().await.transpose() };
            let next: Option<backend::ObjectMeta> =
                source.objects.within(call, next).await.map_err(|t| t.into_error(call))?;
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
}
