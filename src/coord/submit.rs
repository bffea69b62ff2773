//! `submit.lua`: accepting ops.

use std::borrow::Cow;

use bytes::Bytes;
use redis::Value;

use crate::clock;
use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};
use crate::model::producer::Producer;

use super::answer::Answer;
use super::areas::Area;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::reply::{Reply, unknown_code};
use super::script::SUBMIT;
use super::view::View;

/// Whether an op takes the staging area with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// It brings its changes itself.
    No,
    /// It commits what is staged, and is not accepted when nothing is.
    Staged,
    /// It commits what is staged, even when that is nothing.
    StagedOrEmpty,
}

/// One op to be accepted.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Id of the op that is submitted.
    pub op_id: OpId,
    /// The queue element: the op id in 36 characters, a mark, a body that no script reads.
    pub element: Bytes,
    /// Its place in the sequence of each of its producers.
    pub producers: Vec<Producer>,
    /// Whether it seals.
    pub seal: Seal,
    /// Whether it may have been submitted before, by anybody: then it is not taken for new where
    /// Redis has forgotten what the log knows.
    pub may_repeat: bool,
}

/// What became of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the queue now.
    Queued(Ticket),
    /// It was in the queue before.
    Pending(Ticket),
    /// It was decided before; the record is `None` when the outcome is no longer kept.
    Decided(Ticket, Option<Bytes>),
    /// One of its producers has come past its place.
    Late {
        /// Which of them, counted from 0.
        producer: usize,
        /// How far that one is decided.
        row: Bytes,
    },
    /// The queue is full.
    Overloaded {
        /// Ops in the queue.
        depth: u64,
    },
    /// It seals, and as many areas as may are sealed already: they wait for their commit, or were
    /// given back.
    TooManySealed {
        /// How many there are.
        areas: u64,
    },
    /// Nothing was staged.
    NothingStaged,
    /// The branch has been deleted.
    BranchDeleted,
    /// It may have been decided, and Redis has forgotten which ops were: nothing was accepted.
    Forgotten,
}

/// The answer to one call.
#[derive(Debug)]
pub struct SubmitReply {
    /// The branch as the call left it. Where the queue was empty and the turn free, the turn is
    /// the caller's now and its ops are the front of the queue: its first view, for free.
    pub view: View,
    /// One answer per submission, in order.
    pub accepted: Vec<Accepted>,
}

/// Limits of acceptance.
#[derive(Debug, Clone, Copy)]
pub struct SubmitLimits {
    /// Ops in a queue, at most.
    pub queue: u64,
    /// Sealed areas waiting for their decision, at most.
    pub sealed: u64,
}

/// Submissions in one call, at most.
pub const SUBMISSIONS_MAX: usize = 512;

/// Bytes of the ops of one call, at most: copying more would keep the server for too long.
const CALL_BYTES: usize = 1024 * 1024;

/// Producers of the ops of one call, at most: each costs a look at its row.
const CALL_PRODUCERS: usize = 1024;

/// Ops in their order, as many in a call as it may carry. `of` gives what is submitted of each.
pub fn in_calls<T>(all: Vec<T>, of: impl Fn(&T) -> &Submission) -> Vec<Vec<T>> {
    let mut calls: Vec<Vec<T>> = Vec::new();
    let (mut bytes, mut producers) = (0, 0);
    for each in all {
        let (more, further) = (of(&each).element.len(), of(&each).producers.len());
        (bytes, producers) = (bytes + more, producers + further);
        let fits = |call: &&mut Vec<T>| {
            bytes <= CALL_BYTES && producers <= CALL_PRODUCERS && call.len() < SUBMISSIONS_MAX
        };
        match calls.last_mut().filter(fits) {
            Some(call) => call.push(each),
            None => {
                (bytes, producers) = (more, further);
                calls.push(vec![each]);
            }
        }
    }
    calls
}

impl RedisBranch {
    /// Accepts ops. A branch that has ended answers for those that it knows, too.
    pub async fn submit(
        &self,
        limits: SubmitLimits,
        submissions: &[Submission],
    ) -> Result<Answer<SubmitReply>> {
        let seals = |each: &Submission| (each.seal != Seal::No).then(clock::new_op_id);
        let areas: Vec<Option<OpId>> = submissions.iter().map(seals).collect();
        let mut call = ScriptCall::on(&SUBMIT, &self.submit_keys(&areas));
        self.turn().put_into(&mut call);
        call.number(limits.queue).number(limits.sealed).count(submissions.len());
        call.number(self.retention().remembered());
        for (each, area) in submissions.iter().zip(areas) {
            call.text(each.op_id).bytes(&each.element).count(each.producers.len());
            call.bytes(match each.seal {
                Seal::No => "0",
                Seal::Staged => "1",
                Seal::StagedOrEmpty => "2",
            });
            call.text_or_none(area).flag(each.may_repeat);
        }
        for Producer { name, epoch, sequence } in submissions.iter().flat_map(|s| &s.producers) {
            call.bytes(name);
            call.text(format_args!("{epoch:020}")).text(format_args!("{sequence:020}"));
        }
        parse(self.run(&call).await?, submissions)
    }

    fn submit_keys(&self, areas: &[Option<OpId>]) -> Vec<Cow<'_, str>> {
        let keys = self.keys();
        let fixed = [
            &keys.head,
            &keys.queue,
            &keys.outcomes,
            &keys.ops,
            &keys.producers,
            &keys.staged,
            &keys.paths,
            &keys.sealed,
        ];
        keys.and_areas(fixed, areas.iter().copied().flatten())
    }
}

pub(crate) fn parse(value: Value, submissions: &[Submission]) -> Result<Answer<SubmitReply>> {
    let mut reply = Reply::new(SUBMIT.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(Answer::Absent);
    };
    let depth = reply.count()?;
    let turn_is_mine = reply.int()? == 1;
    let turn_left_ms = reply.count()?;
    let areas = Area::parse_all(&reply.list()?)?;
    let mut accepted = Vec::with_capacity(submissions.len());
    for _ in submissions {
        let code = reply.int()?;
        let number = reply.count()?;
        let record = reply.bytes()?;
        accepted.push(match code {
            1 => Accepted::Queued(Ticket(number)),
            2 => Accepted::Pending(Ticket(number)),
            3 => Accepted::Decided(Ticket(number), Some(record).filter(|r| !r.is_empty())),
            // Lua counts from 1.
            4 | 5 => Accepted::Late { producer: (number as usize).wrapping_sub(1), row: record },
            6 => Accepted::Overloaded { depth: number },
            7 => Accepted::NothingStaged,
            8 => Accepted::BranchDeleted,
            9 => Accepted::TooManySealed { areas: number },
            10 => Accepted::Forgotten,
            other => return Err(unknown_code(SUBMIT.name, other)),
        });
    }
    if !reply.is_empty() {
        return Err(Error::internal("the reply of script 'submit' is too long"));
    }
    let elements = if turn_is_mine { queued(&accepted, submissions) } else { Vec::new() };
    let view = View { head, depth, turn_is_mine, turn_left_ms, areas, elements };
    Ok(Answer::Given(SubmitReply { view, accepted }))
}

/// The elements that this call put into an empty queue: its new front.
fn queued(accepted: &[Accepted], submissions: &[Submission]) -> Vec<Bytes> {
    accepted
        .iter()
        .zip(submissions)
        .filter(|(accepted, _)| matches!(accepted, Accepted::Queued(_)))
        .map(|(_, submission)| submission.element.clone())
        .collect()
}
