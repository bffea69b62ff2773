//! The combiner: everything this process does on one branch goes through one place, so that many
//! callers share one call to accept their ops and one loop that runs rounds for all of them.
//!
//! Two tasks serve a branch. The *acceptor* gathers ops while its last call is under way and
//! submits them together. The *helper* (`helper.rs`) runs rounds or follows those of
//! other processes while anybody here waits; with nobody waiting it makes no requests at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::clock;
use crate::coord::Answer;
use crate::coord::submit::{Accepted, SUBMISSIONS_MAX, Submission, SubmitLimits};
use crate::coord::view::View;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{OpId, Ticket};
use crate::model::outcome::{Details, Outcome};

use super::crowd::Crowd;
use super::rate::Rate;
use super::waiting::{Told, Waiters, rounds_bound};
use crate::commit::context::BranchContext;
use crate::commit::counters::add;
use crate::commit::help::helper::Helper;
use crate::commit::mend::restore::restore;
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow};

/// Passes of the scheduler without a newcomer after which a call takes what has come.
const GATHER_IDLE: u32 = 3;

/// The shortest time that is left to a timer.
pub(in crate::commit) const TIMER: Duration = Duration::from_millis(2);

/// Callers that may stand in line for acceptance, at most; more wait outside.
const INBOX: usize = 4096;

/// How a process behaves on its branches.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    /// Limits of acceptance.
    pub limits: SubmitLimits,
    /// Whether this process goes on running rounds for others when its own ops are done. A process
    /// that is about to end does not.
    pub linger: bool,
    /// How long the holder of a turn may make no visible progress before this process runs a
    /// round all the same.
    pub patience: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            limits: SubmitLimits { queue: 131_072, sealed: 256 },
            linger: true,
            patience: Duration::from_secs(30),
        }
    }
}

/// What became of an attempt to submit.
#[derive(Debug)]
pub enum Admission {
    /// The op is queued, or was before; its outcome will come.
    Queued(Pending),
    /// Its outcome was clear at once. What only the log keeps of it is not read yet.
    Settled(Box<Outcome>),
    /// Nothing was staged, and an empty commit was not asked for.
    NothingStaged(OpId),
    /// The branch has ended. Nothing was queued; the name may stand for another branch by now.
    BranchDeleted,
}

/// An accepted op on its way to its outcome.
#[derive(Debug)]
pub struct Pending {
    /// Its id.
    pub op_id: OpId,
    /// Its ticket.
    pub ticket: Ticket,
    outcome: watch::Receiver<Option<Told>>,
}

impl Pending {
    /// Waits for what there is to tell: the outcome, or that this process is stuck. After the
    /// latter it can be called again. `None` when the process's helper has been shut down.
    pub async fn outcome(&mut self) -> Option<Told> {
        if self.outcome.changed().await.is_err() {
            // Who was given up on is told so each time.
            let last = self.outcome.borrow().clone();
            return last.filter(|told| matches!(told, Told::GivenUp(_)));
        }
        self.outcome.borrow_and_update().clone()
    }
}

fn shutting_down() -> Error {
    Error::unavailable("this process is shutting down; submit again elsewhere")
}

struct Incoming {
    submission: Submission,
    answer: oneshot::Sender<Result<Admission>>,
}

/// One branch in this process.
#[derive(Debug)]
pub struct BranchQueue {
    inbox: mpsc::Sender<Incoming>,
    shared: Arc<Shared>,
}

/// What the tasks of one branch share.
#[derive(Debug)]
pub(in crate::commit) struct Shared {
    pub(in crate::commit) context: BranchContext,
    pub(in crate::commit) options: QueueOptions,
    /// Wakes the helper: somebody waits, the turn was granted with an acceptance, or the end.
    pub(in crate::commit) wake: Notify,
    /// Tells [`BranchQueue::close`] that the helper has ended.
    pub(in crate::commit) ended: Notify,
    /// Tells [`Shared::submit_along`] that its op is on its way, or must not wait any longer.
    rode: Notify,
    pub(in crate::commit) rate: Rate,
    /// A std mutex: held for map operations, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(in crate::commit) struct State {
    pub(in crate::commit) waiters: Waiters,
    pub(in crate::commit) crowd: Crowd,
    /// The view that came with the newest acceptance; one with the turn is kept until it is used.
    pub(in crate::commit) latest: Option<View>,
    pub(in crate::commit) closing: bool,
    pub(in crate::commit) closed: bool,
    /// An op of this process for which nobody waits: it goes with the next ops that are submitted.
    pub(in crate::commit) rider: Option<Submission>,
    /// Why the last round failed, until one succeeds.
    pub(in crate::commit) last_error: Option<String>,
}

