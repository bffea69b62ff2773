//! `restore.lua`: putting a branch into Redis as the log has it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

use super::keys::DraftKeys;
use super::reply::{int, unknown_code};
use super::script::RESTORE;
use super::{BranchKeys, BranchState, HeadView, Lanes};

/// Outcomes and producer rows in one call, at most. A simulated branch has few of either and is put
/// back in several calls all the same.
pub const PART_MAX: usize = if cfg!(feature = "simulation") { 5 } else { 1000 };

/// How long a draft stays that nobody goes on with.
const DRAFT: Duration = Duration::from_secs(600);

/// Drafts that a Redis may lose before that is an error.
const DRAFTS: usize = 3;

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

/// Puts a branch into Redis, unless it is there. Its outcomes stay for `idle` while nothing is queued.
/// Returns whether it was put there by this call.
pub async fn restore(
    lanes: &Lanes,
    keys: &BranchKeys,
    image: &BranchImage,
    idle: Duration,
) -> Result<bool> {
    for _ in 0..DRAFTS {
        match put_in_parts(lanes, keys, image, idle).await? {
            Put::Taken => return Ok(true),
            Put::AlreadyThere => return Ok(false),
            Put::DraftLost => {
                tracing::warn!("Redis lost a part of a branch that was being put back")
            }
        }
    }
    Err(Error::unavailable(format!(
        "Redis lost what was put back {DRAFTS} times in a row: check its memory limit and eviction policy"
    )))
}

/// What became of a part.
enum Put {
    Taken,
    AlreadyThere,
    /// Redis does not have the parts before it.
    DraftLost,
}

/// Gathers a draft of its own, and opens the branch with it.
async fn put_in_parts(
    lanes: &Lanes,
    keys: &BranchKeys,
    image: &BranchImage,
    idle: Duration,
) -> Result<Put> {
    let draft = keys.draft(clock::new_op_id());
    // Outcomes first, rows of producers behind them.
    let outcomes = image.outcomes.len();
    let end = outcomes + image.producers.len();
    let row = |place: usize| place.saturating_sub(outcomes);
    let mut at = 0;
    loop {
        let to = (at + PART_MAX).min(end);
        let part = Part {
            is_last: to == end,
            outcomes_before: at.min(outcomes),
            rows_before: row(at),
            outcomes: image.outcomes.get(at.min(outcomes)..to.min(outcomes)).unwrap_or_default(),
            producers: image.producers.get(row(at)..row(to)).unwrap_or_default(),
            idle,
        };
        match part.put(lanes, keys, &draft, &image.head).await? {
            Put::Taken if !part.is_last => at = to,
            other => return Ok(other),
        }
    }
}

/// What goes with one call.
struct Part<'a> {
    is_last: bool,
    /// What the draft has already.
    outcomes_before: usize,
    rows_before: usize,
    outcomes: &'a [(Ticket, OpId, Bytes)],
    producers: &'a [(String, Bytes)],
    idle: Duration,
}

impl Part<'_> {
    async fn put(
        &self,
        lanes: &Lanes,
        keys: &BranchKeys,
        draft: &DraftKeys,
        head: &HeadView,
    ) -> Result<Put> {
        let state = match head.state {
            BranchState::Open => "open",
            BranchState::Deleted => "deleted",
        };
        let text = |n: u64| Bytes::from(n.to_string());
        let mut args = vec![
            Bytes::from_static(if self.is_last { b"1" } else { b"0" }),
            Bytes::from_static(state.as_bytes()),
            text(head.done),
            Bytes::from(head.commit.map(|id| id.to_string()).unwrap_or_default()),
            text(head.position),
            text(self.outcomes_before as u64),
            text(self.rows_before as u64),
            text(DRAFT.as_millis() as u64),
            text(self.outcomes.len() as u64),
            text(self.producers.len() as u64),
            text(self.idle.as_millis() as u64),
        ];
        for (ticket, op_id, record) in self.outcomes {
            args.push(text(ticket.0));
            args.push(Bytes::from(op_id.to_string()));
            args.push(record.clone());
        }
        for (producer, row) in self.producers {
            args.push(Bytes::from(producer.clone()));
            args.push(row.clone());
        }
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let BranchKeys { head, queue, outcomes, ops, producers, .. } = keys;
        let all: [&str; 8] =
            [head, queue, outcomes, ops, producers, &draft.outcomes, &draft.ops, &draft.producers];
        let value = lanes.run(&RESTORE, &all, &args).await?;
        match int(RESTORE.name, &value)? {
            0 => Ok(Put::AlreadyThere),
            1 => Ok(Put::Taken),
            2 => Ok(Put::DraftLost),
            other => Err(unknown_code(RESTORE.name, other)),
        }
    }
}
