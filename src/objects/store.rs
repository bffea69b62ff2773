//! [`Objects`]: the handle of a store, and what every call of it has: a name, a deadline, a measure, and
//! the watch over the root of local storage.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{self, ObjectStore};
use super::bucket::Bucket;
use super::counters::{Meter, ObjectCounters};
use super::failure::{Call, Trouble, classify, late};
use super::hedge::Hedge;
use super::local::LocalFiles;
use super::open::Signing;
use super::root::LocalRoot;
use super::{key, open};
use crate::clock::Stopwatch;
use crate::measures;
use crate::model::error::{Error, Result};

/// How long one call may take unless [`Objects::with_deadline`] says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The largest object read or written in one piece; larger ones go through [`Objects::stream`] and
/// [`Objects::upload`].
pub const OBJECT_LEN_MAX: u64 = 256 << 20;

/// A store of objects under one root. Clones share the connection and the counters.
#[derive(Clone)]
pub struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store, where it is local files and nothing is in between.
    pub(super) local: Option<LocalFiles>,
    url: Arc<str>,
    /// The watched root of local storage.
    root: Option<Arc<LocalRoot>>,
    /// What makes addresses that anybody can use for a while, where the store has that.
    pub(super) signing: Option<Signing>,
    /// The bucket, where the store is S3.
    bucket: Option<Bucket>,
    pub(super) deadline: Duration,
    /// Whether listings come in the order of keys.
    pub(super) ordered: bool,
    pub(super) meter: Arc<Meter>,
    /// Sends creates of log entries that take too long once more, where that is done.
    pub(super) hedge: Option<Arc<Hedge>>,
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
        let (local, root, signing) = (opened.local, opened.root, opened.signer);
        let own = Self::from_store(opened.store, url);
        let objects = Self { local, root, signing, bucket: opened.bucket, ..own };
        Ok(if open::is_elsewhere(url) { objects.hedged() } else { objects })
    }

    /// Wraps a store made elsewhere, such as a decorator in a test.
    pub fn from_store(store: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self {
            store,
            local: None,
            url: url.into(),
            root: None,
            signing: None,
            bucket: None,
            deadline: DEADLINE,
            ordered: open::lists_in_order(url),
            meter: Arc::default(),
            hedge: None,
        }
    }

    /// The same store, to which a [`create_hedged`](Self::create_hedged) of a small object that takes far longer than
    /// they do is sent once more: one in sixteen at the most. A cloud store that is opened by its URL is used so.
    #[must_use]
    pub fn hedged(mut self) -> Self {
        self.hedge = Some(Arc::default());
        self
    }

    /// The same store behind a decorator, which sees every request but the watch over a local root.
    #[must_use]
    pub fn behind(
        mut self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        self.store = decorate(self.store);
        self.local = None;
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

    /// The bucket that it lies in, where that is one of S3 whose requests are signed with one key for all of it.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// The key of the object at `address`, where that is in this store.
    pub fn key_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(self.url.trim_end_matches('/'))?.strip_prefix('/')
    }

    /// Whether the store lists in the order of keys, from a key on: a listing costs what it gives. Of
    /// other stores a listing costs the whole folder.
    pub fn lists_in_order(&self) -> bool {
        self.ordered
    }

    /// Whether objects that are made in one folder at the same time cost less than in several: local files,
    /// where they share a sync of it.
    pub fn shares_syncs(&self) -> bool {
        self.root.is_some()
    }

    /// The root of local storage.
    pub(super) fn root(&self) -> Option<&Arc<LocalRoot>> {
        self.root.as_ref()
    }

    /// Keeps a folder of local storage from everybody but the user who runs this. Clouds have rules
    /// of their own for that.
    pub async fn keep_private(&self, folder: &str) -> Result<()> {
        key::object(folder)?;
        let Some(root) = &self.root else { return Ok(()) };
        let call = self.named("keep private", folder);
        self.in_time(call, root.keep_private(call, folder)).await
    }

    /// What was asked of the store so far.
    pub fn counters(&self) -> ObjectCounters {
        self.meter.snapshot()
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
        self.in_time(call, root.check(call)).await
    }

    /// Runs work on local files under the deadline.
    pub(super) async fn in_time<T>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(done) => done,
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

pub(super) fn check_len(call: Call<'_>, len: u64) -> Result<()> {
    if len > OBJECT_LEN_MAX { Err(too_large(call, len)) } else { Ok(()) }
}

pub(super) fn too_large(call: Call<'_>, len: u64) -> Error {
    Error::invalid(format!(
        "{call}: {len} bytes in one piece are over the limit of {OBJECT_LEN_MAX}; stream it"
    ))
}
