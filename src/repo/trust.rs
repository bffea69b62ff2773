//! What is known of a storage: whether it keeps branches from forking, found out by a trial or read
//! from where an earlier trial kept it.

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::clock;
use crate::commit::log::record::{decode, encode};
use crate::model::error::Result;
use crate::objects::{Objects, Probed, Refusal, layout, refusal};

/// What was found of a storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether of many writers of one object one is let through.
    pub good: bool,
    /// What was found, for people.
    pub found: String,
    /// The version of Onward that found it.
    pub version: String,
    /// When, milliseconds since the Unix epoch.
    pub found_ms: i64,
}

/// What this process knows of its storage.
#[derive(Debug)]
pub(super) struct Trust {
    /// Whether it is used whatever it does.
    accepted: bool,
    known: OnceCell<Verdict>,
}

impl Trust {
    pub(super) fn new(accepted: bool) -> Self {
        Self { accepted, known: OnceCell::new() }
    }

    /// Fails on a storage on which branches can fork, unless that was accepted.
    pub(super) async fn check(&self, objects: &Objects) -> Result<()> {
        if self.accepted || objects.is_at_home() {
            return Ok(());
        }
        let verdict = self.known.get_or_try_init(|| verdict(objects)).await?;
        match verdict.good {
            true => Ok(()),
            false => Err(objects.unsafe_here(&format!(
                "{} (found by Onward {}); with two Redis primaries a branch could get two histories here. Use \
                 another storage; where this one was mended, `onward doctor` finds out anew; \
                 --accept-unsafe-storage goes on with it all the same",
                verdict.found, verdict.version
            ))),
        }
    }
}

/// Tries the storage, and keeps what is found in it. An error says that it could not be tried, or lacks
/// something else that is needed.
pub(super) async fn examine(objects: &Objects) -> Result<(Verdict, Option<Probed>)> {
    let (good, found, probed) = match objects.probe().await {
        Ok(probed) => {
            let Probed { rounds, writers, .. } = probed;
            let found = format!(
                "of {writers} writers of one object one is let through, {rounds} times of {rounds}"
            );
            (true, found, Some(probed))
        }
        Err(error) if refusal(&error) == Some(Refusal::Forks) => (false, error.to_string(), None),
        Err(error) => return Err(error),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let verdict = Verdict { good, found, version, found_ms: clock::now_ms() };
    if !objects.is_at_home()
        && let Err(error) = objects.put(layout::STORAGE_VERDICT, encode(&verdict)?).await
    {
        tracing::warn!(%error, "what was found of the storage is not kept: the next process tries it again");
    }
    Ok((verdict, probed))
}

/// What is kept in the storage, or else what is found now.
async fn verdict(objects: &Objects) -> Result<Verdict> {
    if let Some(kept) = objects.get(layout::STORAGE_VERDICT).await? {
        match decode(layout::STORAGE_VERDICT, &kept) {
            Ok(verdict) => return Ok(verdict),
            Err(error) => tracing::warn!(%error, "trying the storage again"),
        }
    }
    tracing::info!(storage = objects.url(), "trying the storage: nobody has written to it so far");
    Ok(examine(objects).await?.0)
}
