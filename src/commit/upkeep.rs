//! Work in the background of a branch: checkpoints of its history and folds of its large levels.
//! None of it is needed for the promises; all of it keeps costs bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock;
use crate::coord::submit::{Seal, Submission, submit};
use crate::model::error::Result;
use crate::model::ids::OpId;
use crate::tree::Level;
use crate::tree::fold::{FoldLimits, LevelSize, plan_background_fold};

use super::counters::add;
use super::head::Head;
use super::log::LogEntry;
use super::op::{FoldRequest, Op, Request};
use super::queue::Shared;
use super::restore::{CHECKPOINT_EVERY, write_checkpoint};
use super::round::BranchContext;

/// How long the end of a process waits for work under way.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// Work of one branch that runs beside its rounds.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    tasks: JoinSet<()>,
    /// One fold at a time: two would only undo each other.
    folding: Arc<AtomicBool>,
}

impl Upkeep {
    /// Starts what is due after a published batch.
    pub(super) fn after(
        &mut self,
        context: &BranchContext,
        shared: &Arc<Shared>,
        head: &Head,
        entry: &LogEntry,
    ) {
        while self.tasks.try_join_next().is_some() {}
        if (entry.sequence + 1).is_multiple_of(CHECKPOINT_EVERY) {
            let context = context.clone();
            self.tasks.spawn(async move {
                if let Err(error) = write_checkpoint(&context).await {
                    tracing::warn!(%error, "a checkpoint could not be written");
                }
            });
        }
        self.fold(context, shared, head);
    }

    fn fold(&mut self, context: &BranchContext, shared: &Arc<Shared>, head: &Head) {
        let levels = &head.metarange.levels;
        let sizes: Vec<LevelSize> =
            levels.iter().map(|level| LevelSize { records: level.run.records }).collect();
        let Some(range) = plan_background_fold(&sizes, &FoldLimits::default()) else {
            return;
        };
        let bottom = range.end == levels.len();
        let Some(levels) = levels.get(range).map(<[Level]>::to_vec) else {
            return;
        };
        if self.folding.swap(true, Ordering::AcqRel) {
            return;
        }
        let folding = Arc::clone(&self.folding);
        let (context, shared) = (context.clone(), Arc::clone(shared));
        self.tasks.spawn(async move {
            if let Err(error) = fold_and_submit(&context, &shared, levels, bottom).await {
                tracing::warn!(%error, "a fold in the background failed; the next batch tries again");
            }
            folding.store(false, Ordering::Release);
        });
    }

    /// Waits for what is under way, for a bounded time.
    pub(super) async fn finish(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_MAX, all).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

async fn fold_and_submit(
    context: &BranchContext,
    shared: &Shared,
    levels: Vec<Level>,
    bottom: bool,
) -> Result<()> {
    let created_ms = clock::now_ms();
    let tree = context.lake.tree();
    let with = tree.fold(&levels, bottom).await?.stored(tree).await?;
    let levels = levels.iter().map(|level| (level.run.id, level.as_of)).collect();
    let op = Op {
        committer: "onward".into(),
        created_ms,
        producer: None,
        request: Request::Fold(FoldRequest { levels, bottom, with }),
    };
    let op_id: OpId = clock::new_op_id();
    let submission =
        Submission { op_id, element: op.encode(op_id)?, producer: None, seal: Seal::No };
    let limits = shared.options.limits;
    let (lanes, keys) = (&context.lanes, &context.keys);
    let reply = submit(lanes, keys, &context.turn, limits, &[submission]).await?;
    add(&context.counters.folds, 1);
    // Where the turn came with the acceptance it is for this process to use.
    if let Some(reply) = reply.filter(|reply| reply.view.turn_is_mine) {
        shared.state().latest = Some(reply.view);
    }
    shared.wake.notify_one();
    Ok(())
}
