//! [`Objects`]: whole objects, spans, put-if-absent, delete.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::backend::{
    self, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, UpdateVersion,
};
use super::counters::{Meter, ObjectCounters};
use super::failure::{Call, Refusal, Trouble, classify, late, refusal, refused};
use super::open::Signing;
use super::root::LocalRoot;
use super::{key, open};
use crate::clock::{self, Stopwatch};
use crate::measures;
use crate::model::error::{Error, Result};
pub use crate::model::span::Span;

/// How long one call may take unless [`Objects::with_deadline`] says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The largest object read or written in one piece; larger ones go through [`Objects::stream`] and
/// [`Objects::upload`].
pub const OBJECT_LEN_MAX: u64 = 256 << 20;

/// Bytes of a local file that are read at a time.
const PIECE_LEN: usize = 256 << 10;

/// How often a create that is told both "exists" and "absent" is tried. Each turn is the store's
/// own conflict with another writer of the same key, so two or three are plenty.
const CREATE_ATTEMPTS_MAX: u32 = 6;

const CREATE_PAUSE: Duration = Duration::from_millis(20);

/// What became of a put-if-absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The object holds the bytes given: written now, or by an earlier attempt whose reply was
    /// lost, or by somebody who wrote the same.
    Written,
    /// Somebody else's bytes were there first; these are they.
    Found(Bytes),
}

impl Span {
    fn len(self) -> u64 {
        match self {
            Self::From { len, .. } | Self::Last(len) => len,
        }
    }

    fn range(self) -> Option<GetRange> {
        match self {
            Self::From { len: 0, .. } | Self::Last(0) => None,
            Self::From { offset, len } => {
                Some(GetRange::Bounded(Range { start: offset, end: offset.saturating_add(len) }))
            }
            Self::Last(len) => Some(GetRange::Suffix(len)),
        }
    }

    /// Whether the span is all of an object of `size` bytes, or more.
    fn covers(self, size: u64) -> bool {
        match self {
            Self::From { offset, len } => offset == 0 && len >= size,
            Self::Last(len) => len >= size,
        }
    }

    /// Whether the span has nothing in common with an object of `size` bytes.
    fn misses(self, size: u64) -> bool {
        match self {
            Self::From { offset, len } => len == 0 || offset >= size,
            Self::Last(len) => len == 0 || size == 0,
        }
    }
}

/// An object read piece by piece.
pub struct Streamed {
    /// Size of the whole object, in bytes.
    pub size: u64,
    /// Its bytes in order; each piece has the deadline of a call.
    pub chunks: BoxStream<'static, Result<Bytes>>,
}

