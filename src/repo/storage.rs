//! Whether the storage of a deployment keeps branches from forking: found out once, by whoever
//! writes to the deployment first, and kept in the storage for all who come later.

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::clock::{self, Deadline};
use crate::commit::accept::persist::persist;
use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, ErrorKind, Result};
use crate::objects::{Objects, Probed, Refusal, layout, refusal};

use super::handles::Onward;

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
}

/// Tries the storage, and keeps what is found in it. An error says that it could not be tried.
pub(super) async fn examine(objects: &Objects) -> Result<(Verdict, Option<Probed>)> {
    let (good, found, probed) = match objects.probe().await {
        Ok(probed) => {
            let Probed { rounds, writers, .. } = probed;
            let found = format!(
                "of {writers} writers of one object one is let through, {rounds} times of {rounds}"
            );
            (true, found, Some(probed))
        }
        Err(error) if refusal(&error) == Some(Refusal::Unsupported) => {
            (false, error.to_string(), None)
        }
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

impl Onward {
    /// Fails on a storage that does not keep branches from forking, unless
    /// [`Config::accept_unsafe_storage`](crate::Config) says that it is used all the same. Every
    /// commit and every new repository asks this; reading does not.
    ///
    /// Local files and memory need no trial. Of any other storage the first process that asks
    /// finds out (some 700 requests) and keeps it in the storage, where every later process reads
    /// it once; `onward doctor` finds out anew. Fails with
    /// [`Unavailable`](crate::ErrorKind::Unavailable), also where the storage cannot be asked.
    pub async fn check_storage(&self) -> Result<()> {
        let (trust, objects) = (&self.inner.storage, self.coordinator().objects());
        if trust.accepted || objects.is_at_home() {
            return Ok(());
        }
        let verdict = trust.known.get_or_try_init(|| verdict(objects)).await?;
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

    /// Fails where it is known, or found out now, that branches can fork on the storage: not where
    /// that cannot be found out, as by who may only read.
    pub async fn refuse_unsafe_storage(&self) -> Result<()> {
        match self.check_storage().await {
            Err(error) if refusal(&error) == Some(Refusal::Unsupported) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "it is not known whether branches can fork on this storage");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The same as [`check_storage`](Self::check_storage), through an outage of the storage, until `deadline`.
    pub(super) async fn check_storage_until(&self, deadline: Option<Deadline>) -> Result<()> {
        let passes =
            |error: &Error| error.kind() == ErrorKind::Unavailable && refusal(error).is_none();
        let check = || async {
            let checked = self.check_storage().await;
            checked.map_err(|error| if passes(&error) { error.outage() } else { error })
        };
        Box::pin(persist(deadline, check)).await
    }
}