impl State {
    /// Whether the turn was granted with an acceptance and not used yet.
    pub(in crate::commit) fn has_turn(&self) -> bool {
        self.latest.as_ref().is_some_and(|view| view.turn_is_mine)
    }
}

impl Shared {
    pub(in crate::commit) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an op that can wait is held back for others to go with.
const RIDE_MAX: Duration = Duration::from_millis(200);

impl Shared {
    /// Submits an op for which nobody waits together with the next ones that somebody waits for,
    /// if some come soon: by itself it would begin a round, and they would have to wait for that.
    pub(in crate::commit) async fn submit_along(&self, submission: Submission) -> Result<()> {
        self.state().rider = Some(submission);
        // Whether the call that it went with succeeded does not matter: the fold is planned anew.
        let _ = tokio::time::timeout(RIDE_MAX, self.rode.notified()).await;
        let Some(submission) = self.state().rider.take() else { return Ok(()) };
        let context = &self.context;
        let reply = context.redis.submit(self.options.limits, &[submission]).await?.given();
        // Where the turn came with the acceptance it is for this process to use.
        if let Some(reply) = reply.filter(|reply| reply.view.turn_is_mine) {
            self.state().latest = Some(reply.view);
        }
        self.wake.notify_one();
        Ok(())
    }
}

impl BranchQueue {
    /// Starts the tasks of a branch.
    pub fn start(context: BranchContext, options: QueueOptions) -> Self {
        let (inbox, arrivals) = mpsc::channel(INBOX);
        let shared = Arc::new(Shared {
            context,
            options,
            wake: Notify::new(),
            ended: Notify::new(),
            rode: Notify::new(),
            rate: Rate::default(),
            state: Mutex::default(),
        });
        tokio::spawn(accept(Arc::clone(&shared), arrivals));
        tokio::spawn(Helper::new(Arc::clone(&shared)).run());
        Self { inbox, shared }
    }

    /// The branch.
    pub fn context(&self) -> &BranchContext {
        &self.shared.context
    }

    /// Submits an op: one atomic call, shared with whoever submits at the same time.
    pub async fn submit(&self, submission: Submission) -> Result<Admission> {
        let (answer, answered) = oneshot::channel();
        let incoming = Incoming { submission, answer };
        self.inbox.send(incoming).await.map_err(|_| shutting_down())?;
        answered.await.map_err(|_| shutting_down())?
    }

    /// Waits, in this process, for an op that was accepted as `ticket` when `done` tickets were
    /// decided, by whomever. Whoever waits helps.
    pub fn attach(&self, op_id: OpId, ticket: Ticket, done: u64) -> Pending {
        let (tell, outcome) = watch::channel(None);
        let mut state = self.shared.state();
        // Whoever comes after the end is told by its channel that nobody here will answer.
        if !state.closed {
            state.waiters.attach(op_id, ticket, done, tell);
        }
        drop(state);
        self.shared.wake.notify_one();
        Pending { op_id, ticket, outcome }
    }

    /// Every outcome up to this ticket is known to this process; 0 where it has not looked yet.
    pub(in crate::commit) fn seen(&self) -> u64 {
        self.shared.state().waiters.seen()
    }

    /// Why ops are not getting on in this process, if they are not.
    pub fn last_error(&self) -> Option<String> {
        self.shared.state().last_error.clone()
    }

    /// Whether anybody in this process waits for this branch.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.state();
        state.waiters.is_empty() && !state.has_turn()
    }

