//! What an operator asks a process that works for others: what waits on the branches it works on, and
//! whether its Redis and its storage answer.

use futures::{StreamExt, stream};

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::op::queued::QueuedOp;
use crate::coord::BranchState;
use crate::model::error::Result;
use crate::model::name::{BranchName, RepoName};
use crate::objects::layout;

use super::handles::Onward;

/// Queues looked at together: each is a call of Redis.
const LOOKS: usize = 16;

/// The queue of a branch that this process works on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueAtWork {
    /// Name of the repository.
    pub repo: RepoName,
    /// Name of the branch.
    pub branch: BranchName,
    /// Ops in its queue, by whomever.
    pub depth: u64,
    /// How long the first of them has waited, in milliseconds by the clocks of both; 0 where nothing
    /// waits, and where it is an op of a newer program.
    pub oldest_ms: u64,
}

impl Onward {
    /// The queues of at most `max` of the branches that this process works on, as they are now. One
    /// that cannot be looked at, or whose branch is gone, is left out.
    #[doc(hidden)]
    pub async fn queues_at_work(&self, max: usize) -> Vec<QueueAtWork> {
        let branches = self.inner.coordinator.at_work(max);
        let looked_at = stream::iter(branches).map(|context| async move { look(&context).await });
        looked_at.buffer_unordered(LOOKS).filter_map(|queue| async { queue }).collect().await
    }

    /// Whether Redis answers: the error says why not.
    pub async fn reach_redis(&self) -> Result<()> {
        self.inner.coordinator.lanes().call("ping", &redis::cmd("PING")).await.map(drop)
    }

    /// Whether the object store answers, and is not one on which branches can fork: the error says
    /// why not. One that may only be read is reached.
    pub async fn reach_storage(&self) -> Result<()> {
        self.inner.coordinator.objects().size(layout::TOKEN_KEY).await?;
        self.refuse_unsafe_storage().await
    }
}

async fn look(context: &BranchContext) -> Option<QueueAtWork> {
    let view = match context.look(1).await {
        Ok(view) => view.given().filter(|view| view.head.state != BranchState::Deleted)?,
        Err(error) => {
            tracing::debug!(%error, "a queue cannot be looked at");
            return None;
        }
    };
    let front = view.elements.first().and_then(|element| QueuedOp::decode(element).ok());
    let created_ms = front.and_then(|queued| queued.created_ms());
    let age_ms = created_ms.map_or(0, |ms| clock::now_ms().saturating_sub(ms));
    Some(QueueAtWork {
        repo: context.lake.repo().clone(),
        branch: context.name.clone(),
        depth: view.depth,
        oldest_ms: u64::try_from(age_ms).unwrap_or(0),
    })
}
