//! `view.lua`, `extend.lua` and `mend.lua`: the front of a queue, and whose turn it is.

use bytes::Bytes;
use redis::Value;

use crate::model::error::Result;

use super::areas::Area;
use super::reply::{Reply, int};
use super::script::{EXTEND, MEND, VIEW};
use super::{BranchKeys, HeadView, Lanes};

/// Who asks for the turn, and for how long.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Id of the process.
    pub helper: String,
    /// How long a turn lasts unless extended, in milliseconds.
    pub length_ms: u64,
}

/// How much the caller wants the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Only look.
    Look,
    /// Take it if it is free, expired or the caller's already.
    TakeIfFree,
    /// Take it from whoever holds it: the caller has waited long enough.
    Insist,
}

/// A branch at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// Where the head stands.
    pub head: HeadView,
    /// Ops in the queue.
    pub depth: u64,
    /// Whether the turn is the caller's.
    pub turn_is_mine: bool,
    /// How long the turn of its holder lasts, in milliseconds; 0 when it is free.
    pub turn_left_ms: u64,
    /// Sealed areas, oldest first.
    pub areas: Vec<Area>,
    /// The front of the queue, where the turn is the caller's or it only looked.
    pub elements: Vec<Bytes>,
}

/// Looks at a branch. `None` when it is not in this Redis.
pub async fn view(
    lanes: &Lanes,
    keys: &BranchKeys,
    turn: &Turn,
    wish: Wish,
    wanted: usize,
) -> Result<Option<View>> {
    let wish = match wish {
        Wish::Look => "0",
        Wish::TakeIfFree => "1",
        Wish::Insist => "2",
    };
    let length = turn.length_ms.to_string();
    let wanted = wanted.to_string();
    let value = lanes
        .run(
            &VIEW,
            &[&keys.head, &keys.queue, &keys.sealed],
            &[b"-", turn.helper.as_bytes(), length.as_bytes(), wish.as_bytes(), wanted.as_bytes()],
        )
        .await?;
    parse(value)
}

pub(crate) fn parse(value: Value) -> Result<Option<View>> {
    let mut reply = Reply::new(VIEW.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(None);
    };
    Ok(Some(View {
        head,
        depth: reply.count()?,
        turn_is_mine: reply.int()? == 1,
        turn_left_ms: reply.count()?,
        areas: Area::parse_all(&reply.list()?)?,
        elements: reply.list()?,
    }))
}

/// Replaces a queue element that cannot be read, if it still stands there.
pub async fn mend(
    lanes: &Lanes,
    keys: &BranchKeys,
    index: usize,
    seen: &Bytes,
    replacement: &Bytes,
) -> Result<bool> {
    let index = index.to_string();
    let value = lanes.run(&MEND, &[&keys.queue], &[index.as_bytes(), seen, replacement]).await?;
    Ok(int(MEND.name, &value)? == 1)
}

/// Keeps the turn a while longer. `false` when somebody else has taken it.
pub async fn extend(lanes: &Lanes, keys: &BranchKeys, turn: &Turn) -> Result<bool> {
    let length = turn.length_ms.to_string();
    let args: [&[u8]; 3] = [b"-", turn.helper.as_bytes(), length.as_bytes()];
    let value = lanes.run(&EXTEND, &[&keys.head], &args).await?;
    Ok(int(EXTEND.name, &value)? == 1)
}