    /// Ends the helper after its present round. What is queued stays queued, for others.
    pub async fn close(&self) {
        loop {
            let ended = self.shared.ended.notified();
            {
                let mut state = self.shared.state();
                state.closing = true;
                if state.closed {
                    return;
                }
            }
            self.shared.wake.notify_one();
            self.shared.rode.notify_one();
            ended.await;
        }
    }
}

impl Drop for BranchQueue {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.wake.notify_one();
    }
}

async fn accept(shared: Arc<Shared>, mut arrivals: mpsc::Receiver<Incoming>) {
    let mut batch = Vec::with_capacity(SUBMISSIONS_MAX);
    while arrivals.recv_many(&mut batch, SUBMISSIONS_MAX).await > 0 {
        gather(&shared, &mut arrivals, &mut batch).await;
        let incoming = std::mem::take(&mut batch);
        if let Err((error, incoming)) = accept_batch(&shared, incoming).await {
            for each in incoming {
                let _ = each.answer.send(Err(error.again()));
            }
        }
    }
}

/// Lets tasks that are ready to run go first, as long as that brings more ops: writers that were
/// told of one batch come with their next ops together, and one call takes them all. A call begun
/// with the first of them would leave the others for another round. Where nobody else is ready
/// and nobody is expected this costs a few passes of the scheduler.
async fn gather(
    shared: &Shared,
    arrivals: &mut mpsc::Receiver<Incoming>,
    batch: &mut Vec<Incoming>,
) {
    let mut idle = 0;
    let mut counted = 0;
    while batch.len() < SUBMISSIONS_MAX {
        clock::yield_now().await;
        idle += 1;
        while batch.len() < SUBMISSIONS_MAX
            && let Ok(incoming) = arrivals.try_recv()
        {
            batch.push(incoming);
            idle = 0;
        }
        if idle < GATHER_IDLE {
            continue;
        }
        let patience = {
            let mut state = shared.state();
            state.crowd.came(batch.len() - counted);
            state.crowd.patience()
        };
        counted = batch.len();
        if patience.is_zero() {
            return;
        }
        // Shorter times are below what a timer can tell apart.
        if patience >= TIMER
            && let Ok(Some(incoming)) = tokio::time::timeout(patience, arrivals.recv()).await
        {
            batch.push(incoming);
        }
    }
    shared.state().crowd.came(batch.len() - counted);
}

async fn accept_batch(
    shared: &Shared,
    incoming: Vec<Incoming>,
) -> Result<(), (Error, Vec<Incoming>)> {
    let context = &shared.context;
    let mut submissions: Vec<Submission> = incoming.iter().map(|i| i.submission.clone()).collect();
    let expected: Vec<watch::Receiver<Option<Told>>> = {
        let mut state = shared.state();
        // Nobody would run rounds for them here, nor tell what became of them.
        if state.closing {
            return Err((shutting_down(), incoming));
        }
        let rider = state.rider.take_if(|_| submissions.len() < SUBMISSIONS_MAX);
        let expect = |submission: &Submission| {
            let (tell, outcome) = watch::channel(None);
            state.waiters.expect(submission.clone(), tell);
            outcome
        };
        let expected = submissions.iter().map(expect).collect();
        // Behind the others: their answers are the first ones.
        if let Some(rider) = rider {
            submissions.push(rider);
            shared.rode.notify_one();
        }
        expected
    };
    let attempt = async {
        context.faults.pass("submit").await?;
        let limits = shared.options.limits;
        if let Answer::Given(reply) = context.redis.submit(limits, &submissions).await? {
            return Ok(reply);
        }
        restore(context).await?;
        context.redis.submit(limits, &submissions).await?.given().ok_or_else(|| {
            Error::unavailable("Redis lost the branch again right after it was restored")
        })
    };
    let reply = match attempt.await {
        Ok(reply) => reply,
        Err(error) => {
            let mut state = shared.state();
            submissions.iter().for_each(|each| state.waiters.not_accepted(each.op_id));
            return Err((error, incoming));
        }
    };
    let done = reply.view.head.done;
    let depth = reply.view.depth;
    shared.rate.observe(done);
    {
        let mut state = shared.state();
        if state.waiters.is_empty() {
            state.waiters.saw(done);
        }
        let mut answers = Vec::with_capacity(incoming.len());
        for ((each, accepted), outcome) in incoming.into_iter().zip(reply.accepted).zip(expected) {
            let op_id = each.submission.op_id;
            if let Accepted::Queued(ticket) | Accepted::Pending(ticket) = accepted {
                state.waiters.accepted(op_id, ticket, done);
            } else {
                state.waiters.not_accepted(op_id);
            }
            let answer = admit(shared, each.submission, accepted, outcome, depth);
            answers.push((each.answer, answer));
        }
        state.crowd.accepted(answers.len());
        if !state.has_turn() {
            state.latest = Some(reply.view);
        }
        for (answer, admission) in answers {
            let _ = answer.send(admission);
        }
    }
    if let Err(error) = context.faults.pass("submitted").await {
        tracing::debug!(%error, "after submitting");
    }
    shared.wake.notify_one();
    Ok(())
}

