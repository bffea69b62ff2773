//! Batches that were decided a moment ago, by the outcomes that Redis still has.

use crate::model::error::Result;
use crate::model::ids::Ticket;

use crate::commit::op::verdict::OutcomeRecord;

use super::handles::Branch;

/// Ops that were decided together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentBatch {
    /// Ticket of the first of them.
    pub first: Ticket,
    /// How many there are.
    pub ops: u32,
}

impl RecentBatch {
    /// Ticket of the last of them.
    pub fn last(&self) -> Ticket {
        Ticket(self.first.0 + u64::from(self.ops).saturating_sub(1))
    }
}

impl Branch {
    /// The batches of the newest outcomes, the newest first: as many as some hundred outcomes tell of,
    /// none where the branch has been idle for so long that Redis keeps none. Costs one call to Redis.
    #[doc(hidden)]
    pub async fn recent_batches(&self) -> Result<Vec<RecentBatch>> {
        let context = self.context().await?;
        let mut batches: Vec<RecentBatch> = Vec::new();
        for outcome in context.redis.outcomes_before(None).await? {
            let record = OutcomeRecord::decode(&outcome.record)?;
            if batches.last().is_none_or(|batch| batch.first != record.first) {
                batches.push(RecentBatch { first: record.first, ops: record.batch });
            }
        }
        Ok(batches)
    }
}
