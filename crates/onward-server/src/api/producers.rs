//! Producers: how far each is decided, for one that starts again.

use axum::Json as Body;
use axum::extract::State;
use serde::Serialize;

use crate::auth::Reader;
use crate::error::ApiResult;
use crate::extract::{NoParameters, Path, Query};
use crate::state::AppState;
use onward::{Error, LastDecided};

/// How far a producer is decided on a branch.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct LastDecidedShape {
    /// Name of the producer.
    name: String,
    /// The epoch decided last.
    epoch: u64,
    /// The sequence decided last under that epoch. The next one is to be higher.
    sequence: u64,
    /// The commit of that op, if it became one.
    commit: Option<String>,
}

/// How far a producer is decided
///
/// Where a producer that starts again goes on: the last epoch and sequence that were decided on the
/// branch, by the log, whatever Redis has lost. Ops of the producer that wait on the branch are
/// helped to their end first.
#[cfg_attr(feature = "describe", utoipa::path(
    get,
    path = "/repositories/{repo}/branches/{branch}/producers/{name}",
    tag = "producers",
    params(
        ("repo" = String, Path, description = "The repository"),
        ("branch" = String, Path, description = "The branch"),
        ("name" = String, Path, description = "The producer"),
    ),
    responses(
        (status = 200, description = "The last op that was decided", body = LastDecidedShape),
        (status = 404, description = "Nothing of this producer was decided on this branch", body = crate::error::Problem),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "Ops of the producer still wait, or Redis or the storage does not answer", body = crate::error::Problem),
    )))]
pub async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path((repo, branch, name)): Path<(String, String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<Body<LastDecidedShape>> {
    let last = app.onward.repo(&repo).branch(&branch).producer(&name).await?;
    let LastDecided { epoch, sequence, commit, .. } = last.ok_or_else(|| {
        Error::not_found(format!(
            "nothing of producer '{name}' was decided on branch '{branch}' of repository '{repo}'"
        ))
    })?;
    let commit = commit.map(|commit| commit.to_string());
    Ok(Body(LastDecidedShape { name, epoch, sequence, commit }))
}
