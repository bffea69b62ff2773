//! What one branch names at a moment: what is staged, sealed, queued, and its head.
//!
//! Changes travel from the staging area through a sealed area and the queue into the log, never
//! back. So they are looked for in that order, and none can slip by.

use std::collections::BTreeMap;

use crate::commit::context::BranchContext;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::commit::mend::restore::read_back;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::coord::queue::QUEUE_PAGE_MAX;
use crate::coord::staging::{Bound, PAGE_MAX, Wanted, Which};
use crate::model::error::{Error, Result};
use crate::model::ids::{CommitId, RunId, Ticket};
use crate::tree::RunRef;

use super::mark::Objects;

/// Distinct runs that the queue of one branch may name while it is looked at: it was empty a moment
/// ago.
const RUNS_MAX: usize = 4096;

/// Pages of a queue, at most: more than the longest queue has.
const QUEUE_PAGES_MAX: usize = 1024;

/// What a branch names, besides uploaded objects, which are marked at once.
#[derive(Debug)]
pub(super) struct Seen {
    /// The head by the log; `None` of a branch that has ended.
    pub(super) head: Option<Head>,
    /// Runs that queued ops bring.
    pub(super) runs: Vec<RunRef>,
    /// Commits that queued ops name.
    pub(super) commits: Vec<CommitId>,
}

/// Looks at a branch.
pub(super) async fn look(
    lake: &Lake,
    record: &BranchRecord,
    context: &BranchContext,
    objects: &Objects,
) -> Result<Seen> {
    area(context, Which::Staged, objects).await?;
    let sealed = context.look(0).await?.given().map(|view| view.areas);
    for sealed in sealed.unwrap_or_default() {
        area(context, Which::Area(sealed.id), objects).await?;
    }
    let (runs, commits) = queued(lake, context, objects).await?;
    let head = Some(head_by_log(lake, record).await?).filter(|head| !head.closed);
    Ok(Seen { head, runs, commits })
}

/// The head of a branch as the log has it, safe to act upon.
async fn head_by_log(lake: &Lake, record: &BranchRecord) -> Result<Head> {
    let end = read_back(lake, record).await?;
    if end.position == 0 {
        return Head::start(lake, record.uid, record.start).await;
    }
    let newest = lake.decided(record.uid, Ticket(end.position)).await?;
    let newest = newest.ok_or_else(|| {
        Error::corrupt(format!("the newest log entry of branch '{}' went away", record.name))
    })?;
    Head::after(&newest)
}

/// Marks what an area names, a page at a time.
async fn area(context: &BranchContext, which: Which, objects: &Objects) -> Result<()> {
    let mut from = Bound::Open;
    loop {
        let wanted = Wanted::From(&from, PAGE_MAX);
        let page = context.redis.staged(which, wanted).await?.given();
        let (values, more) = page.map(|page| (page.values, page.more)).unwrap_or_default();
        for value in &values {
            objects.value(&value.path, &value.value)?;
        }
        match values.last() {
            Some(last) if more => from = Bound::Behind(last.path.clone()),
            _ => return Ok(()),
        }
    }
}

async fn queued(
    lake: &Lake,
    context: &BranchContext,
    objects: &Objects,
) -> Result<(Vec<RunRef>, Vec<CommitId>)> {
    let mut runs: BTreeMap<RunId, RunRef> = BTreeMap::new();
    let mut commits = Vec::new();
    for page in 0..QUEUE_PAGES_MAX {
        let elements = context.redis.queue_from_end(page * QUEUE_PAGE_MAX).await?;
        if elements.is_empty() {
            break;
        }
        for element in &elements {
            // An element that cannot be read will fail; it brings nothing into the log.
            let op = match QueuedOp::decode(element).map(|queued| queued.body) {
                Ok(Body::Op(op)) => op,
                Ok(Body::Newer(version)) => return Err(newer(context, version)),
                Ok(Body::Damaged(_)) | Err(_) => continue,
            };
            let Ok(named) = op.named() else { continue };
            runs.extend(named.runs.into_iter().map(|run| (run.id, run)));
            if let Some(inline) = &named.inline {
                objects.inline(inline)?;
            }
            for commit in named.commits {
                if !commits.contains(&commit) && is_there(lake, &commit).await? {
                    commits.push(commit);
                }
            }
        }
        if runs.len().max(commits.len()) > RUNS_MAX {
            return Err(Error::unavailable(format!(
                "ops come to branch '{}' faster than they can be looked at: run it again at a calmer time",
                context.name
            )));
        }
    }
    Ok((runs.into_values().collect(), commits))
}

/// Whether a commit that an op names is there; if not, the op will fail.
async fn is_there(lake: &Lake, id: &CommitId) -> Result<bool> {
    match lake.commit(id).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

fn newer(context: &BranchContext, version: u8) -> Error {
    Error::unavailable(format!(
        "an op of version {version} waits on branch '{}', and this program cannot tell what it names: use a newer program",
        context.name
    ))
}
