//! What to know of an object store.

use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::model::error::{Error, Result};
use crate::objects::{Objects, Refusal, Replaces, refusal};
use crate::repo::trust;

use super::check::{Check, latency};

/// A write that takes longer is what commits wait for.
const WRITE_SLOW: Duration = Duration::from_millis(100);

/// Ages of objects, by which garbage is collected, are told by the store's clock.
const SKEW_MAX_MS: i64 = 60_000;

/// Free space on a local disk below which it will soon be full.
const FREE_LOW: u64 = 1 << 30;

pub(super) async fn examine(objects: &Objects, tell: &mut (dyn FnMut(Check) + Send)) {
    const CHECK: &str = "storage_create_if_absent";
    let probed = match trust::examine(objects).await {
        Ok((verdict, Some(probed))) => {
            tell(Check::good(CHECK, verdict.found));
            probed
        }
        Ok((verdict, None)) => {
            let advice = "use a store that lets one of many writers of an object through ('If-None-Match: *' on \
                          every put, checked and written in one step): here a branch could get two histories, and \
                          commits are refused unless --accept-unsafe-storage is given";
            return tell(Check::bad(CHECK, verdict.found, advice));
        }
        Err(error) => return tell(Check::bad(CHECK, error.to_string(), advice(&error))),
    };
    tell(replacing(probed.replaces));
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

/// What to do about a storage that could not be tried.
fn advice(error: &Error) -> String {
    match refusal(error) {
        Some(Refusal::Misunderstood) => {
            "the same request comes to the same end: check the endpoint and its \
            settings (AWS_ENDPOINT, AWS_REGION, …), and use a store that speaks this protocol"
                .into()
        }
        Some(refusal) => refusal.to_string(),
        None => {
            "check that the storage can be reached, and look again: it may pass by itself".into()
        }
    }
}

fn replacing(replaces: Replaces) -> Check {
    const CHECK: &str = "storage_replace_if_same";
    match replaces {
        Replaces::Refused => {
            Check::good(CHECK, "who overwrites something else than he has read is refused")
        }
        Replaces::Unsupported => Check::good(
            CHECK,
            "not offered: what is there is compared right before it is overwritten",
        ),
        Replaces::Ignored => Check::warning(
            CHECK,
            "the condition 'If-Match' is ignored: of two changes of the rules of protected branches at the same \
             time one can be lost",
            "use a store that honours it, or change rules by one process at a time",
        ),
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
