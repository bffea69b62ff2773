//! The combiner: everything this process does on one branch goes through one place, so that many
//! callers share one call to accept their ops and one loop that runs rounds for all of them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::coord::submit::Submission;
use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use super::acceptor::{Incoming, shutting_down};
use super::admission::{Admission, Pending};
use super::shared::Shared;
use super::waiting::Joined;
use crate::commit::context::BranchContext;

/// Callers that may stand in line for acceptance, at most; more wait outside.
const INBOX: usize = 4096;

/// One branch in this process.
#[derive(Debug)]
pub struct BranchQueue {
    inbox: mpsc::Sender<Incoming>,
    shared: Arc<Shared>,
}

impl BranchQueue {
    /// The way in to the acceptor of a branch, which takes what comes out of the receiver.
    pub(in crate::commit) fn new(shared: Arc<Shared>) -> (Self, mpsc::Receiver<Incoming>) {
        let (inbox, arrivals) = mpsc::channel(INBOX);
        (Self { inbox, shared }, arrivals)
    }

    /// What the queue knows of its branch.
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

    /// Waits, in this process, for an op that was accepted as `ticket`, `age` ago, by whomever; `done`
    /// tickets are decided by now. Whoever waits helps.
    pub fn attach(&self, op_id: OpId, ticket: Ticket, done: u64, age: Duration) -> Pending {
        let (tell, outcome) = watch::channel(None);
        let mut state = self.shared.state();
        // Whoever comes after the end is told by its channel that nobody here will answer.
        if !state.closed {
            state.waiters.attach(op_id, ticket, done, age, tell);
        }
        drop(state);
        self.shared.wake.notify_one();
        Pending { op_id, ticket, is_known: true, outcome }
    }

    /// Waits for an op that this process has had accepted and still sees through, also where Redis has
    /// lost it. A call that submits it is waited for first. `None` where there is no such op.
    pub async fn join(&self, op_id: OpId) -> Option<Pending> {
        loop {
            let mut answered = pin!(self.shared.answered.notified());
            answered.as_mut().enable();
            let (tell, outcome) = watch::channel(None);
            let joined = self.shared.state().waiters.join(op_id, tell);
            match joined {
                Joined::Waits(ticket) => {
                    self.shared.wake.notify_one();
                    return Some(Pending { op_id, ticket, is_known: true, outcome });
                }
                Joined::Submitting => answered.await,
                Joined::No => return None,
            }
        }
    }

    /// Whether somebody in this process waits for the op, and so helps it on.
    pub fn waits_for(&self, op_id: OpId) -> bool {
        self.shared.state().waiters.waits_for(op_id)
    }

    /// Every outcome up to this ticket is known to this process; 0 where it has not looked yet.
    pub(in crate::commit) fn seen(&self) -> u64 {
        self.shared.state().waiters.seen()
    }

    /// Why ops are not getting on in this process, if they are not.
    pub fn last_error(&self) -> Option<String> {
        let told = self.shared.state().last_error.clone();
        told.or_else(|| self.shared.context.redis.waits_for())
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
