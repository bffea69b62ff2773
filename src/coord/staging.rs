//! `stage.lua`, `staged.lua` and `unstage.lua`: uncommitted changes.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::OpId;

use super::answer::Answer;
use super::areas::Area;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::head::{BranchState, HeadView};
use super::reply::{Reply, int, unknown_code};
use super::script::{STAGE, STAGED, UNSTAGE};

/// Changes in one staging call, at most.
pub const STAGE_MAX: usize = 500;

/// Paths and values of one staging call, in bytes, at most: copying more would keep the server for too long.
pub const STAGE_BYTES: usize = 1024 * 1024;

/// Paths that one call looks up by name, and changes of one staging call that say what was seen, at most:
/// each may come with the largest value there is.
pub const NAMED_MAX: usize = 128;

/// Paths in one page of staged changes, at most. A page has a MiB of values, and those of 32 paths more.
pub const PAGE_MAX: usize = 1000;

/// One staged change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedValue {
    /// Path of the object.
    pub path: String,
    /// Its encoded change. Empty in a call that stages: the path is taken out.
    pub value: Bytes,
}

/// What a conditional write saw when it judged its condition.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Tickets decided by then.
    pub done: u64,
    /// Number of sealed areas.
    pub areas: usize,
    /// The staged value of each path, in order.
    pub values: Vec<Option<Bytes>>,
    /// Whether it rests on where the branch stood even where something was staged.
    pub strict: bool,
}

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// All changes are staged.
    Written,
    /// What the caller saw has changed; nothing was written.
    Moved,
    /// The staging area is full; nothing was written.
    Full,
    /// There was nothing to write: what was to go is not there.
    Needless,
}

/// How long a staging call is recognised when it is made again. Calls are made again for at most
/// the patience of the lanes, which is shorter.
const CALL_KEPT: Duration = Duration::from_secs(20);

/// Which area to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The staging area.
    Staged,
    /// A sealed area.
    Area(OpId),
}

/// A bound in the order of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Before all paths, or behind them.
    Open,
    /// At this text.
    At(String),
    /// As a lower bound: behind this text.
    Behind(String),
    /// As an upper bound: before this text.
    Before(String),
}

impl Bound {
    fn text(&self, open: &str) -> Vec<u8> {
        match self {
            Self::Open => open.as_bytes().to_vec(),
            Self::At(text) => [b"[", text.as_bytes()].concat(),
            Self::Behind(text) | Self::Before(text) => [b"(", text.as_bytes()].concat(),
        }
    }
}

/// Staged changes and the head they stand on, from one moment.
#[derive(Debug)]
pub struct StagedPage {
    /// The head that the changes stand on.
    pub head: HeadView,
    /// Sealed areas, oldest first.
    pub areas: Vec<Area>,
    /// The changes, in path order for a range.
    pub values: Vec<StagedValue>,
    /// Whether there may be others behind them.
    pub more: bool,
}

/// What to read.
#[derive(Debug, Clone)]
pub enum Wanted<'a> {
    /// Paths from a lower bound on, at most so many.
    From(&'a Bound, usize),
    /// These paths and no others, at most [`NAMED_MAX`].
    Paths(&'a [&'a str]),
}

impl RedisBranch {
    /// Stages at most [`STAGE_MAX`] changes, of as many paths, all or none. The same `call` made again writes nothing.
    pub async fn stage(
        &self,
        call: OpId,
        limit: u64,
        changes: &[StagedValue],
        seen: Option<&Seen>,
    ) -> Result<Answer<Stage>> {
        let keys = self.keys();
        let mark = keys.stage_call(call);
        let all = [&keys.head, &keys.staged, &keys.paths, &keys.sealed, &mark];
        let mut call = ScriptCall::on(&STAGE, &all);
        call.number(limit)
            .count(changes.len())
            .bytes(match seen {
                None => "0",
                Some(Seen { strict: false, .. }) => "1",
                Some(Seen { strict: true, .. }) => "2",
            })
            .number(seen.map_or(0, |seen| seen.done))
            .count(seen.map_or(0, |seen| seen.areas))
            .millis(CALL_KEPT);
        for (index, change) in changes.iter().enumerate() {
            let seen_value = seen.and_then(|seen| seen.values.get(index)?.as_deref());
            call.bytes(&change.path).bytes(&change.value).bytes(seen_value.unwrap_or_default());
        }
        Ok(Answer::Given(match int(STAGE.name, &self.run(&call).await?)? {
            0 => return Ok(Answer::Absent),
            1 => Stage::Written,
            2 => return Ok(Answer::Ended),
            3 => Stage::Moved,
            4 => Stage::Full,
            other => return Err(unknown_code(STAGE.name, other)),
        }))
    }

    /// Reads staged changes. A branch that has ended has none.
    pub async fn staged(&self, which: Which, wanted: Wanted<'_>) -> Result<Answer<StagedPage>> {
        let keys = self.keys();
        let (values, paths) = self.area_keys(which);
        let mut call = ScriptCall::on(&STAGED, &[&*keys.head, &values, &paths, &keys.sealed]);
        match wanted {
            Wanted::From(from, amount) => {
                call.bytes("range").bytes(from.text("-")).bytes("+").count(amount.min(PAGE_MAX));
            }
            Wanted::Paths(paths) => {
                call.bytes("paths");
                for path in paths {
                    call.bytes(path);
                }
            }
        }
        parse(self.run(&call).await?)
    }

    /// Takes back at most [`PAGE_MAX`] staged changes between two bounds. Returns how many, or
    /// `None` when the area was taken by a commit in the meantime.
    pub async fn unstage(&self, which: Which, from: &Bound, to: &Bound) -> Result<Option<u64>> {
        let keys = self.keys();
        let (values, paths) = self.area_keys(which);
        let all = [&*keys.sealed, &values, &paths, &keys.absent];
        let mut call = ScriptCall::on(&UNSTAGE, &all);
        call.bytes(from.text("-")).bytes(to.text("+")).count(PAGE_MAX);
        call.text_or_none(match which {
            Which::Staged => None,
            Which::Area(id) => Some(id),
        });
        Ok(u64::try_from(int(UNSTAGE.name, &self.run(&call).await?)?).ok())
    }

    fn area_keys(&self, which: Which) -> (Cow<'_, str>, Cow<'_, str>) {
        let keys = self.keys();
        match which {
            Which::Staged => (Cow::from(&keys.staged), Cow::from(&keys.paths)),
            Which::Area(id) => {
                let (values, paths) = keys.area(id);
                (Cow::from(values), Cow::from(paths))
            }
        }
    }
}

pub(crate) fn parse(value: Value) -> Result<Answer<StagedPage>> {
    let mut reply = Reply::new(STAGED.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(Answer::Absent);
    };
    if head.state == BranchState::Deleted {
        return Ok(Answer::Ended);
    }
    let areas = Area::parse_all(&reply.list()?)?;
    let mut values = Vec::new();
    let mut flat = reply.list()?.into_iter();
    while let (Some(path), Some(value)) = (flat.next(), flat.next()) {
        let path = String::from_utf8(path.to_vec())
            .map_err(|_| Error::corrupt("a staged path in Redis is not UTF-8"))?;
        values.push(StagedValue { path, value });
    }
    let more = reply.int()? == 1;
    Ok(Answer::Given(StagedPage { head, areas, values, more }))
}
