//! Import: a folder of an object store becomes part of a branch, in one commit, without a copy.
//!
//! The entries name the objects where they lie. Who overwrites or deletes them there changes what a
//! commit shows: the checksum tells, see [`crate::objects::Foreign`].

mod filter;
mod gather;
mod request;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Deadline;
use crate::model::error::{Error, Result};
use crate::model::outcome::Outcome;

use super::handles::Branch;
use super::ticket::TicketHandle;

pub use request::{
    ImportPart, ImportRequest, Imported, PATTERNS_MAX, REASONS_MAX, SOURCE_KEY, Skipped,
};

impl Branch {
    /// Commits every object below a folder of a store, without copying any: the entry of each has
    /// its URL as address, its size and modification time, and what the store recognises its content
    /// by (the ETag) as checksum. What is on the branch under the same paths is replaced; nothing
    /// else is touched, unless [`ImportRequest::mirror`] asks for it.
    ///
    /// It is one commit with the limits of one. Memory is bounded: what has been listed goes to
    /// temporary files. Fails with [`crate::ErrorKind::InvalidInput`] for a folder of this
    /// deployment's own storage, with [`crate::ErrorKind::NotFound`] where there is nothing to take,
    /// and as a commit does; nothing is committed then.
    pub async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        let never = CancellationToken::new();
        let imported = self.import_unless(request, &never).await?;
        imported.ok_or_else(|| Error::internal("an import ended that nobody called off"))
    }

    /// Imports a folder, unless it is called off: `None` when that was before anything was
    /// accepted. An accepted commit is called off like any op: [`Imported::outcome`] tells whether
    /// that was in time.
    #[doc(hidden)]
    pub async fn import_unless(
        &self,
        request: &ImportRequest,
        call_off: &CancellationToken,
    ) -> Result<Option<Imported>> {
        let gathered = tokio::select! {
            gathered = self.gather(request) => gathered?,
            () = call_off.cancelled() => return Ok(None),
        };
        let (mut imported, change) = gathered;
        if request.dry_run {
            if request.mirror {
                imported.removed = change.removals().await?;
            }
            return Ok(Some(imported));
        }
        let timeout = request.timeout.unwrap_or(self.repo.onward.inner.timeout);
        // Seen through to its end: of a submission that is dropped nobody knows whether it was accepted.
        let (handle, removed) = change.submit_counted(None).await?;
        imported.removed = removed;
        imported.outcome = Some(outcome_unless(handle, timeout, call_off).await?);
        Ok(Some(imported))
    }
}

/// The outcome of an accepted commit, which is called off when that is asked for.
async fn outcome_unless(
    mut handle: TicketHandle,
    timeout: Duration,
    call_off: &CancellationToken,
) -> Result<Outcome> {
    let deadline = Deadline::after(timeout);
    tokio::select! {
        outcome = handle.wait(timeout) => return outcome,
        () = call_off.cancelled() => {}
    }
    if let Err(error) = handle.cancel().await {
        // Its outcome tells what became of it.
        tracing::warn!(%error, "an import could not be called off");
    }
    handle.wait(deadline.left()).await
}
