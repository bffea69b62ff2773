//! Commits of a repository, by their ids, and what they contain.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::model::commit::Commit;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::objects::layout;
use crate::tree::Metarange;

use super::entry::LogEntry;
use super::lake::Lake;
use super::node::Node;

/// Ranges looked at before a commit is given a name, at most.
const LOOKS_MAX: usize = 64;

/// Of them at the same time.
const READS: usize = 16;

impl Lake {
    /// A commit, by its id: one read of one log entry.
    pub async fn commit(&self, id: &CommitId) -> Result<Commit> {
        self.entry_of(id).await?.commit(id).cloned()
    }

    /// The log entry that has commit `id`, unless the id is made up.
    pub async fn entry_of(&self, id: &CommitId) -> Result<Arc<LogEntry>> {
        self.entry(id.uid(), id.first_ticket())
            .await?
            .ok_or_else(|| Error::not_found(format!("there is no commit {id}")))
    }

    /// A commit's place in the graph. It is not compared with its id: for ids that other commits
    /// name as their parents.
    pub async fn node(&self, id: &CommitId) -> Result<Node> {
        let entry = self.known_entry(id.uid(), id.first_ticket()).await?;
        let op = entry.ops.get(usize::from(id.index()));
        let commit = op.and_then(|op| op.commit.as_ref()).ok_or_else(|| {
            Error::corrupt(format!("commit {id} is named as a parent and is not in its log"))
        })?;
        Ok(Node::new(*id, commit.generation, commit.created_ms, commit.parents.clone()))
    }

    /// The content of a commit.
    pub async fn metarange(&self, id: &CommitId) -> Result<Metarange> {
        let entry = self.entry_of(id).await?;
        entry.commit(id)?;
        Ok(entry.metarange(id.index()))
    }

    /// The content of a commit, or of the state before the first one.
    pub async fn content(&self, commit: Option<CommitId>) -> Result<Metarange> {
        match commit {
            Some(id) => self.metarange(&id).await,
            None => Ok(Metarange::default()),
        }
    }

    /// Checks that the content of a commit is still there, before a name is given to it: nothing
    /// keeps what no branch or tag reaches. Looks at the lists of its runs and at 64 ranges at most.
    pub async fn require_content(&self, id: &CommitId) -> Result<()> {
        let gone = |what: String| {
            Error::not_found(format!(
                "the content of commit {id} is gone ({what}): no branch or tag led to it, and garbage collection has taken it, or it was damaged"
            ))
        };
        let mut keys = Vec::new();
        for level in &self.metarange(id).await?.levels {
            let ranges = self.tree().ranges_of(&level.run).await;
            let ranges = ranges.map_err(|error| match error.kind() {
                ErrorKind::Corrupt => gone(error.to_string()),
                _ => error,
            })?;
            keys.extend(ranges.iter().map(|range| layout::range(self.life(), range.id)));
        }
        keys.truncate(LOOKS_MAX);
        futures::stream::iter(keys)
            .map(|key| async move {
                let there = self.objects().size(&key).await?.is_some();
                if there { Ok(()) } else { Err(gone(format!("object '{key}' is missing"))) }
            })
            .buffer_unordered(READS)
            .try_collect()
            .await
    }
}
