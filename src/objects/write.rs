//! Writing and deleting objects: put-if-absent, put, compare-and-put.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use super::backend::{self, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use super::failure::{Refusal, Trouble, refusal};
use super::hedge::Hedge;
use super::key;
use super::store::{Objects, check_len};
use crate::clock;
use crate::model::error::{Error, Result};

/// How often a create that is told both "exists" and "absent" is tried. Each turn is the store's
/// own conflict with another writer of the same key, so two or three are plenty.
const CREATE_ATTEMPTS_MAX: u32 = 6;

const CREATE_PAUSE: Duration = Duration::from_millis(20);

/// The largest object whose create may be sent twice: what takes long for its size is not overdue.
const HEDGED_MAX: usize = 1 << 20;

/// What became of a put-if-absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The object holds the bytes given: written now, or by an earlier attempt whose reply was
    /// lost, or by somebody who wrote the same.
    Written,
    /// Somebody else's bytes were there first; these are they.
    Found(Bytes),
}

impl Objects {
    /// Puts an object if there is none under `key`.
    ///
    /// After an error the object may or may not be there; calling again with the same bytes is
    /// safe and tells.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        self.create_by(key, bytes, None).await
    }

    /// As [`create`](Self::create), and sent once more beside itself when it takes too long, where the store is
    /// used so ([`hedged`](Self::hedged)). The one that is not waited for may be carried out long afterwards: this is
    /// for keys that are never free again, such as those of log entries.
    pub async fn create_hedged(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let hedge = self.hedge.as_deref().filter(|_| bytes.len() <= HEDGED_MAX);
        self.create_by(key, bytes, hedge).await
    }

    async fn create_by(&self, key: &str, bytes: Bytes, hedge: Option<&Hedge>) -> Result<Created> {
        let path = key::object(key)?;
        let call = self.named("create", key);
        check_len(call, bytes.len() as u64)?;
        let mut pause = CREATE_PAUSE;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            // A local root is compared by its store, right before the file is made.
            let put = || {
                self.meter.create(bytes.len());
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                self.store.put_opts(&path, PutPayload::from(bytes.clone()), options)
            };
            let put = async {
                match hedge {
                    Some(hedge) => hedge.answer(put).await,
                    None => put().await,
                }
            };
            match self.within(call, put).await {
                Ok(_) => return Ok(Created::Written),
                Err(Trouble::Taken) => {}
                Err(trouble) => return Err(trouble.into_error(call)),
            }
            // "Exists" may be our own success whose reply was lost, or a conflict of two writers
            // of which neither has written. Only the object itself can tell.
            match self.get(key).await? {
                // Perhaps by somebody who wrote the same, and is not done with syncing it.
                Some(found) if found == bytes => {
                    self.ensure_durable(key).await?;
                    return Ok(Created::Written);
                }
                Some(found) => return Ok(Created::Found(found)),
                None => {
                    tokio::time::sleep(clock::jittered(pause)).await;
                    pause *= 2;
                }
            }
        }
        Err(Error::unavailable(format!(
            "{call}: told {CREATE_ATTEMPTS_MAX} times that it exists, yet it does not; \
             the storage is in conflict with itself, retry later"
        )))
    }

    /// Makes sure that an object created by another process outlives a power failure: what is
    /// read may be acted upon only when it lasts. Free of cost but for local files.
    pub async fn ensure_durable(&self, key: &str) -> Result<()> {
        key::object(key)?;
        let Some(root) = self.root() else { return Ok(()) };
        let call = self.named("sync", key);
        self.in_time(call, root.sync_name(call, key)).await
    }

    /// Writes an object, replacing what is there.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = key::object(key)?;
        let call = self.named("write", key);
        check_len(call, bytes.len() as u64)?;
        // A local root is compared by its store, as for a create.
        self.meter.put(bytes.len());
        let put = self.store.put(&path, PutPayload::from(bytes));
        self.within(call, put).await.map_err(|trouble| trouble.into_error(call))?;
        Ok(())
    }

    /// Writes an object in place of what was `found` there, `None` for nothing; returns whether that was what
    /// was there, as [`replace`](Self::replace) does.
    pub async fn change(&self, key: &str, found: Option<&Bytes>, bytes: Bytes) -> Result<bool> {
        match found {
            Some(old) => self.replace(key, old, bytes).await,
            None => Ok(self.create(key, bytes).await? == Created::Written),
        }
    }

    /// Writes an object in place of `old`; returns whether that was what was there. The store itself
    /// sees to it where it can; others, like local files, are compared right before they are written.
    pub async fn replace(&self, key: &str, old: &Bytes, bytes: Bytes) -> Result<bool> {
        let path = key::object(key)?;
        let call = self.named("replace", key);
        check_len(call, bytes.len() as u64)?;
        let read = async {
            let found = self.store.get(&path).await?;
            let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
            if found.meta.size != old.len() as u64 || found.bytes().await? != old {
                return Ok(None);
            }
            Ok(Some(UpdateVersion { e_tag, version }))
        };
        self.meter.get();
        let version = match self.within(call, read).await {
            Ok(Some(version)) => version,
            Ok(None) => return Ok(false),
            Err(trouble) => return Ok(self.found_absent::<()>(call, trouble).await?.is_some()),
        };
        self.check_root(call).await?;
        self.meter.put(bytes.len());
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        let put = self.store.put_opts(&path, PutPayload::from(bytes.clone()), options);
        match self.within(call, put).await {
            Ok(_) => Ok(true),
            // It may be our own success whose reply was lost: the object tells.
            Err(Trouble::Taken) => Ok(self.get(key).await? == Some(bytes)),
            Err(Trouble::Failed(error)) if refusal(&error) == Some(Refusal::Unsupported) => {
                self.put(key, bytes).await.map(|()| true)
            }
            Err(trouble) => Ok(self.found_absent::<()>(call, trouble).await?.is_some()),
        }
    }

    /// Deletes an object; absent is fine.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let path = key::object(key)?;
        let call = self.named("delete", key);
        self.meter.deletes(1);
        match self.within(call, self.store.delete(&path)).await {
            Ok(()) => Ok(()),
            Err(Trouble::Absent) => self.check_root(call).await,
            Err(trouble) => Err(trouble.into_error(call)),
        }
    }

    /// As [`delete_many`](Self::delete_many), of keys that a listing has given: others than this program may have
    /// written them, with characters that no key of ours has.
    pub async fn delete_listed(&self, keys: &[String]) -> Result<()> {
        let path = |key: &String| {
            backend::Path::parse(key).map_err(|error| {
                Error::invalid(format!("the store does not take the key '{key}'"))
                    .with_source(error)
            })
        };
        self.delete_paths(keys.iter().map(path).collect::<Result<_>>()?, keys).await
    }

    /// Deletes many objects with as few requests as the store allows; absent is fine. Stops at the
    /// first failure; which of the others are deleted is then unknown, and calling again is safe.
    pub async fn delete_many(&self, keys: &[String]) -> Result<()> {
        self.delete_paths(keys.iter().map(|key| key::object(key)).collect::<Result<_>>()?, keys)
            .await
    }

    async fn delete_paths(&self, paths: Vec<backend::Path>, keys: &[String]) -> Result<()> {
        let first = keys.first().map_or("", String::as_str);
        let call = self.named("delete many, the first of them", first);
        self.check_root(call).await?;
        self.meter.deletes(paths.len());
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(paths);
        loop {
            let next = async { deleted.next().await.transpose() };
            match self.within(call, next).await {
                Ok(Some(_)) | Err(Trouble::Absent) => {}
                Ok(None) => return Ok(()),
                Err(trouble) => return Err(trouble.into_error(call)),
            }
        }
    }
}
