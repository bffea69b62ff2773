//! What to know of an object store.

use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::model::error::Result;
use crate::objects::Objects;

use super::check::{Check, latency};

/// A write that takes longer is what commits wait for.
const WRITE_SLOW: Duration = Duration::from_millis(100);

/// Ages of objects, by which garbage is collected, are told by the store's clock.
const SKEW_MAX_MS: i64 = 60_000;

/// Free space on a local disk below which it will soon be full.
const FREE_LOW: u64 = 1 << 30;

pub(super) async fn examine(objects: &Objects, tell: &mut (dyn FnMut(Check) + Send)) {
    let conditional = objects.probe().await;
    let reached = conditional.is_ok();
    tell(Check::works(
        "storage_create_if_absent",
        conditional.map(|()| "the second writer of an object is refused".into()),
        "use a store that honours 'If-None-Match: *' on every put, and let this user list, read, \
         write and delete: without it a branch could get two histories",
    ));
    if !reached {
        return;
    }
    tell(durability(objects));
    tell(time(objects).await);
    tell(
        latency(
            "storage_latency",
            WRITE_SLOW,
            "each batch of commits waits for one write: run Onward nearer to its store, or use a \
             faster class of storage",
            async || write_one(objects).await,
        )
        .await,
    );
    if let Some(check) = space(objects) {
        tell(check);
    }
}

async fn write_one(objects: &Objects) -> Result<()> {
    let key = objects.probe_key();
    objects.create(&key, Bytes::from_static(b"doctor")).await?;
    objects.delete(&key).await
}

fn durability(objects: &Objects) -> Check {
    const CHECK: &str = "storage_durability";
    match objects.url().split("://").next() {
        Some("memory") => Check::bad(
            CHECK,
            "objects in the memory of one process",
            "name a store that lasts: file:///srv/lake, s3://bucket/lake",
        ),
        Some("file") => Check::good(
            CHECK,
            "local files, flushed to disk before a commit is acknowledged; as safe as that disk",
        ),
        _ => Check::good(CHECK, "as the service promises"),
    }
}

async fn time(objects: &Objects) -> Check {
    const CHECK: &str = "storage_clock";
    match objects.store_now_ms().await {
        Err(error) => Check::bad(CHECK, error.to_string(), "nothing works without it"),
        Ok(now) => {
            let ahead = now - clock::now_ms();
            let found = format!("{ahead} ms ahead of this machine's");
            match ahead.abs() <= SKEW_MAX_MS {
                true => Check::good(CHECK, found),
                false => Check::warning(CHECK, found, "let both follow a time server"),
            }
        }
    }
}

fn space(objects: &Objects) -> Option<Check> {
    const CHECK: &str = "storage_space";
    let path = url::Url::parse(objects.url()).ok()?.to_file_path().ok()?;
    let found = nix::sys::statvfs::statvfs(&path).ok()?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let text = format!("{} MiB free", free >> 20);
    Some(match free >= FREE_LOW {
        true => Check::good(CHECK, text),
        false => Check::warning(CHECK, text, "make room: on a full disk nothing is committed"),
    })
}
