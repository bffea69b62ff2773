//! A change set of the catalog on its way to its outcome: told as made, as not made, or, where not even the log can
//! say, as unknown; and never as not made when it may be.

use std::time::Duration;

use onward::internals::clock;
use onward::{Branch, Cancelled, Error, ErrorKind, OpId, Outcome, PathChange};

use super::error::{CatalogError, Kind, Result};

/// How long the outcome of a commit is waited for before the commit is called off.
const WAIT: Duration = Duration::from_secs(20);
/// How long the outcome of one that was called off is waited for.
const WAIT_CANCELLED: Duration = Duration::from_secs(5);

/// Who commits, and what the commit says of itself.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The name on the commit.
    pub committer: String,
    /// The client's program, as it says itself.
    pub client: Option<String>,
    message: String,
    pairs: Vec<(&'static str, String)>,
}

/// What became of a change set.
#[derive(Debug)]
pub enum Decided {
    /// It is a commit.
    Done,
    /// The branch was so already.
    Nothing,
    /// A condition did not hold, and nothing was changed.
    Conflict,
}

impl Said {
    /// What a client says of itself: cut to what a commit should carry.
    pub fn of(committer: String, client: Option<&str>) -> Self {
        let client = client.map(|client| client.chars().take(100).collect());
        Self { committer, client, ..Self::default() }
    }

    /// With the message of the commit.
    #[must_use]
    pub(super) fn message(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// With a key-value pair of the commit.
    #[must_use]
    pub(super) fn pair(mut self, key: &'static str, value: String) -> Self {
        self.pairs.push((key, value));
        self
    }
}

/// Commits changes to a branch.
pub(super) async fn submit(
    branch: &Branch,
    changes: Vec<PathChange>,
    said: Said,
) -> Result<Decided> {
    let op_id = clock::new_op_id();
    let mut commit = branch.change().drawn_op_id(op_id).message(said.message).timeout(WAIT);
    if !said.committer.is_empty() {
        commit = commit.committer(said.committer);
    }
    let client = said.client.map(|client| ("iceberg.client", client));
    for (key, value) in said.pairs.into_iter().chain(client) {
        commit = commit.meta(key, value);
    }
    for change in changes {
        commit.push(change)?;
    }
    match commit.commit().await {
        Ok(Outcome::StillQueued { .. }) => call_off(branch, op_id, None).await,
        Ok(outcome) => decided(outcome),
        // Redis or the log did not answer: the op may be queued, or decided.
        Err(error) if error.kind() == ErrorKind::Unavailable && !error.is_refused() => {
            call_off(branch, op_id, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Calls an op off that is not decided in time, and tells what became of it: it may have been decided meanwhile.
async fn call_off(branch: &Branch, op_id: OpId, cause: Option<Error>) -> Result<Decided> {
    let told = match branch.ticket_cancel(op_id).await {
        Ok(Cancelled::Unknown) => Ok(None),
        Ok(_) => branch.ticket_wait(op_id, WAIT_CANCELLED).await.map(Some),
        Err(error) => Err(error),
    };
    match told {
        Ok(Some(Outcome::StillQueued { .. }) | None) => Err(unknown(op_id, cause)),
        Ok(Some(outcome)) => decided(outcome),
        Err(error) => Err(unknown(op_id, Some(cause.unwrap_or(error)))),
    }
}

fn unknown(op_id: OpId, cause: Option<Error>) -> CatalogError {
    let cause = cause.map_or_else(|| "it is still queued".to_owned(), |cause| cause.for_callers());
    CatalogError::new(
        Kind::CommitStateUnknown,
        format!(
            "whether op {op_id} was committed is not known yet: load the table, or send the same request again. {cause}"
        ),
    )
}

fn decided(outcome: Outcome) -> Result<Decided> {
    match outcome {
        Outcome::Committed { .. } | Outcome::Applied { .. } => Ok(Decided::Done),
        Outcome::NoChanges { .. } => Ok(Decided::Nothing),
        Outcome::Conflict { .. } => Ok(Decided::Conflict),
        Outcome::Cancelled { .. } => Err(CatalogError::new(
            Kind::Unavailable,
            "the branch did not come to decide the commit in time, so it was called off; nothing was done: send it again",
        )),
        Outcome::Failed { reason, .. } => Err(CatalogError::commit_failed(reason)),
        other => Err(CatalogError::new(
            Kind::CommitStateUnknown,
            format!("the commit ended as '{}', which this catalog does not know", other.name()),
        )),
    }
}
