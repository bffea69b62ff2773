//! `stage.lua`, `staged.lua` and `unstage.lua`: uncommitted changes.

use std::time::Duration;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::ids::OpId;

use super::areas::Area;
use super::reply::{Reply, int, unknown_code};
use super::script::{STAGE, STAGED, UNSTAGE};
use super::{BranchKeys, HeadView, Lanes};

/// Changes in one staging call, at most.
pub const STAGE_MAX: usize = 500;

/// Paths in one page of staged changes, at most.
pub const PAGE_MAX: usize = 1000;

/// One staged change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedValue {
    /// The path.
    pub path: String,
    /// Its encoded change.
    pub value: Bytes,
}

/// What a conditional write saw when it judged its condition.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Tickets decided.
    pub done: u64,
    /// Number of sealed areas.
    pub areas: usize,
    /// The staged value of each path, in order.
    pub values: Vec<Option<Bytes>>,
}

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The branch is not in this Redis.
    Absent,
    /// All changes are staged.
    Written,
    /// The branch has been deleted.
    Deleted,
    /// What the caller saw has changed; nothing was written.
    Moved,
    /// The staging area is full; nothing was written.
    Full,
}

/// How long a staging call is recognised when it is made again. Calls are made again for at most
/// the patience of the lanes, which is shorter.
const CALL_KEPT: Duration = Duration::from_secs(20);

/// Stages at most [`STAGE_MAX`] changes, all or none. The same `call` made again writes nothing.
pub async fn stage(
    lanes: &Lanes,
    keys: &BranchKeys,
    call: OpId,
    limit: u64,
    changes: &[StagedValue],
    seen: Option<&Seen>,
) -> Result<Stage> {
    let text = |n: u64| Bytes::from(n.to_string());
    let mut args = vec![
        text(limit),
        text(changes.len() as u64),
        Bytes::from_static(if seen.is_some() { b"1" } else { b"0" }),
        text(seen.map_or(0, |seen| seen.done)),
        text(seen.map_or(0, |seen| seen.areas as u64)),
        text(CALL_KEPT.as_millis() as u64),
    ];
    for (index, change) in changes.iter().enumerate() {
        let seen_value = seen.and_then(|seen| seen.values.get(index).cloned().flatten());
        args.push(Bytes::copy_from_slice(change.path.as_bytes()));
        args.push(change.value.clone());
        args.push(seen_value.unwrap_or_default());
    }
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    let mark = keys.stage_call(call);
    let all_keys = [&*keys.head, &keys.staged, &keys.paths, &keys.sealed, &mark];
    let value = lanes.run(&STAGE, &all_keys, &args).await?;
    Ok(match int(STAGE.name, &value)? {
        0 => Stage::Absent,
        1 => Stage::Written,
        2 => Stage::Deleted,
        3 => Stage::Moved,
        4 => Stage::Full,
        other => return Err(unknown_code(STAGE.name, other)),
    })
}

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
    /// The head.
    pub head: HeadView,
    /// Sealed areas, oldest first.
    pub areas: Vec<Area>,
    /// The changes, in path order for a range.
    pub values: Vec<StagedValue>,
}

/// What to read.
#[derive(Debug, Clone)]
pub enum Wanted<'a> {
    /// Paths from a lower bound on, at most so many.
    From(&'a Bound, usize),
    /// These paths.
    Paths(&'a [&'a str]),
}

/// Reads staged changes. `None` when the branch is not in this Redis.
pub async fn staged(
    lanes: &Lanes,
    keys: &BranchKeys,
    which: Which,
    wanted: Wanted<'_>,
) -> Result<Option<StagedPage>> {
    let (values_key, paths_key) = area_keys(keys, which);
    let args: Vec<Vec<u8>> = match wanted {
        Wanted::From(from, amount) => vec![
            b"range".to_vec(),
            from.text("-"),
            b"+".to_vec(),
            amount.min(PAGE_MAX).to_string().into_bytes(),
        ],
        Wanted::Paths(paths) => std::iter::once(b"paths".to_vec())
            .chain(paths.iter().map(|path| path.as_bytes().to_vec()))
            .collect(),
    };
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let all_keys = [&*keys.head, &values_key, &paths_key, &keys.sealed];
    let value = lanes.run(&STAGED, &all_keys, &args).await?;
    let mut reply = Reply::new(STAGED.name, value)?;
    let Some(head) = reply.head()? else {
        return Ok(None);
    };
    let areas = Area::parse_all(&reply.list()?)?;
    let mut values = Vec::new();
    let mut flat = reply.list()?.into_iter();
    while let (Some(path), Some(value)) = (flat.next(), flat.next()) {
        let path = String::from_utf8(path.to_vec())
            .map_err(|_| Error::corrupt("a staged path in Redis is not UTF-8"))?;
        values.push(StagedValue { path, value });
    }
    Ok(Some(StagedPage { head, areas, values }))
}

/// Takes back at most [`PAGE_MAX`] staged changes between two bounds. Returns how many, or `None`
/// when the area was taken by a commit in the meantime.
pub async fn unstage(
    lanes: &Lanes,
    keys: &BranchKeys,
    which: Which,
    from: &Bound,
    to: &Bound,
) -> Result<Option<u64>> {
    let (values_key, paths_key) = area_keys(keys, which);
    let area = match which {
        Which::Staged => String::new(),
        Which::Area(id) => id.to_string(),
    };
    let amount = PAGE_MAX.to_string();
    let args: [&[u8]; 4] = [&from.text("-"), &to.text("+"), amount.as_bytes(), area.as_bytes()];
    let all_keys = [&*keys.sealed, &values_key, &paths_key, &keys.absent];
    let value = lanes.run(&UNSTAGE, &all_keys, &args).await?;
    Ok(u64::try_from(int(UNSTAGE.name, &value)?).ok())
}

fn area_keys(keys: &BranchKeys, which: Which) -> (String, String) {
    match which {
        Which::Staged => (keys.staged.clone(), keys.paths.clone()),
        Which::Area(id) => keys.area(id),
    }
}