/// A store of objects under one root. Clones share the connection and the counters.
#[derive(Clone)]
pub struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    url: Arc<str>,
    /// The watched root of local storage.
    root: Option<Arc<LocalRoot>>,
    /// What makes addresses that anybody can use for a while, where the store has that.
    signing: Option<Signing>,
    pub(super) deadline: Duration,
    /// Whether listings come in the order of keys.
    pub(super) ordered: bool,
    pub(super) meter: Arc<Meter>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Objects {
    /// Opens a store by its URL: `file:///absolute/dir` (made if absent; every write is flushed to
    /// disk before it is acknowledged), `s3://bucket/prefix`, `gs://…` and `az://…` (features
    /// `aws`, `gcp`, `azure`; settings from the environment), or `memory://` (a new, empty store
    /// each time). Nothing is sent yet; [`probe`](Self::probe) finds out whether it works.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_with(url, &[])
    }

    /// As [`open`](Self::open), with settings of the cloud client that win over the environment,
    /// in the spelling of its variables: `aws_endpoint`, `aws_region`, …
    pub fn open_with(url: &str, options: &[(String, String)]) -> Result<Self> {
        let opened = open::open(url, options)?;
        let (root, signing) = (opened.root, opened.signer);
        Ok(Self { root, signing, ..Self::from_store(opened.store, url) })
    }

    /// Wraps a store made elsewhere, such as a decorator in a test.
    pub fn from_store(store: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self {
            store,
            url: url.into(),
            root: None,
            signing: None,
            deadline: DEADLINE,
            ordered: open::lists_in_order(url),
            meter: Arc::default(),
        }
    }

    /// The same store behind a decorator, which sees every request but the watch over a local root.
    #[must_use]
    pub fn behind(
        mut self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        self.store = decorate(self.store);
        self
    }

    /// The same store with another deadline for each call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The URL it was opened by.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of object `key`: what an entry of it says.
    pub fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.url.trim_end_matches('/'))
    }

    /// The key of the object at `address`, where that is in this store.
    pub fn key_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(self.url.trim_end_matches('/'))?.strip_prefix('/')
    }

    /// The root of local storage.
    pub(super) fn root(&self) -> Option<&LocalRoot> {
        self.root.as_deref()
    }

    /// Keeps a folder of local storage from everybody but the user who runs this. Clouds have rules
    /// of their own for that.
    pub async fn keep_private(&self, folder: &str) -> Result<()> {
        key::object(folder)?;
        let Some(root) = &self.root else { return Ok(()) };
        let call = self.named("keep private", folder);
        match tokio::time::timeout(self.deadline, root.keep_private(call, folder)).await {
            Ok(kept) => kept,
            Err(_) => Err(late(call, self.deadline)),
        }
    }

    /// Whether it can make addresses that anybody can use for a while.
    pub fn signs(&self) -> bool {
        self.signing.is_some()
    }

    /// A URL by which anybody can read (or write, as `write` says) object `key` for as long as
    /// `valid`. Fails with [`crate::ErrorKind::InvalidInput`] where the store has none.
    pub async fn signed_url(&self, key: &str, write: bool, valid: Duration) -> Result<String> {
        let path = key::object(key)?;
        let Some(signing) = &self.signing else {
            return Err(Error::invalid(format!(
                "the storage {} cannot sign addresses: read and write through Onward",
                self.url
            )));
        };
        let path = match &signing.prefix {
            Some(prefix) => prefix.parts().chain(path.parts()).collect(),
            None => path,
        };
        let method = if write { http::Method::PUT } else { http::Method::GET };
        let call = self.named("sign an address of", key);
        let signed = signing.signer.sign(method, &path, valid);
        let url = self.within(call, signed).await.map_err(|trouble| trouble.into_error(call))?;
        Ok(url.into())
    }

    /// What was asked of the store so far.
    pub fn counters(&self) -> ObjectCounters {
        self.meter.snapshot()
    }

    /// Puts an object if there is none under `key`.
    ///
    /// After an error the object may or may not be there; calling again with the same bytes is
    /// safe and tells.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let path = key::object(key)?;
        let call = self.named("create", key);
        check_len(call, bytes.len() as u64)?;
        let mut pause = CREATE_PAUSE;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            self.check_root(call).await?;
            self.meter.create(bytes.len());
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = self.store.put_opts(&path, PutPayload::from(bytes.clone()), options);
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
        let Some(root) = &self.root else { return Ok(()) };
        let call = self.named("sync", key);
        match tokio::time::timeout(self.deadline, root.sync_name(call, key)).await {
            Ok(synced) => synced,
            Err(_) => Err(late(call, self.deadline)),
        }
    }

    /// Writes an object, replacing what is there.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = key::object(key)?;
        let call = self.named("write", key);
        check_len(call, bytes.len() as u64)?;
        self.check_root(call).await?;
        self.meter.put(bytes.len());
        let put = self.store.put(&path, PutPayload::from(bytes));
        self.within(call, put).await.map_err(|trouble| trouble.into_error(call))?;
        Ok(())
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

    /// Reads a whole object; `None` if absent.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let path = key::object(key)?;
        let call = self.named("read", key);
        let read = async {
            let found = self.store.get(&path).await?;
            let size = found.meta.size;
            if size > OBJECT_LEN_MAX {
                return Ok(Err(size));
            }
            found.bytes().await.map(Ok)
        };
        self.meter.get();
        match self.within(call, read).await {
            Ok(Ok(bytes)) => {
                self.meter.read(bytes.len());
                Ok(Some(bytes))
            }
            Ok(Err(size)) => Err(too_large(call, size)),
            Err(trouble) => self.found_absent(call, trouble).await,
        }
    }

    /// Reads a part of an object; `None` if the object is absent, no bytes if the span lies behind
    /// its end.
    pub async fn get_span(&self, key: &str, span: Span) -> Result<Option<Bytes>> {
        let path = key::object(key)?;
        let call = self.named("read", key);
        check_len(call, span.len())?;
        let read = async {
            let Some(range) = span.range() else {
                return self.store.head(&path).await.map(|_| Bytes::new());
            };
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            match self.store.get_opts(&path, options).await {
                Ok(found) => found.bytes().await,
                Err(error @ backend::Error::NotFound { .. }) => Err(error),
                // Backends differ in how they take a range over the end; the size tells.
                Err(error) => match self.store.head(&path).await {
                    Ok(meta) if span.misses(meta.size) => Ok(Bytes::new()),
                    Ok(meta) if span.covers(meta.size) => {
                        self.store.get(&path).await?.bytes().await
                    }
                    _ => Err(error),
                },
            }
        };
        self.meter.get();
        match self.within(call, read).await {
            Ok(bytes) => {
                self.meter.read(bytes.len());
                Ok(Some(bytes))
            }
            Err(trouble) => self.found_absent(call, trouble).await,
        }
    }

    /// Reads an object of any size piece by piece; `None` if absent.
    pub async fn stream(&self, key: &str) -> Result<Option<Streamed>> {
        self.stream_of(key, None).await
    }

    /// Streams the bytes in `range`, which lies within the object.
    pub async fn stream_range(&self, key: &str, range: Range<u64>) -> Result<Option<Streamed>> {
        self.stream_of(key, Some(GetRange::Bounded(range))).await
    }

    async fn stream_of(&self, key: &str, range: Option<GetRange>) -> Result<Option<Streamed>> {
        self.stream_path(&key::object(key)?, key, range).await
    }

    /// Streams an object that follows nobody's rules for keys; `key` is for messages.
    pub(super) async fn stream_path(
        &self,
        path: &backend::Path,
        key: &str,
        range: Option<GetRange>,
    ) -> Result<Option<Streamed>> {
        let call = self.named("read", key);
        self.meter.get();
        let options = GetOptions { range, ..GetOptions::default() };
        let found = match self.within(call, self.store.get_opts(path, options)).await {
            Ok(found) => found,
            Err(trouble) => return self.found_absent(call, trouble).await,
        };
        let size = found.meta.size;
        let state = (pieces(found), self.clone(), key.to_owned());
        let chunks = futures::stream::try_unfold(state, |(mut chunks, objects, key)| async move {
            let call = objects.named("read", &key);
            let next = async { chunks.next().await.transpose() };
            let chunk = objects.within(call, next).await.map_err(|t| t.into_error(call))?;
            Ok(chunk.map(|chunk: Bytes| {
                objects.meter.read(chunk.len());
                (chunk, (chunks, objects, key))
            }))
        });
        Ok(Some(Streamed { size, chunks: chunks.boxed() }))
    }

    /// Size of an object in bytes; `None` if absent.
    pub async fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.look(key).await?.map(|found| found.size))
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

    /// Deletes many objects with as few requests as the store allows; absent is fine. Stops at the
    /// first failure; which of the others are deleted is then unknown, and calling again is safe.
    pub async fn delete_many(&self, keys: &[String]) -> Result<()> {
        let paths: Vec<backend::Path> =
            keys.iter().map(|key| key::object(key)).collect::<Result<_>>()?;
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

    /// Finds out whether the store can be written, read, listed and deleted from, and whether its
    /// put-if-absent really refuses the second writer: a store that ignores the condition would
    /// let a branch have two histories. Leaves nothing behind.
    pub async fn probe(&self) -> Result<()> {
        let key = self.probe_key();
        let outcome = self.probe_with(&key).await;
        let cleaned = self.delete(&key).await;
        outcome
            .and(cleaned)
            .map_err(|error| error.context(format!("the storage {} cannot be used", self.url)))
    }

    /// A fresh key for something that is removed again.
    pub fn probe_key(&self) -> String {
        super::layout::probe(clock::random_u64())
    }

    async fn probe_with(&self, key: &str) -> Result<()> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        let call = self.named("probe", key);
        let written = self.create(key, first.clone()).await?;
        let found = self.create(key, second).await?;
        if written != Created::Written || found != Created::Found(first) {
            return Err(refused(call, Refusal::Unsupported));
        }
        Ok(())
    }

    pub(super) fn named<'a>(&'a self, verb: &'static str, key: &'a str) -> Call<'a> {
        Call { verb, key, url: &self.url }
    }

    /// Runs one call of the store under the deadline.
    pub(super) async fn within<T>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = backend::Result<T>>,
    ) -> std::result::Result<T, Trouble> {
        let begun = Stopwatch::start();
        let done = tokio::time::timeout(self.deadline, work).await;
        measures::objects(call.verb, begun.elapsed());
        match done {
            Ok(outcome) => outcome.map_err(|error| classify(call, error)),
            Err(_) => Err(Trouble::Failed(late(call, self.deadline))),
        }
    }

    /// Fails when local storage is no longer the directory that was opened.
    pub(super) async fn check_root(&self, call: Call<'_>) -> Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        match tokio::time::timeout(self.deadline, root.check(call)).await {
            Ok(checked) => checked,
            Err(_) => Err(late(call, self.deadline)),
        }
    }

    /// "Absent" where a call found nothing, which is believed only of the store that was opened;
    /// its error where it found something else.
    pub(super) async fn found_absent<T>(
        &self,
        call: Call<'_>,
        trouble: Trouble,
    ) -> Result<Option<T>> {
        match trouble {
            Trouble::Absent => self.check_root(call).await.map(|()| None),
            trouble => Err(trouble.into_error(call)),
        }
    }
}

/// The bytes of an object, in pieces that are worth a system call each.
fn pieces(found: GetResult) -> BoxStream<'static, backend::Result<Bytes>> {
    match found.payload {
        GetResultPayload::File(file, path) => {
            let failed = move |source: io::Error| backend::Error::Generic {
                store: "LocalFileSystem",
                source: format!("{}: {source}", path.display()).into(),
            };
            let (start, length) = (found.range.start, found.range.end - found.range.start);
            let read = async move {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(io::SeekFrom::Start(start)).await?;
                Ok::<_, io::Error>(ReaderStream::with_capacity(file.take(length), PIECE_LEN))
            };
            futures::stream::once(read).try_flatten().map_err(failed).boxed()
        }
        _ => found.into_stream(),
    }
}

fn check_len(call: Call<'_>, len: u64) -> Result<()> {
    if len > OBJECT_LEN_MAX { Err(too_large(call, len)) } else { Ok(()) }
}

fn too_large(call: Call<'_>, len: u64) -> Error {
    Error::invalid(format!(
        "{call}: {len} bytes in one piece are over the limit of {OBJECT_LEN_MAX}; stream it"
    ))
}
