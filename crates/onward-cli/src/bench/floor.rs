//! The floor: the scripts that accept and publish, and nothing else. No tree, no storage, no log.
//! What a commit costs above this is what Onward adds to its own Redis calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onward::internals::commit::context::{BATCH_MAX, BranchContext};
use onward::internals::commit::op::queued::QueuedOp;
use onward::internals::commit::op::verdict::{OutcomeRecord, Verdict};
use onward::internals::coord::publish::{Publication, Published};
use onward::internals::coord::restore::BranchImage;
use onward::internals::coord::submit::{SUBMISSIONS_MAX, Seal, Submission, SubmitLimits};
use onward::internals::coord::view::View;
use onward::internals::coord::{Answer, BranchState, HeadView, RedisBranch};
use onward::internals::model::ids::{CommitId, OpId, Ticket};
use onward::{Error, Result};
use tokio::sync::{Notify, mpsc, oneshot};

use super::sample::Made;

/// Submissions that wait for a call, at most.
const WAITING_MAX: usize = 4096;

/// What a branch without a log takes.
pub const LIMITS: SubmitLimits = SubmitLimits { queue: 131_072, sealed: 0 };

/// A branch whose commits are nothing but their acceptance and their outcome.
#[derive(Debug, Clone)]
pub struct Floor {
    incoming: mpsc::Sender<Submission>,
    shared: Arc<Shared>,
    context: BranchContext,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<HashMap<OpId, oneshot::Sender<u32>>>,
    view: Mutex<Option<View>>,
    wake: Notify,
}

impl Floor {
    /// Over the keys of a branch that has no record, so that nobody else finds it.
    pub async fn start(context: BranchContext) -> Result<Self> {
        open(&context.redis).await?;
        let (incoming, submissions) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        tokio::spawn(accept(context.clone(), Arc::clone(&shared), submissions));
        tokio::spawn(decide(context.clone(), Arc::clone(&shared)));
        Ok(Self { incoming, shared, context })
    }

    /// Removes its keys.
    pub async fn forget(&self) -> Result<()> {
        self.context.redis.forget().await
    }

    /// One op, from acceptance to outcome.
    pub async fn commit(&self, op_id: OpId, element: bytes::Bytes) -> Result<Made> {
        let (tell, told) = oneshot::channel();
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(op_id, tell);
        let submission =
            Submission { op_id, element, producers: Vec::new(), seal: Seal::No, may_repeat: false };
        let ended = |_| Error::internal("the floor has ended");
        self.incoming.send(submission).await.map_err(|_| Error::internal("the floor has ended"))?;
        let batch = told.await.map_err(ended)?;
        Ok(Made { rounds: 1, bound: 0, batch })
    }
}

/// Puts an empty branch into Redis.
pub async fn open(redis: &RedisBranch) -> Result<()> {
    let head = HeadView { state: BranchState::Open, done: 0, commit: None, position: 0 };
    let image = BranchImage { head, outcomes: Vec::new(), producers: Vec::new() };
    redis.restore(&image).await.map(drop)
}

async fn accept(
    context: BranchContext,
    shared: Arc<Shared>,
    mut submissions: mpsc::Receiver<Submission>,
) {
    let mut batch = Vec::new();
    while submissions.recv_many(&mut batch, SUBMISSIONS_MAX).await > 0 {
        let reply = context.redis.submit(LIMITS, &batch).await;
        batch.clear();
        match reply {
            Ok(Answer::Given(reply)) if reply.view.turn_is_mine => {
                *shared.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply.view);
                shared.wake.notify_one();
            }
            Ok(Answer::Given(_)) => {}
            // The waiting ops are let go, and say so.
            _ => return,
        }
    }
}

async fn decide(context: BranchContext, shared: Arc<Shared>) {
    loop {
        shared.wake.notified().await;
        let view = shared.view.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut view) = view else { continue };
        while !view.elements.is_empty() {
            let Ok(batch) = publication(&view) else { return };
            let published = context.redis.publish(&batch, BATCH_MAX).await;
            let Ok(Answer::Given(Published::Done { next, .. })) = published else { return };
            let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for (op_id, _) in &batch.outcomes {
                if let Some(tell) = waiting.remove(op_id) {
                    // Nobody waits any more when the time is over.
                    let _ = tell.send(batch.outcomes.len() as u32);
                }
            }
            drop(waiting);
            view = next;
        }
    }
}

/// That all ops of a view are commits.
pub fn publication(view: &View) -> Result<Publication> {
    let first = Ticket(view.head.done + 1);
    let commit = Some(CommitId::from_bytes([7; 32]));
    let batch = view.elements.len() as u32;
    let verdict = Verdict::Committed;
    let outcome = OutcomeRecord { verdict, commit, first, batch, fingerprint: None }.encode()?;
    let ids = view.elements.iter().filter_map(|element| QueuedOp::id_of(element));
    Ok(Publication {
        done_before: view.head.done,
        commit,
        position: first,
        closes: false,
        outcomes: ids.map(|id| (id, outcome.clone())).collect(),
        producers: Vec::new(),
        consumed: Vec::new(),
    })
}
