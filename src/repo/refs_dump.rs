//! All refs of a repository at one moment, kept as one object, and brought back from it.
//!
//! A dump names commits; it does not copy them. It holds as long as the repository has them, which
//! garbage collection sees to only for commits that a ref still leads to.

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::commit::log::record::{decode, encode};
use crate::model::address::RefExpr;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::model::name::{BranchName, TagName};
use crate::objects::layout;

use super::handles::Repository;

/// A dump's id.
pub type DumpId = u128;

/// The object as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Dump {
    branches: Vec<(BranchName, CommitId)>,
    tags: Vec<(TagName, CommitId)>,
    created_ms: i64,
}

/// What was brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Branches that were made anew.
    pub branches: u64,
    /// Tags that were made anew.
    pub tags: u64,
    /// Tags of an old dump whose names no tag is given any more. They were left out.
    pub tags_refused: u64,
}

impl Repository {
    /// Writes down every branch's head and every tag. Each is as it is when it is looked at.
    pub async fn dump_refs(&self) -> Result<DumpId> {
        let (life, _) = self.live().await?;
        let branches = self.heads().await?;
        let tags = self.tags().await?.into_iter().map(|tag| (tag.name, tag.commit));
        let record = Dump {
            branches: branches.into_iter().collect(),
            tags: tags.collect(),
            created_ms: clock::now_ms(),
        };
        let id = clock::random_u128();
        let key = layout::refs_dump(&life, id);
        self.onward.coordinator().objects().create(&key, encode(&record)?).await?;
        Ok(id)
    }

    /// Makes the branches and tags of a dump that are missing now. Those that are there stay as they
    /// are.
    pub async fn restore_refs(&self, id: DumpId) -> Result<Restored> {
        let name = self.name()?;
        let key = layout::refs_dump(&self.live().await?.0, id);
        let Some(bytes) = self.onward.coordinator().objects().get(&key).await? else {
            return Err(Error::not_found(format!(
                "there is no dump {id:032x} of the refs of repository '{name}'"
            )));
        };
        let record: Dump = decode(&key, &bytes)?;
        let mut restored = Restored::default();
        for (branch, head) in record.branches {
            let from = RefExpr::plain(head.to_string());
            restored.branches += made(self.branch(branch.as_str()).create(&from).await)?;
        }
        for (tag, commit) in record.tags {
            if let Err(error) = tag.check_new() {
                tracing::warn!(%error, %commit, "a tag of a dump was left out");
                restored.tags_refused += 1;
                continue;
            }
            let from = RefExpr::plain(commit.to_string());
            restored.tags += made(self.create_tag(&tag, &from).await)?;
        }
        Ok(restored)
    }
}

/// 1 for what was made, 0 for what was there.
fn made<T>(result: Result<T>) -> Result<u64> {
    match result {
        Ok(_) => Ok(1),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(0),
        Err(error) => Err(error),
    }
}
