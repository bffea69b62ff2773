//! `view.lua`, `extend.lua` and `mend.lua`: the front of a queue, and whose turn it is.

use bytes::Bytes;
use redis::Value;

use crate::model::error::Result;

use super::answer::Answer;
use super::areas::Area;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::head::HeadView;
use super::reply::{Reply, int};
use super::script::{EXTEND, MEND, VIEW};

/// How much the caller wants the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Only look, and take no turn.
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

impl RedisBranch {
    /// Looks at the branch, and at no more than `wanted` ops of its queue. One that has ended is
    /// seen, too.
    pub async fn view(&self, wish: Wish, wanted: usize) -> Result<Answer<View>> {
        self.view_from(wish, 0, wanted).await
    }

    /// Only looks, and at what is behind the first `skip` ops of the queue.
    pub async fn view_behind(&self, skip: usize, wanted: usize) -> Result<Answer<View>> {
        self.view_from(Wish::Look, skip, wanted).await
    }

    async fn view_from(&self, wish: Wish, skip: usize, wanted: usize) -> Result<Answer<View>> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&VIEW, &[&keys.head, &keys.queue, &keys.sealed]);
        self.turn().put_into(&mut call);
        call.bytes(match wish {
            Wish::Look => "0",
            Wish::TakeIfFree => "1",
            Wish::Insist => "2",
        });
        call.count(wanted).count(skip);
        parse(self.run(&call).await?)
    }

    /// Keeps the turn a while longer. `false` when somebody else has taken it.
    pub async fn extend(&self) -> Result<bool> {
        let mut call = ScriptCall::on(&EXTEND, &[&self.keys().head]);
        self.turn().put_into(&mut call);
        Ok(int(EXTEND.name, &self.run(&call).await?)? == 1)
    }

    /// Replaces a queue element that cannot be read, if it still stands there.
    pub async fn mend(&self, index: usize, seen: &Bytes, replacement: &Bytes) -> Result<bool> {
        let mut call = ScriptCall::on(&MEND, &[&self.keys().queue]);
        call.count(index).bytes(seen).bytes(replacement);
        Ok(int(MEND.name, &self.run(&call).await?)? == 1)
    }
}

pub(crate) fn parse(value: Value) -> Result<Answer<View>> {
    let mut reply = Reply::new(VIEW.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(Answer::Absent);
    };
    Ok(Answer::Given(View {
        head,
        depth: reply.count()?,
        turn_is_mine: reply.int()? == 1,
        turn_left_ms: reply.count()?,
        areas: Area::parse_all(&reply.list()?)?,
        elements: reply.list()?,
    }))
}
