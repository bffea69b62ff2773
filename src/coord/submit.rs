//! `submit.lua`: accepting ops.

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};
use crate::model::producer::Producer;

use super::areas::Area;
use super::reply::{Reply, unknown_code};
use super::script::SUBMIT;
use super::view::{Turn, View};
use super::{BranchKeys, Lanes};

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
    /// Its id.
    pub op_id: OpId,
    /// The queue element: the op id in 36 characters, a mark, a body that no script reads.
    pub element: Bytes,
    /// Its place in its producer's sequence, where it has one.
    pub producer: Option<Producer>,
    /// Whether it seals.
    pub seal: Seal,
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
    /// A newer epoch of its producer has been decided.
    Fenced(Bytes),
    /// Its producer's sequence has been decided; the row says how far.
    Duplicate(Bytes),
    /// The queue, or the list of sealed areas, is full.
    Overloaded {
        /// Ops in the queue.
        depth: u64,
    },
    /// Nothing was staged.
    NothingStaged,
    /// The branch has been deleted.
    BranchDeleted,
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

/// Accepts ops. `None` when the branch is not in this Redis.
pub async fn submit(
    lanes: &Lanes,
    keys: &BranchKeys,
    turn: &Turn,
    limits: SubmitLimits,
    submissions: &[Submission],
) -> Result<Option<SubmitReply>> {
    let mut owned_keys = Vec::new();
    let mut args: Vec<Vec<u8>> = vec![
        b"-".to_vec(),
        turn.helper.clone().into_bytes(),
        turn.length_ms.to_string().into_bytes(),
        limits.queue.to_string().into_bytes(),
        limits.sealed.to_string().into_bytes(),
        submissions.len().to_string().into_bytes(),
    ];
    for submission in submissions {
        let (producer, epoch, sequence) = submission
            .producer
            .as_ref()
            .map_or(("", 0, 0), |producer| (&producer.name, producer.epoch, producer.sequence));
        let seal = match submission.seal {
            Seal::No => "0",
            Seal::Staged => "1",
            Seal::StagedOrEmpty => "2",
        };
        if submission.seal != Seal::No {
            let (area, paths) = keys.area(submission.op_id);
            owned_keys.extend([area, paths]);
        }
        args.push(submission.op_id.to_string().into_bytes());
        args.push(submission.element.to_vec());
        args.push(producer.as_bytes().to_vec());
        args.push(format!("{epoch:020}").into_bytes());
        args.push(format!("{sequence:020}").into_bytes());
        args.push(seal.as_bytes().to_vec());
    }
    let mut all_keys: Vec<&str> = vec![
        &keys.head,
        &keys.queue,
        &keys.outcomes,
        &keys.ops,
        &keys.producers,
        &keys.staged,
        &keys.paths,
        &keys.sealed,
    ];
    all_keys.extend(owned_keys.iter().map(String::as_str));
    all_keys.push(&keys.absent);
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let value = lanes.run(&SUBMIT, &all_keys, &args).await?;
    parse(value, submissions)
}

pub(crate) fn parse(value: Value, submissions: &[Submission]) -> Result<Option<SubmitReply>> {
    let mut reply = Reply::new(SUBMIT.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(None);
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
            4 => Accepted::Fenced(record),
            5 => Accepted::Duplicate(record),
            6 => Accepted::Overloaded { depth: number },
            7 => Accepted::NothingStaged,
            8 => Accepted::BranchDeleted,
            other => return Err(unknown_code(SUBMIT.name, other)),
        });
    }
    if !reply.is_empty() {
        return Err(Error::internal("the reply of script 'submit' is too long"));
    }
    let elements = if turn_is_mine { queued(&accepted, submissions) } else { Vec::new() };
    let view = View { head, depth, turn_is_mine, turn_left_ms, areas, elements };
    Ok(Some(SubmitReply { view, accepted }))
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
