//! That files of tables are being removed, told to whoever would take over metadata that nothing names (`register`).
//!
//! A notice lies in the warehouse from before files are listed until the last is removed. Who takes over metadata writes
//! it anew, which makes it young, and looks for notices then: either he sees the notice, and does nothing, or the
//! listing behind the notice sees young metadata, and keeps all that it names. What is gone by then he does not write.
//! Times are compared by the clock of the storage alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use onward::internals::clock::{self, Stopwatch};
use onward::{Error, Result};
use tokio::task::JoinHandle;

use super::super::prepare::new_uuid;
use super::super::warehouse::{FORGOTTEN, NOTICES};
use super::roots::Roots;

/// How often a notice is written anew.
const RENEWED: Duration = Duration::from_secs(60);
/// A collection that has not written its notice anew for so long removes nothing any more.
const LATE: Duration = Duration::from_secs(5 * 60);

/// A notice, as long as it is there.
pub(super) struct Notice {
    roots: Roots,
    key: String,
    written: Arc<Mutex<Written>>,
    renewing: JoinHandle<()>,
}

struct Written {
    since: Stopwatch,
    at_ms: i64,
    /// Whether it was too late once: somebody may have passed by then.
    is_lost: bool,
}

impl Written {
    fn now() -> Self {
        Self { since: Stopwatch::start(), at_ms: clock::now_ms(), is_lost: false }
    }

    /// Two clocks, as one of them stands still in a machine that sleeps.
    fn look(&mut self) -> bool {
        let by_calendar = clock::now_ms().abs_diff(self.at_ms);
        self.is_lost |= self.since.elapsed() > LATE || u128::from(by_calendar) > LATE.as_millis();
        self.is_lost
    }
}

impl Notice {
    /// Writes a notice below every root, and goes on doing so.
    pub(super) async fn begin(roots: &Roots) -> Result<Self> {
        let key = format!("{NOTICES}/{}", new_uuid());
        forget_old(roots).await?;
        let written = Arc::new(Mutex::new(Written::now()));
        write(roots, &key).await?;
        let task = renew(roots.clone(), key.clone(), Arc::clone(&written));
        Ok(Self { roots: roots.clone(), key, written, renewing: tokio::spawn(task) })
    }

    /// Fails where somebody may not have seen it.
    pub(super) fn check(&self) -> Result<()> {
        let is_lost = self.written.lock().unwrap_or_else(PoisonError::into_inner).look();
        match is_lost {
            false => Ok(()),
            true => Err(Error::unavailable(format!(
                "this collection stood still for more than {} minutes, or the storage of tables did not answer: nothing more of tables is removed; run it again",
                LATE.as_secs() / 60
            ))),
        }
    }

    /// Takes it away.
    pub(super) async fn end(self) {
        self.renewing.abort();
        for root in self.roots.all() {
            let key = format!("{}/{}", root.folder, self.key);
            if let Err(error) = root.objects.delete(&key).await {
                tracing::debug!(%error, key, "a notice stays for some minutes");
            }
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn write(roots: &Roots, key: &str) -> Result<()> {
    for root in roots.all() {
        let key = format!("{}/{key}", root.folder);
        root.objects.put(&key, Bytes::from_static(b"files of tables are being removed\n")).await?;
    }
    Ok(())
}

async fn renew(roots: Roots, key: String, written: Arc<Mutex<Written>>) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let begun = Written::now();
        let renewed = write(&roots, &key).await;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.look() {
            return;
        }
        if renewed.is_ok() {
            *written = begun;
        }
    }
}

/// Removes notices of collections that were killed long ago.
async fn forget_old(roots: &Roots) -> Result<()> {
    for root in roots.all() {
        let folder = format!("{}/{NOTICES}", root.folder);
        let notices: Vec<_> = root.objects.list(&folder, None).try_collect().await?;
        if notices.is_empty() {
            continue;
        }
        let now_ms = root.objects.store_now_ms().await?;
        for notice in notices {
            if now_ms.saturating_sub(notice.modified_ms) > 6 * FORGOTTEN.as_millis() as i64 {
                root.objects.delete(&notice.key).await?;
            }
        }
    }
    Ok(())
}
