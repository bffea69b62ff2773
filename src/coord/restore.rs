//! `restore.lua`: putting a branch into Redis as the log has it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::head::{BranchState, HeadView};
use super::keys::DraftKeys;
use super::reply::{int, unknown_code};
use super::script::RESTORE;

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
    /// Where the head stands.
    pub head: HeadView,
    /// The newest outcomes, in ticket order.
    pub outcomes: Vec<(Ticket, OpId, Bytes)>,
    /// Every producer's row.
    pub producers: Vec<(String, Bytes)>,
}

/// What became of a part.
enum Put {
    Taken,
    AlreadyThere,
    /// Redis does not have the parts before it.
    DraftLost,
}

/// What goes with one call.
struct Part<'a> {
    is_last: bool,
    /// What the draft has already.
    outcomes_before: usize,
    rows_before: usize,
    outcomes: &'a [(Ticket, OpId, Bytes)],
    producers: &'a [(String, Bytes)],
}

impl RedisBranch {
    /// Puts the branch into Redis, unless it is there. Its outcomes stay for as long as an idle
    /// branch keeps them while nothing is queued. Returns whether it was put there by this call.
    pub async fn restore(&self, image: &BranchImage) -> Result<bool> {
        for _ in 0..DRAFTS {
            match self.put_in_parts(image).await? {
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

    /// Gathers a draft of its own, and opens the branch with it.
    async fn put_in_parts(&self, image: &BranchImage) -> Result<Put> {
        let draft = self.keys().draft(clock::new_op_id());
        // Outcomes first, rows of producers behind them.
        let outcomes = image.outcomes.len();
        let end = outcomes + image.producers.len();
        let row = |at: usize| at.saturating_sub(outcomes);
        let mut at = 0;
        loop {
            let to = (at + PART_MAX).min(end);
            let of_outcomes = at.min(outcomes)..to.min(outcomes);
            let part = Part {
                is_last: to == end,
                outcomes_before: of_outcomes.start,
                rows_before: row(at),
                outcomes: image.outcomes.get(of_outcomes).unwrap_or_default(),
                producers: image.producers.get(row(at)..row(to)).unwrap_or_default(),
            };
            match self.put(&draft, &image.head, &part).await? {
                Put::Taken if !part.is_last => at = to,
                other => return Ok(other),
            }
        }
    }

    async fn put(&self, draft: &DraftKeys, head: &HeadView, part: &Part<'_>) -> Result<Put> {
        let keys = self.keys();
        let own = [&keys.head, &keys.queue, &keys.outcomes, &keys.ops, &keys.producers];
        let all: Vec<&String> =
            own.into_iter().chain([&draft.outcomes, &draft.ops, &draft.producers]).collect();
        let mut call = ScriptCall::on(&RESTORE, &all);
        call.flag(part.is_last)
            .bytes(match head.state {
                BranchState::Open => "open",
                BranchState::Deleted => "deleted",
            })
            .number(head.done)
            .text_or_none(head.commit)
            .number(head.position)
            .count(part.outcomes_before)
            .count(part.rows_before)
            .millis(DRAFT)
            .count(part.outcomes.len())
            .count(part.producers.len())
            .millis(self.retention().idle);
        for (ticket, op_id, record) in part.outcomes {
            call.text(ticket).text(op_id).bytes(record);
        }
        for (producer, row) in part.producers {
            call.bytes(producer).bytes(row);
        }
        match int(RESTORE.name, &self.run(&call).await?)? {
            0 => Ok(Put::AlreadyThere),
            1 => Ok(Put::Taken),
            2 => Ok(Put::DraftLost),
            other => Err(unknown_code(RESTORE.name, other)),
        }
    }
}
