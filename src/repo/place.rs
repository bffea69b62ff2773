//! What names stand for: a branch's, and a repository's.

use crate::commit::log::record::{RepoRecord, RepoState};
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::model::name::RepoName;

/// As lakeFS says it.
const UNKNOWN: &str = "repository not found";

/// What the name of a branch stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The life of the repository.
    pub(super) life: RepoLife,
    /// The incarnation of the branch in it.
    pub(super) uid: BranchUid,
}

/// How somebody at the command line finishes a deletion that was begun.
pub(super) fn finishes(repo: &RepoName) -> String {
    format!("`onward repo delete {repo}` finishes it")
}

/// The life that goes on, of the newest that a name has.
pub(super) fn living(
    repo: &RepoName,
    newest: Option<(RepoLife, RepoRecord)>,
) -> Result<(RepoLife, RepoRecord)> {
    match newest {
        Some((life, record)) if record.state == RepoState::Live => Ok((life, record)),
        Some((_, record)) if record.state != RepoState::Removed => Err(Error::not_found(format!(
            "repository '{repo}' is being deleted: wait until that is done, or delete it once more"
        ))
        .known_as(UNKNOWN)
        .at_the_prompt(finishes(repo))),
        _ => Err(Error::not_found(format!("there is no repository '{repo}'"))
            .known_as(UNKNOWN)
            .at_the_prompt(format!(
                "`onward repo list` shows what there is, `onward repo create {repo}` makes it"
            ))),
    }
}
