//! Refs as every way of asking for them over HTTP treats them.

use super::error::{ApiError, ApiResult};
use onward::internals::repo::Repository;
use onward::{RefExpr, Result};

/// The commit that a ref stands for now, as a ref, so that all of an answer is about the same; the ref itself
/// while it has none.
pub async fn pinned(repo: &Repository, reference: &RefExpr) -> Result<RefExpr> {
    let commit = repo.commit_of(reference).await?;
    Ok(commit.map_or_else(|| reference.clone(), |id| RefExpr::plain(id.to_string())))
}

/// Deletes a branch. Refused with 403 of the default one: clients would find none where they look first.
pub async fn delete_branch(repo: &Repository, name: &str) -> ApiResult<()> {
    let info = repo.show().await?;
    if info.default_branch.as_str() == name {
        return Err(ApiError::forbidden(format!(
            "'{name}' is the default branch of repository '{}' and stays: delete the repository, or another branch",
            info.name
        ))
        .known_as("cannot delete repository default branch"));
    }
    repo.branch(name).delete().await?;
    Ok(())
}
