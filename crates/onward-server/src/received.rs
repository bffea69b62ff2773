//! Bodies of objects on their way to the storage, never whole in memory: one that breaks off leaves nothing
//! behind, nor does one that is not at its end shortly before a sidecar that was told to stop does so.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::error::{ApiError, ApiResult};
use super::extract::told_of_body;
use super::state::App;
use onward::internals::repo::Branch;
use onward::{Entry, ObjectPath};

/// What is kept of the grace of a sidecar that stops, for uploads to withdraw what they have written.
const WITHDRAWING: Duration = Duration::from_secs(5);

/// No more of a body is taken, because the sidecar stops.
#[derive(Debug, Clone, Copy)]
struct Stopping;

impl fmt::Display for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sidecar stops, and nothing was kept: send it again, to another one")
    }
}

impl std::error::Error for Stopping {}

/// What a client is told whose body was cut off, did not come in time, or is not what he says.
pub fn ended_early(error: &(dyn std::error::Error + 'static)) -> Option<ApiError> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    match causes.any(|cause| cause.is::<Stopping>()) {
        true => Some(onward::Error::unavailable(Stopping.to_string()).into()),
        false => told_of_body(error),
    }
}

/// The pieces of a body, which break off with an error when no upload may go on any longer.
pub fn until_stopped<E: Into<axum::BoxError>, S: Stream<Item = Result<Bytes, E>> + Send + Unpin>(
    app: &App,
    pieces: S,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<E, S> {
    let stop = Box::pin(stop(app.stopping.clone(), app.limits.grace));
    let state = (pieces, stop, false);
    futures::stream::unfold(state, |(mut pieces, mut stop, stopped)| async move {
        if stopped {
            return None;
        }
        tokio::select! {
            biased;
            () = &mut stop => Some((Err(broken(Stopping)), (pieces, stop, true))),
            piece = pieces.next() => {
                piece.map(|piece| (piece.map_err(broken), (pieces, stop, false)))
            }
        }
    })
}

/// The error of a reader, with its cause in sight: that of an [`io::Error`] is the cause of what it wraps.
pub fn broken(cause: impl Into<axum::BoxError>) -> io::Error {
    io::Error::other(axum::Error::new(cause))
}

async fn stop(stopping: CancellationToken, grace: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(grace.saturating_sub(WITHDRAWING)).await;
}

/// Writes an object into the repository, and returns its entry, not staged yet. Refused before a byte is
/// taken where its branch may not be changed: by staging, or as the rules of writing say of the path `to`.
/// In a task of its own: a client that goes away cuts the body short, and the upload then withdraws what
/// it has written, instead of being dropped half way.
pub async fn write(
    branch: Branch,
    to: Option<ObjectPath>,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> ApiResult<Entry> {
    let writing = tokio::spawn(async move {
        let reader = StreamReader::new(pieces.boxed());
        match to {
            Some(path) => branch.upload_for(&path, reader).await,
            None => branch.upload(reader).await,
        }
    });
    let written = writing.await.map_err(|error| {
        ApiError::from(onward::Error::internal("an upload ended early").with_source(error))
    })?;
    written.map_err(|error| ended_early(&error).unwrap_or_else(|| error.into()))
}
