//! `publish.lua`: making a decided batch visible.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use crate::model::error::Result;
use crate::model::ids::{CommitId, OpId, Ticket};

use super::areas::Area;
use super::reply::{Reply, unknown_code};
use super::script::PUBLISH;
use super::view::{Turn, View};
use super::{BranchKeys, BranchState, HeadView, Lanes};

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

/// How much of the past Redis keeps.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Outcomes per branch, at the least. An op id is recognised for as long as its outcome is kept.
    pub outcomes: u64,
    /// How long an outcome is kept however many there are, up to `outcomes_max`: longer than a
    /// call whose reply was lost is made again.
    pub window: Duration,
    /// Outcomes per branch, at the most.
    pub outcomes_max: u64,
    /// How long an idle branch keeps them.
    pub idle: Duration,
    /// How long areas that were committed stay readable.
    pub areas: Duration,
}

/// Outcomes that one call may forget besides two for each that it tells: a branch that kept many
/// forgets them little by little, so that no call keeps the server for long.
const FORGOTTEN_MIN: u128 = 4096;

/// What publishing did.
#[derive(Debug)]
pub enum Published {
    /// The branch is not in this Redis.
    Absent,
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

/// Publishes a batch and, with `wanted` above 0, keeps the turn and brings the next batch.
pub async fn publish(
    lanes: &Lanes,
    keys: &BranchKeys,
    turn: &Turn,
    retention: &Retention,
    batch: &Publication,
    wanted: usize,
) -> Result<Published> {
    let mut owned_keys = Vec::new();
    for area in &batch.consumed {
        let (values, paths) = keys.area(*area);
        owned_keys.extend([values, paths]);
    }
    let mut all_keys: Vec<&str> = vec![
        &keys.head,
        &keys.queue,
        &keys.outcomes,
        &keys.ops,
        &keys.producers,
        &keys.sealed,
        &keys.staged,
        &keys.paths,
    ];
    all_keys.extend(owned_keys.iter().map(String::as_str));
    all_keys.push(&keys.absent);
    let args = arguments(turn, retention, batch, wanted);
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    let value = lanes.run(&PUBLISH, &all_keys, &args).await?;
    parse(value, batch)
}

fn arguments(turn: &Turn, retention: &Retention, batch: &Publication, wanted: usize) -> Vec<Bytes> {
    let number = |n: u128| Bytes::from(n.to_string());
    let mut args = vec![
        Bytes::from_static(b"-"),
        Bytes::from(turn.helper.clone()),
        number(turn.length_ms.into()),
        number(batch.done_before.into()),
        number(batch.outcomes.len() as u128),
        Bytes::from(batch.commit.map(|id| id.to_string()).unwrap_or_default()),
        number(batch.position.0.into()),
        Bytes::from_static(if batch.closes { b"1" } else { b"0" }),
        number(retention.outcomes.into()),
        number(retention.idle.as_millis()),
        number(retention.areas.as_millis()),
        number(wanted as u128),
        number(batch.producers.len() as u128),
        number(retention.window.as_millis()),
        number(retention.outcomes_max.into()),
        number(FORGOTTEN_MIN + 2 * batch.outcomes.len() as u128),
    ];
    for (op_id, record) in &batch.outcomes {
        args.push(Bytes::from(op_id.to_string()));
        args.push(record.clone());
    }
    for (producer, row) in &batch.producers {
        args.push(Bytes::from(producer.clone()));
        args.push(row.clone());
    }
    args
}

pub(crate) fn parse(value: Value, batch: &Publication) -> Result<Published> {
    let mut reply = Reply::new(PUBLISH.name, value)?;
    let adopted = match reply.int()? {
        0 => return Ok(Published::Absent),
        1 => return Ok(Published::Elsewhere { done: reply.count()? }),
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
    Ok(Published::Done { next, adopted })
}