fn admit(
    shared: &Shared,
    submission: Submission,
    accepted: Accepted,
    outcome: watch::Receiver<Option<Told>>,
    depth: u64,
) -> Result<Admission> {
    let op_id = submission.op_id;
    match accepted {
        Accepted::Queued(ticket) | Accepted::Pending(ticket) => {
            if matches!(accepted, Accepted::Queued(_)) {
                add(&shared.context.counters.accepted, 1);
            }
            Ok(Admission::Queued(Pending { op_id, ticket, outcome }))
        }
        Accepted::Decided(ticket, Some(record)) => {
            let details = Details { repeated: true, ..details(op_id, depth) };
            let outcome = OutcomeRecord::decode(&record)?.outcome(ticket, details);
            Ok(Admission::Settled(Box::new(outcome)))
        }
        Accepted::Decided(ticket, None) => Err(Error::new(
            ErrorKind::Fenced,
            format!(
                "op {op_id} was decided as ticket {ticket}; its outcome is no longer kept in Redis: find it with `onward log`"
            ),
        )),
        Accepted::Fenced(row) | Accepted::Behind(row) => late(&submission, &row),
        Accepted::TooManySealed { areas } => Err(too_many_sealed(shared, areas, depth)),
        Accepted::Overloaded { depth } => Err(Error::new(
            ErrorKind::Overloaded { retry_after: shared.rate.time_for(depth / 2) },
            format!(
                "the queue of the branch is full ({depth} ops); nothing was accepted: come back later"
            ),
        )),
        Accepted::NothingStaged => Ok(Admission::NothingStaged(op_id)),
        Accepted::BranchDeleted => Ok(Admission::BranchDeleted),
    }
}

/// Where ops are queued, some of them may be those that have sealed: then it helps to come back.
fn too_many_sealed(shared: &Shared, areas: u64, depth: u64) -> Error {
    let retry_after = (depth > 0).then(|| shared.rate.time_for(depth / 2));
    let way_out = match retry_after {
        Some(_) => "come back when some of those that wait are decided",
        None => {
            "see why they failed, then commit or reset what is uncommitted (`onward branch reset`)"
        }
    };
    Error::new(
        ErrorKind::TooManySealed { retry_after },
        format!(
            "{areas} staged commits of the branch wait for their turn, or have failed and gave back what they had taken, and no more may at a time; nothing was accepted, and what is staged stays staged: {way_out}"
        ),
    )
}

/// An early answer by the producer's row: the same that the op would get in its turn.
fn late(submission: &Submission, row: &[u8]) -> Result<Admission> {
    let row = ProducerRow::decode(row)?;
    let late = submission.producer.as_ref().and_then(|asked| row.late(asked)).ok_or_else(|| {
        Error::internal(format!("op {} is told to be late and is not", submission.op_id))
    })?;
    Ok(Admission::Settled(Box::new(late.outcome(details(submission.op_id, 0)))))
}

fn details(op_id: OpId, depth: u64) -> Details {
    Details { rounds_bound: rounds_bound(depth), ..Details::of(op_id) }
}
