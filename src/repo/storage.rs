//! Refusing a storage on which branches can fork: who writes asks, and who serves.

use crate::clock::Deadline;
use crate::commit::accept::persist::persist;
use crate::model::error::{Error, ErrorKind, Result};
use crate::objects::{Refusal, refusal};

use super::handles::Onward;

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
        self.inner.storage.check(self.coordinator().objects()).await
    }

    /// Fails where it is known, or found out now, that branches can fork on the storage, or that it lacks
    /// what is needed: not where that cannot be found out, as by who may only read.
    pub async fn refuse_unsafe_storage(&self) -> Result<()> {
        match self.check_storage().await {
            Err(error)
                if matches!(refusal(&error), Some(Refusal::Forks | Refusal::Unsupported)) =>
            {
                Err(error)
            }
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
