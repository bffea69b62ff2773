//! The acceptor of a branch: gathers the ops of many callers while its last call is under way, and
//! submits them together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::coord::Answer;
use crate::coord::submit::{Accepted, SUBMISSIONS_MAX, Submission, SubmitReply, in_calls};
use crate::model::error::{Error, Result};

use super::admission::{Admission, admit};
use super::shared::{Shared, TIMER};
use super::waiting::{Told, Waiters};
use crate::commit::gathering::Gathering;
use crate::commit::mend::present::accepted_in;
use crate::commit::op::lost::lost;

/// One call takes those who come without a pause, as many as it can carry.
const GATHERING: Gathering = Gathering { passes: 3, enough: SUBMISSIONS_MAX };

/// Where there is one writer, nobody else is about to come: each pass would be a look at all that the
/// process waits for.
const OF_ONE: Gathering = Gathering { passes: 0, ..GATHERING };

/// An op that somebody wants submitted.
pub(in crate::commit) struct Incoming {
    pub(super) submission: Submission,
    pub(super) answer: oneshot::Sender<Result<Admission>>,
}

/// The end of a process's part.
pub(super) fn shutting_down() -> Error {
    Error::unavailable("this process is shutting down; submit again elsewhere")
}

/// Serves those who come in through `arrivals`, until nobody can any more.
pub(in crate::commit) async fn accept(shared: Arc<Shared>, mut arrivals: mpsc::Receiver<Incoming>) {
    // Most branches never have many: room for them in each would be most of what an idle branch takes.
    let mut batch = Vec::new();
    while arrivals.recv_many(&mut batch, SUBMISSIONS_MAX).await > 0 {
        gather(&shared, &mut arrivals, &mut batch).await;
        for incoming in in_calls(std::mem::take(&mut batch), |each| &each.submission) {
            let accepted = accept_batch(&shared, incoming).await;
            shared.answered.notify_waiters();
            if let Err((error, incoming)) = accepted {
                for each in incoming {
                    let _ = each.answer.send(Err(error.again()));
                }
            }
        }
    }
}

/// Writers that were told of one batch come with their next ops together, and one call takes them
/// all. A call begun with the first of them would leave the others for another round.
async fn gather(
    shared: &Shared,
    arrivals: &mut mpsc::Receiver<Incoming>,
    batch: &mut Vec<Incoming>,
) {
    let mut counted = 0;
    loop {
        let take_in = || {
            while batch.len() < SUBMISSIONS_MAX
                && let Ok(incoming) = arrivals.try_recv()
            {
                batch.push(incoming);
            }
            batch.len()
        };
        let gathering = if shared.state().crowd.is_one() { OF_ONE } else { GATHERING };
        let count = gathering.gather(take_in).await;
        let patience = {
            let mut state = shared.state();
            state.crowd.came(count - counted);
            state.crowd.patience()
        };
        counted = count;
        if count >= SUBMISSIONS_MAX || patience.is_zero() {
            return;
        }
        // Shorter times are below what a timer can tell apart.
        if patience >= TIMER
            && let Ok(Some(incoming)) = tokio::time::timeout(patience, arrivals.recv()).await
        {
            batch.push(incoming);
        }
    }
}

/// Where those who wait for each op of a batch will be told.
type Outcomes = Vec<watch::Receiver<Option<Told>>>;

async fn accept_batch(
    shared: &Shared,
    incoming: Vec<Incoming>,
) -> Result<(), (Error, Vec<Incoming>)> {
    let Some((submissions, outcomes)) = expect(shared, &incoming) else {
        return Err((shutting_down(), incoming));
    };
    let context = &shared.context;
    let limits = shared.options.limits;
    let all = submissions.as_slice();
    let attempt = async {
        context.faults.pass("submit").await?;
        accepted_in(context, |context| async move { context.redis.submit(limits, all).await }).await
    };
    match attempt.await {
        Ok(Answer::Given(reply)) => answer(shared, incoming, outcomes, reply),
        none => {
            let mut state = shared.state();
            submissions.iter().for_each(|each| state.waiters.not_accepted(each.op_id));
            drop(state);
            if let Err(error) = none {
                return Err((error, incoming));
            }
            for each in incoming {
                let _ = each.answer.send(Ok(Admission::BranchDeleted));
            }
        }
    }
    if let Err(error) = context.faults.pass("submitted").await {
        tracing::debug!(%error, "after submitting");
    }
    shared.wake.notify_one();
    Ok(())
}

/// Notes that ops are about to be submitted, with one that rides along. `None` at the end: nobody
/// would run rounds for them here, nor tell what became of them.
fn expect(shared: &Shared, incoming: &[Incoming]) -> Option<(Vec<Submission>, Outcomes)> {
    let mut state = shared.state();
    if state.closing {
        return None;
    }
    let mut submissions: Vec<Submission> =
        incoming.iter().map(|each| known(&state.waiters, &each.submission)).collect();
    let expect = |submission: &Submission| {
        let (tell, outcome) = watch::channel(None);
        state.waiters.expect(submission.clone(), tell);
        outcome
    };
    let outcomes = submissions.iter().map(expect).collect();
    // Behind the others: their answers are the first ones.
    if let Some(rider) = state.rider.take_if(|_| submissions.len() < SUBMISSIONS_MAX) {
        submissions.push(rider);
        shared.rode.notify_one();
    }
    Some((submissions, outcomes))
}

/// An op as it is submitted: one that this process already sees through takes nothing once more, should
/// Redis have lost it.
fn known(waiters: &Waiters, submission: &Submission) -> Submission {
    let promised = waiters.promised(submission.op_id);
    let known = promised.and_then(|known| lost(submission.clone(), known.sealed).ok());
    known.unwrap_or_else(|| submission.clone())
}

/// Tells each submitter what became of its op.
fn answer(shared: &Shared, incoming: Vec<Incoming>, outcomes: Outcomes, reply: SubmitReply) {
    let (done, depth) = (reply.view.head.done, reply.view.depth);
    shared.rate.observe(done);
    let mut state = shared.state();
    if state.waiters.is_empty() {
        state.waiters.saw(done);
    }
    let mut answers = Vec::with_capacity(incoming.len());
    for ((each, accepted), outcome) in incoming.into_iter().zip(reply.accepted).zip(outcomes) {
        let op_id = each.submission.op_id;
        if let Accepted::Queued(ticket) | Accepted::Pending(ticket) = accepted {
            // What it has taken is listed for as long as it is not decided.
            let sealed = reply.view.areas.iter().any(|area| area.owner == Some(op_id));
            state.waiters.accepted(op_id, ticket, done, sealed);
            if matches!(accepted, Accepted::Pending(_)) {
                state.waiters.queued_by_others(op_id);
            }
        } else {
            state.waiters.not_accepted(op_id);
        }
        let admission = admit(shared, each.submission, accepted, outcome, depth);
        answers.push((each.answer, admission));
    }
    state.crowd.accepted(answers.len());
    if !state.has_turn() {
        state.latest = Some(reply.view);
    }
    for (answer, admission) in answers {
        let _ = answer.send(admission);
    }
}
