//! How far a producer is decided on a branch: where one that starts again goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Deadline;
use crate::commit::context::BranchContext;
use crate::commit::log::producers::read_rows;
use crate::commit::mend::present::{bring_up, present, present_in};
use crate::commit::op::queued::{Body, QueuedOp, VERSION};
use crate::commit::op::verdict::ProducerRow;
use crate::coord::queue::QUEUE_PAGE_MAX;
use crate::coord::rows::ROWS_MAX;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::OpId;
use crate::model::outcome::Outcome;
use crate::model::producer::{LastDecided, Producer};

use super::handles::Branch;

/// Producers that are told of at once, at most.
const NAMES_MAX: usize = 10_000;

/// Pages of a queue, at most: more than the longest queue has.
const QUEUE_PAGES_MAX: usize = 1024;

impl Branch {
    /// The last op of the producer `name` that was decided on this branch: a producer that starts
    /// again goes on behind it, under a higher epoch if another run of it may still be alive. `None`
    /// where it has none.
    ///
    /// The answer is by the log, whatever Redis has lost. Ops of the producer that are in the queue
    /// when this is called are helped to their end first; where that takes longer than the
    /// connection's timeout, it fails with [`ErrorKind::Unavailable`], because nobody can say yet.
    /// Costs a look at the log, and at the queue, of which every element is read.
    pub async fn producer(&self, name: &str) -> Result<Option<LastDecided>> {
        let names = &BTreeSet::from([name.to_owned()]);
        Ok(self.last_decided(names).await?.into_values().next())
    }

    /// The same as [`Branch::producer`] of many at once, at most 10,000: those that have none are left
    /// out. The queue is read once for all of them.
    pub async fn producers(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<BTreeMap<String, LastDecided>> {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        if names.len() > NAMES_MAX {
            return Err(Error::invalid(format!(
                "{} producers are over the limit of {NAMES_MAX} that are told at once: ask for some of them after the others",
                names.len()
            )));
        }
        self.last_decided(&names).await
    }

    async fn last_decided(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, LastDecided>> {
        names.iter().try_for_each(|name| Producer::check_name(name))?;
        let deadline = Deadline::after(self.repo.onward.inner.timeout);
        let look = |context: BranchContext| async move { context.look(0).await };
        let (context, _) = present(self, look).await?;
        bring_up(&context).await?;
        if let Some((op_id, name)) = newest_queued(&context, names).await? {
            self.see_decided(op_id, &name, deadline).await?;
        }
        let names: Vec<String> = names.iter().cloned().collect();
        let mut last = BTreeMap::new();
        for names in names.chunks(ROWS_MAX) {
            let ask = |context: BranchContext| async move { context.redis.rows(names).await };
            let found = present_in(&context, ask).await?;
            let rows = read_rows(&context.lake, context.uid, found.done, found.rows).await?;
            for (name, ProducerRow { epoch, sequence, commit, .. }) in rows {
                last.insert(name, LastDecided { epoch, sequence, commit });
            }
        }
        Ok(last)
    }

    /// Waits until an op of a producer is decided, and helps with it.
    async fn see_decided(&self, op_id: OpId, name: &str, deadline: Deadline) -> Result<()> {
        let cause = match self.ticket_wait(op_id, deadline.left()).await {
            Ok(Outcome::StillQueued { cause, .. }) => cause,
            // Redis has lost it since: it is not in the queue any more.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            decided => return decided.map(drop),
        };
        let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        Err(Error::unavailable(format!(
            "ops of producer '{name}' are still queued, the last of them as op {op_id}{cause}: how far it is decided can be told when they are"
        )))
    }
}

/// The newest op in the queue of any of the producers, and of which, if there is one. Those before it
/// are decided before.
async fn newest_queued(
    context: &BranchContext,
    names: &BTreeSet<String>,
) -> Result<Option<(OpId, String)>> {
    for page in 0..QUEUE_PAGES_MAX {
        let elements = context.redis.queue_from_end(page * QUEUE_PAGE_MAX).await?;
        if elements.is_empty() {
            break;
        }
        for element in elements.iter().rev() {
            let Ok(queued) = QueuedOp::decode(element) else { continue };
            // It may be one of them.
            if let Body::Newer(version) = queued.body {
                let what = format_args!("op {}, which waits on the branch,", queued.id);
                return Err(Error::newer(what, version.into(), VERSION.into()));
            }
            if let Some(asked) = queued.rows_named().iter().find(|each| names.contains(&each.name))
            {
                return Ok(Some((queued.id, asked.name.clone())));
            }
        }
    }
    Ok(None)
}
