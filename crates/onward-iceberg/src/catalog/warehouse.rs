//! Where tables lie: folders below one root of an object store, which nothing that a client names leads out of.
//!
//! Without a setting that root is `_iceberg/<repository>/` in the deployment's own storage: no repository can have
//! that name, and the removal of repositories looks at repositories' folders alone. What nothing needs any more is
//! removed by garbage collection (`garbage`).

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use onward::RepoName;
use onward::internals::model::error::quoted;
use onward::internals::objects::{Bucket, Listed, Objects, Span};
use uuid::Uuid;

use super::error::{CatalogError, Kind, Result};
use crate::table::TableFiles;

/// The folder of all tables in the deployment's own storage.
const OWN: &str = "_iceberg";
/// Files of a table that is to be made that are looked through for its metadata.
const LISTED_MAX: usize = 10_000;

/// The folder, beside those of tables, that has notices of collections which remove files: `garbage/notice.rs`.
pub(super) const NOTICES: &str = ".removing";
/// A notice that is older than this is one of a collection that was killed.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// The folder of a repository's tables.
#[derive(Debug, Clone)]
pub struct Warehouse {
    objects: Objects,
    /// Key of the folder, without a slash behind it.
    folder: String,
}

impl Warehouse {
    /// The tables of a repository in a deployment's own storage.
    pub fn own(objects: &Objects, repo: &RepoName) -> Self {
        Self { objects: objects.clone(), folder: format!("{OWN}/{repo}") }
    }

    /// The tables of a repository below another root.
    pub fn below(objects: &Objects, repo: &RepoName) -> Self {
        Self { objects: objects.clone(), folder: repo.to_string() }
    }

    /// The folder for a new table. Fails where the root is one that clients cannot reach, or would understand in
    /// another way than this catalog.
    pub fn location_for(&self, uuid: Uuid) -> Result<String> {
        if self.objects.url().contains('%') {
            return Err(CatalogError::invalid(format!(
                "tables cannot lie below {}: clients read an escaped character in it as it stands; set a warehouse whose path has plain letters",
                self.objects.url()
            )));
        }
        Ok(self.objects.address(&format!("{}/{uuid}", self.folder)))
    }

