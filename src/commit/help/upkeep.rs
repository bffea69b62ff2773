//! Work in the background of a branch: checkpoints of its history and folds of its large levels.
//! None of it is needed for the promises; all of it keeps costs bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::{self, Stopwatch};
use crate::model::error::Result;
use crate::model::ids::OpId;
use crate::tree::Level;
use crate::tree::fold::{FoldLimits, LevelSize, plan_background_fold};

use super::forget::forget_producers;
use crate::commit::accept::shared::Shared;
use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;
use crate::commit::mend::restore::{CHECKPOINT_EVERY, write_checkpoint};
use crate::commit::op::request::{FoldRequest, Request};
use crate::commit::op::upkeep::upkeep;

/// How long the end of a process waits for work under way.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// Batches after which a queued fold that was not among them is planned anew.
const FOLD_PATIENCE: u32 = 32;

/// Levels that a branch may have before a fold begins while writers stand in line: it takes from the
/// processors that they wait for, and a fold of more levels at a time writes each record less often. Below
/// the height at which batches have to fold, whatever that costs them.
const LEVELS_BUSY: usize = 9;

/// Work of one branch that runs beside its rounds.
#[derive(Debug, Default)]
pub(in crate::commit) struct Upkeep {
    tasks: JoinSet<()>,
    fold: Arc<Mutex<FoldState>>,
}

/// One fold at a time: two would only undo each other.
#[derive(Debug, Clone, Copy, Default)]
enum FoldState {
    #[default]
    Idle,
    /// It is worked out.
    Folding,
    /// It is queued; it is given up when it has not been decided after so many batches.
    Queued { op_id: OpId, patience: u32 },
}

impl FoldState {
    /// Whether another fold may begin after `entry`.
    fn is_free_after(&mut self, entry: &LogEntry) -> bool {
        if let Self::Queued { op_id, patience } = self {
            *patience -= 1;
            if *patience == 0 || entry.ops.iter().any(|op| op.op_id == *op_id) {
                *self = Self::Idle;
            }
        }
        matches!(self, Self::Idle)
    }
}

impl Upkeep {
    /// Starts what is due after a published batch.
    pub(in crate::commit) fn after(
        &mut self,
        context: &BranchContext,
        shared: &Arc<Shared>,
        head: &Head,
        entry: &LogEntry,
    ) {
        while self.tasks.try_join_next().is_some() {}
        if (entry.sequence + 1).is_multiple_of(CHECKPOINT_EVERY) {
            let (context, shared) = (context.clone(), Arc::clone(shared));
            self.tasks.spawn(async move {
                let checkpoint = match write_checkpoint(&context).await {
                    Ok(checkpoint) => checkpoint,
                    Err(error) => {
                        tracing::warn!(%error, "a checkpoint could not be written");
                        return;
                    }
                };
                let Some(checkpoint) = checkpoint else { return };
                if let Err(error) = forget_producers(&context, &shared, &checkpoint).await {
                    tracing::warn!(%error, "producers could not be forgotten; the next checkpoint tries again");
                }
            });
        }
        self.fold(context, shared, head, entry);
    }

    fn fold(
        &mut self,
        context: &BranchContext,
        shared: &Arc<Shared>,
        head: &Head,
        entry: &LogEntry,
    ) {
        if !lock(&self.fold).is_free_after(entry) {
            return;
        }
        let levels = &head.metarange.levels;
        if entry.len() > 1 && levels.len() < LEVELS_BUSY {
            return;
        }
        let sizes: Vec<LevelSize> =
            levels.iter().map(|level| LevelSize { records: level.run.records }).collect();
        let Some(range) = plan_background_fold(&sizes, &FoldLimits::default()) else {
            return;
        };
        let bottom = range.end == levels.len();
        let Some(levels) = levels.get(range).map(<[Level]>::to_vec) else {
            return;
        };
        *lock(&self.fold) = FoldState::Folding;
        let state = Arc::clone(&self.fold);
        let (context, shared) = (context.clone(), Arc::clone(shared));
        self.tasks.spawn(async move {
            // Free again even where the fold panics.
            let mut folding = Folding { state, then: FoldState::Idle };
            match fold_and_submit(&context, &shared, levels, bottom).await {
                Ok(op_id) => folding.then = FoldState::Queued { op_id, patience: FOLD_PATIENCE },
                Err(error) => {
                    tracing::warn!(%error, "a fold in the background failed; the next batch tries again");
                }
            }
        });
    }

    /// Waits for what is under way, for a bounded time.
    pub(in crate::commit) async fn finish(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_MAX, all).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

fn lock(state: &Mutex<FoldState>) -> MutexGuard<'_, FoldState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fold under way, and what is the case when it ends.
struct Folding {
    state: Arc<Mutex<FoldState>>,
    then: FoldState,
}

impl Drop for Folding {
    fn drop(&mut self) {
        *lock(&self.state) = self.then;
    }
}

async fn fold_and_submit(
    context: &BranchContext,
    shared: &Shared,
    levels: Vec<Level>,
    bottom: bool,
) -> Result<OpId> {
    let (created_ms, begun) = (clock::now_ms(), Stopwatch::start());
    let tree = context.lake.tree();
    let with = tree.fold(&levels, bottom).await?.stored(tree).await?;
    let levels = levels.iter().map(|level| (level.run.id, level.as_of)).collect();
    let prepared_ms = Some(context.redis.began_ms(begun).await?);
    let request = Request::Fold(FoldRequest { levels, bottom, with });
    let op_id: OpId = clock::new_op_id();
    shared.submit_along(upkeep(op_id, request, created_ms, prepared_ms)?).await?;
    add(&context.counters.folds, 1);
    Ok(op_id)
}
