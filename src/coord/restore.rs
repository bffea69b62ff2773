//! `restore.lua`: putting a branch into Redis as the log has it.

use bytes::Bytes;

use crate::model::error::Result;
use crate::model::ids::{OpId, Ticket};

use super::reply::int;
use super::script::RESTORE;
use super::{BranchKeys, BranchState, HeadView, Lanes};

/// Outcomes and producer rows in one call, at most.
const PART_MAX: usize = 1000;

/// A branch as the log has it.
#[derive(Debug, Clone)]
pub struct BranchImage {
    /// The head.
    pub head: HeadView,
    /// The newest outcomes, in ticket order.
    pub outcomes: Vec<(Ticket, OpId, Bytes)>,
    /// Every producer's row.
    pub producers: Vec<(String, Bytes)>,
}

/// Puts a branch into Redis, unless it is there. Returns whether it was put there by this call.
pub async fn restore(lanes: &Lanes, keys: &BranchKeys, image: &BranchImage) -> Result<bool> {
    for outcomes in image.outcomes.chunks(PART_MAX) {
        if !part(lanes, keys, &image.head, false, outcomes, &[]).await? {
            return Ok(false);
        }
    }
    for producers in image.producers.chunks(PART_MAX) {
        if !part(lanes, keys, &image.head, false, &[], producers).await? {
            return Ok(false);
        }
    }
    part(lanes, keys, &image.head, true, &[], &[]).await
}

async fn part(
    lanes: &Lanes,
    keys: &BranchKeys,
    head: &HeadView,
    last: bool,
    outcomes: &[(Ticket, OpId, Bytes)],
    producers: &[(String, Bytes)],
) -> Result<bool> {
    let state = match head.state {
        BranchState::Open => "open",
        BranchState::Deleted => "deleted",
    };
    let text = |n: u64| Bytes::from(n.to_string());
    let mut args = vec![
        Bytes::from_static(if last { b"1" } else { b"0" }),
        Bytes::from_static(state.as_bytes()),
        text(head.done),
        Bytes::from(head.commit.map(|id| id.to_string()).unwrap_or_default()),
        text(head.position),
        text(outcomes.len() as u64),
        text(producers.len() as u64),
    ];
    for (ticket, op_id, record) in outcomes {
        args.push(text(ticket.0));
        args.push(Bytes::from(op_id.to_string()));
        args.push(record.clone());
    }
    for (producer, row) in producers {
        args.push(Bytes::from(producer.clone()));
        args.push(row.clone());
    }
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    let all_keys = [&*keys.head, &keys.outcomes, &keys.ops, &keys.producers];
    let value = lanes.run(&RESTORE, &all_keys, &args).await?;
    Ok(int(RESTORE.name, &value)? == 1)
}