    /// The bucket of S3 that its files lie in, if they do.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.objects.bucket()
    }

    /// What keys of its files begin with in that bucket: the folder, with a slash behind it.
    pub fn prefix_in(&self, bucket: &Bucket) -> String {
        format!("{}/", bucket.key(&self.folder))
    }

    /// What keys of files below a location begin with in that bucket.
    pub fn prefix_of(&self, bucket: &Bucket, location: &str) -> Result<String> {
        Ok(format!("{}/", bucket.key(&self.key(location)?)))
    }

    /// The storage that they lie in.
    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The key of the folder, without a slash behind it.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// Fails where a location is not below the root: nothing there is read or written for a client.
    pub fn check(&self, location: &str) -> Result<()> {
        self.key(location).map(drop)
    }

    /// Reads a file; `None` where there is none.
    pub async fn get(&self, location: &str, bytes_max: u64) -> Result<Option<Bytes>> {
        let key = self.key(location)?;
        let span = Span::From { offset: 0, len: bytes_max.saturating_add(1) };
        let found = self.objects.get_span(&key, span).await.map_err(away)?;
        match found {
            Some(bytes) if bytes.len() as u64 > bytes_max => Err(CatalogError::new(
                Kind::TooLarge,
                format!("'{}' has more than {bytes_max} bytes, the limit", quoted(location)),
            )),
            found => Ok(found),
        }
    }

    /// Writes a file that nobody has written before.
    pub async fn put(&self, location: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(location)?;
        self.objects.put(&key, bytes).await.map_err(away)
    }

    /// Keeps a collection from removing metadata that nothing names yet, and what it names: makes it young, and then
    /// looks whether one has begun before. Six calls. A collection looks in the other order, see `garbage/notice.rs`.
    ///
    /// # Errors
    ///
    /// [`Kind::Unavailable`] while files of tables are being removed.
    pub async fn claim(&self, location: &str) -> Result<()> {
        let key = self.key(location)?;
        // Under a notice nothing is written: it could bring back metadata whose files are gone.
        if let Some(newest_ms) = self.newest_notice_ms().await? {
            still(newest_ms, self.objects.store_now_ms().await.map_err(away)?)?;
        }
        let gone = || {
            let message = format!("there is no metadata at '{}'", quoted(location));
            CatalogError::new(Kind::NotFound, message)
        };
        let bytes = self.objects.get(&key).await.map_err(away)?.ok_or_else(gone)?;
        // In place of itself: what goes meanwhile is not brought back.
        if !self.objects.replace(&key, &bytes, bytes.clone()).await.map_err(away)? {
            return Err(gone());
        }
        let claimed = self.objects.look(&key).await.map_err(away)?.ok_or_else(gone)?;
        match self.newest_notice_ms().await? {
            Some(newest_ms) => still(newest_ms, claimed.modified_ms),
            None => Ok(()),
        }
    }

    async fn newest_notice_ms(&self) -> Result<Option<i64>> {
        let folder = format!("{}/{NOTICES}", self.folder);
        let notices: Vec<Listed> =
            self.objects.list(&folder, None).try_collect().await.map_err(away)?;
        Ok(notices.iter().map(|notice| notice.modified_ms).max())
    }

    /// Removes a file that nobody names, as far as that can be done now.
    pub async fn forget(&self, location: &str) {
        let Ok(key) = self.key(location) else { return };
        if let Err(error) = self.objects.delete(&key).await {
            tracing::debug!(%error, location, "a file that nothing names stays");
        }
    }

    /// Whether the first metadata of a table of this uuid was ever written to its folder, or more lies there than is
    /// looked at. The folder may have been that of other tables.
    pub async fn has_first(&self, location: &str, uuid: &str) -> Result<bool> {
        let folder = format!("{}/metadata", self.key(location)?);
        let first = format!("{folder}/{}", first_of(uuid));
        let mut listed = self.objects.list(&folder, Some(&first));
        for _ in 0..LISTED_MAX {
            let Some(found) = listed.try_next().await.map_err(away)? else { return Ok(false) };
            if found.key.starts_with(&first) {
                return Ok(true);
            }
            if self.objects.lists_in_order() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key of a location.
    fn key(&self, location: &str) -> Result<String> {
        let refused = || {
            CatalogError::invalid(format!(
                "'{}' is not below {}, where the tables of this repository lie: leave the location to the catalog, or choose one there",
                quoted(location),
                self.objects.address(&self.folder)
            ))
        };
        let location = plain(location);
        let key = self.objects.key_of(&location).ok_or_else(refused)?;
        let inner = key.strip_prefix(self.folder.as_str()).and_then(|key| key.strip_prefix('/'));
        // Onward's own rule for keys lets no key leave the root, and refuses what is empty or climbs.
        let climbs = |part: &str| matches!(part, "" | "." | "..");
        // What is said of collections is nobody's table.
        let is_of_tables = |inner: &&str| inner.split('/').next() != Some(NOTICES);
        match inner.filter(is_of_tables) {
            Some(inner) if !inner.split('/').any(climbs) => Ok(key.to_owned()),
            _ => Err(refused()),
        }
    }
}

/// What the name of the first metadata of a table begins with.
pub fn first_of(uuid: &str) -> String {
    format!("00000-{}-", uuid.to_ascii_lowercase())
}

/// Whether a file has a name by which garbage collection takes it for metadata.
pub(super) fn is_metadata(name: &str) -> bool {
    name.ends_with(".json") || name.ends_with(".json.gz")
}

/// Fails where a notice of one time still holds at another.
fn still(notice_ms: i64, now_ms: i64) -> Result<()> {
    let forgotten_ms = i64::try_from(FORGOTTEN.as_millis()).unwrap_or(i64::MAX);
    match now_ms.saturating_sub(notice_ms) < forgotten_ms {
        false => Ok(()),
        true => Err(CatalogError::new(
            Kind::Unavailable,
            "files of tables that nothing names are being removed now, and nothing was done: try again when `onward gc` is over, some minutes after it at most".to_owned(),
        )),
    }
}

/// A location in the spelling of this deployment: Hadoop's paths have one slash, and its S3 another scheme.
pub(super) fn plain(location: &str) -> String {
    let location = location.trim_end_matches('/');
    for s3 in ["s3a://", "s3n://"] {
        if let Some(rest) = location.strip_prefix(s3) {
            return format!("s3://{rest}");
        }
    }
    match location.strip_prefix("file:/") {
        Some(rest) if !rest.starts_with('/') => format!("file:///{rest}"),
        _ => location.to_owned(),
    }
}

/// What a client is told where the storage of tables does not answer.
fn away(error: onward::Error) -> CatalogError {
    let told = CatalogError::from(error);
    match told.kind {
        Kind::Unavailable => told.context("the warehouse does not answer, and nothing was done"),
        _ => told,
    }
}

#[async_trait]
impl TableFiles for Warehouse {
    async fn read(&self, location: &str, bytes_max: u64) -> io::Result<Bytes> {
        match self.get(location, bytes_max).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("'{location}' is not there")))
            }
            Err(error) => Err(as_io(error)),
        }
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.put(location, bytes).await.map_err(as_io)
    }
}

