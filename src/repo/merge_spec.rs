//! What is to be brought into a branch: a merge, revert or cherry-pick, from refs to commits, and how
//! its commit speaks of it.

use std::collections::BTreeMap;

use crate::commit::log::lake::Lake;
use crate::commit::merge::work_out::MergeSpec;
use crate::commit::op::merge::MergeKind;
use crate::model::address::RefExpr;
use crate::model::conflict::Strategy;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;

use super::handles::Branch;
use super::handles::Repository;
use super::merge_base::base_of;

/// The key of a merge commit's metadata that tells its strategy, as lakeFS writes it.
const STRATEGY_KEY: &str = ".lakefs.merge.strategy";

/// The key of metadata that tells which commit was taken back.
const REVERTED_KEY: &str = "onward.reverted";

/// The keys of metadata that tell which commit was repeated and whose it was, as lakeFS writes them.
const PICKED_KEY: &str = "cherry-pick-origin";
const PICKED_OF_KEY: &str = "cherry-pick-committer";

/// What is to be brought into the branch.
#[derive(Debug, Clone)]
pub(super) enum What {
    Merge(RefExpr),
    Revert { commit: RefExpr, parent: Option<u32> },
    CherryPick { commit: RefExpr, parent: Option<u32> },
}

impl What {
    /// What is to be merged into which head. The source is resolved before the head, so that
    /// whatever of the branch it contains is below that head.
    pub(super) async fn resolve(
        &self,
        branch: &Branch,
        strategy: Strategy,
        squash: bool,
    ) -> Result<(Lake, MergeSpec, Option<CommitId>)> {
        let repo = &branch.repo;
        let spec = match self {
            Self::Merge(reference) => {
                let source = repo.require_commit(reference).await?;
                let dest = RefExpr::plain(branch.branch_name()?.as_str());
                let head = repo.require_commit(&dest).await?;
                let lake = repo.lake().await?;
                let base = base_of(&lake, repo, (&dest, head), (reference, source)).await?;
                let kind = if squash { MergeKind::Squash } else { MergeKind::Merge };
                let spec = MergeSpec { kind, base: Some(base), source: Some(source), strategy };
                return Ok((lake, spec, Some(head)));
            }
            Self::Revert { commit, parent } => {
                let (commit, parent) = with_parent(repo, commit, *parent, "revert").await?;
                let kind = MergeKind::Revert;
                MergeSpec { kind, base: Some(commit), source: parent, strategy }
            }
            Self::CherryPick { commit, parent } => {
                let (commit, parent) = with_parent(repo, commit, *parent, "cherry-pick").await?;
                let kind = MergeKind::CherryPick;
                MergeSpec { kind, base: parent, source: Some(commit), strategy }
            }
        };
        if squash {
            return Err(Error::invalid("only a merge can be squashed"));
        }
        let head = branch.head().await?.1.commit;
        Ok((repo.lake().await?, spec, head))
    }

    /// Message of the commit unless the user has one, and metadata with the user's own in front, as
    /// lakeFS users know them.
    pub(super) async fn words(
        &self,
        branch: &Branch,
        lake: &Lake,
        spec: MergeSpec,
        mut metadata: BTreeMap<String, String>,
    ) -> Result<(String, BTreeMap<String, String>)> {
        let message = match self {
            Self::Merge(source) => {
                let strategy = match spec.strategy {
                    Strategy::Fail => "default",
                    Strategy::SourceWins => "source-wins",
                    Strategy::DestWins => "dest-wins",
                };
                metadata.entry(STRATEGY_KEY.into()).or_insert_with(|| strategy.into());
                format!("Merge '{source}' into '{}'", branch.branch_name()?)
            }
            Self::Revert { commit, .. } => {
                let reverted = spec.base.map(|id| id.to_string()).unwrap_or_default();
                metadata.entry(REVERTED_KEY.into()).or_insert(reverted);
                // As it was asked for, which is lakeFS's default; the metadata has the commit.
                format!("Revert {commit}")
            }
            Self::CherryPick { .. } => {
                let Some(picked) = &spec.source else {
                    return Err(Error::internal("a cherry-pick of no commit"));
                };
                metadata.entry(PICKED_KEY.into()).or_insert_with(|| picked.to_string());
                let picked = lake.commit(picked).await?;
                metadata.entry(PICKED_OF_KEY.into()).or_insert(picked.committer);
                for (key, value) in picked.metadata {
                    metadata.entry(key).or_insert(value);
                }
                picked.message
            }
        };
        Ok((message, metadata))
    }
}

/// A commit, and the parent that it is compared with.
async fn with_parent(
    repo: &Repository,
    reference: &RefExpr,
    number: Option<u32>,
    verb: &str,
) -> Result<(CommitId, Option<CommitId>)> {
    let id = repo.require_commit(reference).await?;
    let parents = repo.commit(&id).await?.parents;
    let parent = match (number, parents.as_slice()) {
        (None, []) => None,
        (None, [parent]) => Some(*parent),
        (None, _) => {
            return Err(Error::invalid(format!(
                "commit '{reference}' is a merge: say which of its {} parents it is compared with (--parent 1 is the branch it was merged into) to {verb} it",
                parents.len()
            )));
        }
        (Some(number), parents) => {
            let at = (number as usize).checked_sub(1);
            let parent = at.and_then(|at| parents.get(at)).ok_or_else(|| {
                Error::invalid(format!(
                    "commit '{reference}' has {} parents: there is no number {number}",
                    parents.len()
                ))
            })?;
            Some(*parent)
        }
    };
    Ok((id, parent))
}
