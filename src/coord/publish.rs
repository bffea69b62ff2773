//! `publish.lua` and `prune.lua`: making a decided batch visible, with what has to be done before.

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
use super::reply::{Reply, int, unknown_code};
use super::script::{PRUNE, PUBLISH};
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
    /// New rows of producers; an empty one is forgotten.
    pub producers: Vec<(String, Bytes)>,
    /// Areas that were committed. What else its ops had sealed is given back.
    pub consumed: Vec<OpId>,
}

/// Outcomes that one call may forget besides three for every two that it tells: a branch that kept
/// many forgets them little by little, so that no call keeps the server for long.
const FORGOTTEN_MIN: usize = 256;

/// Paths that are taken out of areas along with publishing, at most.
const PRUNED_ALONG: usize = 256;

/// Paths that are taken out of an area in a call of its own, at most: some two milliseconds of the
/// server's time.
const PRUNED_MAX: usize = 500;

/// Elements of the queue that one call counts anew, at most: two to three milliseconds of the
/// server's time. A simulated queue is short, and takes several calls all the same.
const ADOPTED_MAX: usize = if cfg!(feature = "simulation") { 3 } else { 500 };

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

/// What one call came to.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It was told what became of the batch.
    Told(Published),
    /// Nothing was published: this area is to be pruned first.
    PruneFirst(Area),
    /// Nothing was published: the queue, of which the batch is not the front, is not counted to its end.
    CountOn,
}

impl RedisBranch {
    /// Publishes a batch and, with `wanted` above 0, keeps the turn and brings the next batch.
    ///
    /// An area that it gives back loses first what newer areas have, in as many calls as the smaller
    /// of two takes. So does a queue of which the batch is not the front: it is counted anew. Whoever
    /// else publishes the batch goes on where this has come to.
    pub async fn publish(&self, batch: &Publication, wanted: usize) -> Result<Answer<Published>> {
        // It ends: each call takes paths out, or counts more ops than come in between, and no more areas
        // than may be sealed do.
        loop {
            match self.publish_once(batch, wanted).await? {
                Answer::Given(Attempt::Told(published)) => return Ok(Answer::Given(published)),
                Answer::Given(Attempt::CountOn) => {}
                Answer::Given(Attempt::PruneFirst(area)) => self.prune(batch, area).await?,
                Answer::Absent => return Ok(Answer::Absent),
                Answer::Ended => return Ok(Answer::Ended),
            }
        }
    }

    /// Prunes an area until nothing is left to be taken out, or somebody has published the batch.
    async fn prune(&self, batch: &Publication, area: Area) -> Result<()> {
        let keys = self.keys();
        let all = [&keys.head, &keys.sealed, &keys.pruned, &keys.absent];
        let mut call = ScriptCall::on(&PRUNE, &all);
        call.number(batch.done_before).text(area).count(PRUNED_MAX);
        loop {
            match int(PRUNE.name, &self.run(&call).await?)? {
                0 | 1 => return Ok(()),
                2 => {}
                other => return Err(unknown_code(PRUNE.name, other)),
            }
        }
    }

    async fn publish_once(&self, batch: &Publication, wanted: usize) -> Result<Answer<Attempt>> {
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
            .count(FORGOTTEN_MIN + batch.outcomes.len() * 3 / 2)
            .count(PRUNED_ALONG)
            .count(ADOPTED_MAX);
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
            &keys.pruned,
        ];
        keys.and_areas(fixed, batch.consumed.iter().copied())
    }
}

pub(crate) fn parse(value: Value, batch: &Publication) -> Result<Answer<Attempt>> {
    let mut reply = Reply::new(PUBLISH.name, value)?;
    let adopted = match reply.int()? {
        0 => return Ok(Answer::Absent),
        1 => {
            let published = Published::Elsewhere { done: reply.count()? };
            return Ok(Answer::Given(Attempt::Told(published)));
        }
        2 => false,
        3 => true,
        4 => return Ok(Answer::Given(Attempt::PruneFirst(Area::parse(&reply.bytes()?)?))),
        5 => return Ok(Answer::Given(Attempt::CountOn)),
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
    Ok(Answer::Given(Attempt::Told(Published::Done { next, adopted })))
}