fn as_io(error: CatalogError) -> io::Error {
    let kind = match error.kind {
        Kind::BadRequest => io::ErrorKind::PermissionDenied,
        Kind::TooLarge => io::ErrorKind::FileTooLarge,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse(url: &str) -> Warehouse {
        let dir = Objects::from_store(
            std::sync::Arc::new(onward::internals::objects::backend::InMemory::new()),
            url,
        );
        Warehouse::own(&dir, &RepoName::new("lake").unwrap())
    }

    #[test]
    fn nothing_outside_the_folder_of_a_repository_has_a_key() {
        let files = warehouse("file:///srv/w");
        let location = files.location_for(Uuid::nil()).unwrap();
        assert!(location.starts_with("file:///srv/w/_iceberg/lake/"));
        for inside in [
            format!("{location}/metadata/x.json"),
            format!("{location}/"),
            location.replace("file:///", "file:/"),
        ] {
            files.check(&inside).unwrap();
        }
        for outside in [
            "file:///srv/w/_iceberg/lake",
            "file:///srv/w/_iceberg/lake/",
            "file:///srv/w/_iceberg/lake2/x",
            "file:///srv/w/_iceberg/lake/../../_onward/keys/x",
            "file:///srv/w/_iceberg/lake//x",
            "file:///srv/w/_iceberg/lake/.removing",
            "file:///srv/w/_iceberg/lake/.removing/x",
            "file:///srv/w/_onward/token-key",
            "file:///etc/passwd",
            "/etc/passwd",
            "s3://b/k",
            "",
        ] {
            assert_eq!(files.check(outside).unwrap_err().kind, Kind::BadRequest, "{outside}");
        }
        let s3 = warehouse("s3://bucket/p/");
        s3.check("s3a://bucket/p/_iceberg/lake/u/metadata/x").unwrap();
        assert!(warehouse("file:///srv/a%20b").location_for(Uuid::nil()).is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_or_elsewhere_is_told_from_one_that_is_not_there() {
        let files = warehouse("memory://");
        let at = files.location_for(Uuid::nil()).unwrap() + "/metadata/a";
        files.write(&at, Bytes::from_static(b"1234")).await.unwrap();
        assert_eq!(files.read(&at, 4).await.unwrap().as_ref(), b"1234");
        let kind = async |at: &str, max| files.read(at, max).await.unwrap_err().kind();
        assert_eq!(kind(&at, 3).await, io::ErrorKind::FileTooLarge);
        assert_eq!(kind(&format!("{at}b"), 3).await, io::ErrorKind::NotFound);
        assert_eq!(kind("memory:///_onward/x", 3).await, io::ErrorKind::PermissionDenied);
        files.forget(&at).await;
        assert_eq!(files.get(&at, 4).await.unwrap(), None);
    }
}
