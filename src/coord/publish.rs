//! `publish.lua`: making a decided batch visible.

use std::borrow::Cow;

use bytes::Bytes;
use redis::Value;

use crate::model::error::Result;
use crate::model::ids::{CommitId, OpId, Ticket};

use super::answer::Answer;
use super::areas::Area;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::head::{BranchState, HeadView};
use super::reply::{Reply, unknown_code};
use super::script::PUBLISH;
use super::view::View;

/// A decided batch, as Redis is told of it.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Tickets decided before the batch.
    pub done_before: u64,
    /// The head commit after it.
    pub commit: Option<CommitId>,
    /// First ticket of its log entry.
    pub position: Ticket,
    /// Whether it ends the branch.
    pub closes: bool,
    /// Op ids and outcome records, in ticket order.
    pub outcomes: Vec<(OpId, Bytes)>,
    /// New rows of producers.
    pub producers: Vec<(String, Bytes)>,
    /// Areas that were committed. What else its ops had sealed is given back.
    pub consumed: Vec<OpId>,
}

/// Outcomes that one call may forget besides two for each that it tells: a branch that kept many
/// forgets them little by little, so that no call keeps the server for long.
const FORGOTTEN_MIN: usize = 4096;

/// What publishing did.
#[derive(Debug)]
pub enum Published {
    /// `done` was not where the batch begins: somebody published, or Redis is further behind.
    Elsewhere {
        /// Where it was.
        done: u64,
    },
    /// The batch is visible.
    Done {
        /// The branch right after it, with the next batch where one was wanted and is there.
        next: View,
        /// Whether the front of the queue was not the batch: Redis had lost data.
        adopted: bool,
    },
}

impl RedisBranch {
    /// Publishes a batch and, with `wanted` above 0, keeps the turn and brings the next batch.
    pub async fn publish(&self, batch: &Publication, wanted: usize) -> Result<Answer<Published>> {
        let mut call = ScriptCall::on(&PUBLISH, &self.publish_keys(batch));
        self.turn().put_into(&mut call);
        let retention = self.retention();
        call.number(batch.done_before)
            .count(batch.outcomes.len())
            .text_or_none(batch.commit)
            .text(batch.position)
            .flag(batch.closes)
            .number(retention.outcomes)
            .millis(retention.idle)
            .millis(retention.areas)
            .count(wanted)
            .count(batch.producers.len())
            .millis(retention.window)
            .number(retention.outcomes_max)
            .count(FORGOTTEN_MIN + 2 * batch.outcomes.len());
        for (op_id, record) in &batch.outcomes {
            call.text(op_id).bytes(record);
        }
        for (producer, row) in &batch.producers {
            call.bytes(producer).bytes(row);
        }
        parse(self.run(&call).await?, batch)
    }

    fn publish_keys(&self, batch: &Publication) -> Vec<Cow<'_, str>> {
        let keys = self.keys();
        let fixed = [
            &keys.head,
            &keys.queue,
            &keys.outcomes,
            &keys.ops,
            &keys.producers,
            &keys.sealed,
            &keys.staged,
            &keys.paths,
        ];
        keys.and_areas(fixed, batch.consumed.iter().copied())
    }
}

pub(crate) fn parse(value: Value, batch: &Publication) -> Result<Answer<Published>> {
    let mut reply = Reply::new(PUBLISH.name, value)?;
    let adopted = match reply.int()? {
        0 => return Ok(Answer::Absent),
        1 => return Ok(Answer::Given(Published::Elsewhere { done: reply.count()? })),
        2 => false,
        3 => true,
        other => return Err(unknown_code(PUBLISH.name, other)),
    };
    let done = reply.count()?;
    let depth = reply.count()?;
    let turn_is_mine = reply.int()? == 1;
    let areas = Area::parse_all(&reply.list()?)?;
    let elements = reply.list()?;
    let state = if batch.closes { BranchState::Deleted } else { BranchState::Open };
    let head = HeadView { state, done, commit: batch.commit, position: batch.position.0 };
    let next = View { head, depth, turn_is_mine, turn_left_ms: 0, areas, elements };
    Ok(Answer::Given(Published::Done { next, adopted }))
}
