//! What the operations share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use s3s::{S3Result, s3_error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::talk::TALK;
use crate::state::AppState;

/// Large uploads at the same time: each may have 48 MiB in memory, and 3 where the storage is local files.
const UPLOADS_MAX: usize = 64;

/// Those of one access key: nobody takes all the places.
const UPLOADS_PER_KEY: usize = 48;

/// Bytes up to which an upload is no large one.
const SMALL_LEN: u64 = 1 << 20;

/// How long a large upload waits for its place.
const PATIENCE: Duration = Duration::from_secs(30);

/// What answers operations.
pub struct Gateway {
    /// What all requests of the sidecar share.
    pub app: AppState,
    /// Places for large uploads.
    uploads: Arc<Semaphore>,
    /// Places of those access keys that have large uploads.
    by_key: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The place of a large upload, and of its key.
pub struct UploadPlace {
    _of_all: OwnedSemaphorePermit,
    _of_key: OwnedSemaphorePermit,
}

impl Gateway {
    /// Over a deployment.
    pub fn new(app: AppState) -> Self {
        Self { app, uploads: Arc::new(Semaphore::new(UPLOADS_MAX)), by_key: Mutex::default() }
    }

    /// A place for an upload of so many bytes, if that is known; a small one needs none. Fails with
    /// `SlowDown` where there is none for longer than anybody waits.
    pub async fn place(&self, len: Option<u64>) -> S3Result<Option<UploadPlace>> {
        if len.is_some_and(|len| len <= SMALL_LEN) {
            return Ok(None);
        }
        let of_key = self.places_of_key();
        let taking = async {
            let _of_key = of_key.acquire_owned().await.ok()?;
            let _of_all = Arc::clone(&self.uploads).acquire_owned().await.ok()?;
            Some(UploadPlace { _of_all, _of_key })
        };
        let place = tokio::time::timeout(PATIENCE, taking).await.ok().flatten();
        place.map(Some).ok_or_else(|| {
            s3_error!(SlowDown, "too many uploads are under way: send it again in a while")
        })
    }

    /// The places of the key that has signed the request of this task.
    fn places_of_key(&self) -> Arc<Semaphore> {
        let key = TALK.try_with(|talk| talk.signing.key.id.clone()).unwrap_or_default();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody has or waits for are as good as new.
        by_key.retain(|_, places| Arc::strong_count(places) > 1);
        let fresh = || Arc::new(Semaphore::new(UPLOADS_PER_KEY));
        Arc::clone(by_key.entry(key).or_insert_with(fresh))
    }
}
