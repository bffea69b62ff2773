//! The log of a ref: its commits, newest first, all or those that touched some paths.
//!
//! A log entry holds many commits and is read once: the walk goes from parent to parent inside it
//! without asking for it again.

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::commit::log::entry::LogEntry;
use crate::commit::log::lake::Lake;
use crate::model::address::RefExpr;
use crate::model::commit::Commit;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::model::path::ObjectPath;

use super::handles::Repository;
use super::history::CommitInfo;
use super::touching::{Interest, Touching};

/// Ids of commits that were met are looked through for what can be forgotten when there are so
/// many, and later when there are twice as many as could not be forgotten.
const SEEN_KEPT: usize = 1024;

/// Paths and prefixes of one request, at most.
pub const PATHS_MAX: usize = 1000;

/// Which commits of a history are wanted. The default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Only first parents: the history of the branch itself, without what was merged into it.
    pub first_parent: bool,
    /// Only commits created at this moment or later, milliseconds since the Unix epoch. The walk
    /// ends where all commits at hand are older; one with a wrong clock behind them is not found.
    pub since_ms: Option<i64>,
    /// Only commits that touched one of these objects, or a path below one of `prefixes`: its
    /// content there differs from that of the commit's first parent, by
    /// [`crate::Entry::same_identity`]. A merge is not told, as every path of it is as one of its
    /// parents has it, and the commits that made it so are; with `first_parent` it is.
    pub objects: Vec<ObjectPath>,
    /// See `objects`. Together at most [`PATHS_MAX`].
    pub prefixes: Vec<String>,
    /// The walk ends with this commit, which is still part of it.
    pub stop_at: Option<CommitId>,
    /// Only commits behind this one, which need not be one of those that are wanted; none where the
    /// walk does not come by it.
    pub after: Option<CommitId>,
}

/// A log entry at hand, with what of it is wanted.
pub(super) struct Opened {
    pub(super) entry: Arc<LogEntry>,
    /// `None`: every commit.
    touching: Option<Touching>,
}

/// A commit at hand. Newest first: by creation time, then generation, then id.
struct Next {
    created_ms: i64,
    generation: u64,
    id: CommitId,
    opened: Arc<Opened>,
}

impl Next {
    fn key(&self) -> (i64, u64, CommitId) {
        (self.created_ms, self.generation, self.id)
    }

    fn commit(&self) -> Result<&Commit> {
        self.opened.entry.commit(&self.id)
    }

    fn is_merge(&self) -> Result<bool> {
        Ok(self.commit()?.parents.len() > 1)
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Next {}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Memory: the commits at which lines of history are at hand, each with its log entry, and the ids
/// of those that could be met again.
struct Walk {
    lake: Lake,
    request: LogRequest,
    interest: Option<Interest>,
    /// To be opened before the next commit is given out: nothing is read before it is asked for.
    ahead: Vec<CommitId>,
    /// The entry of the commit given out last.
    last: Option<Arc<Opened>>,
    heap: BinaryHeap<Next>,
    /// By generation. A parent has a smaller one than its child, so those above all that is at
    /// hand are not met again.
    seen: BTreeSet<(u64, CommitId)>,
    seen_max: usize,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<CommitInfo>> {
        loop {
            for id in std::mem::take(&mut self.ahead) {
                self.visit(id).await?;
            }
            let Some(next) = self.heap.pop() else { return Ok(None) };
            if self.request.since_ms.is_some_and(|since| next.created_ms < since) {
                self.heap.clear();
                return Ok(None);
            }
            self.pass(&next)?;
            if self.request.after.is_some() {
                self.request.after.take_if(|after| *after == next.id);
                continue;
            }
            if self.interest.is_some() && !self.request.first_parent && next.is_merge()? {
                continue;
            }
            let wanted = match (&self.interest, &next.opened.touching) {
                (Some(interest), Some(touching)) => {
                    touching.is_touched(&self.lake, interest, &next.opened.entry, &next.id).await?
                }
                _ => true,
            };
            if wanted {
                return Ok(Some(CommitInfo { id: next.id, commit: next.commit()?.clone() }));
            }
        }
    }

    /// Notes where to go on behind a commit.
    fn pass(&mut self, next: &Next) -> Result<()> {
        if self.request.stop_at == Some(next.id) {
            self.heap.clear();
        } else {
            let parents = &next.commit()?.parents;
            let count = if self.request.first_parent { 1 } else { parents.len() };
            self.ahead = parents.iter().take(count).copied().collect();
        }
        self.last = Some(Arc::clone(&next.opened));
        if self.seen.len() > self.seen_max {
            let at_hand = self.heap.iter().map(|next| next.generation).max().unwrap_or(0);
            let top = at_hand.max(next.generation);
            self.seen.retain(|(generation, _)| *generation < top);
            self.seen_max = SEEN_KEPT.max(self.seen.len() * 2);
        }
        Ok(())
    }

    async fn visit(&mut self, id: CommitId) -> Result<()> {
        let opened = self.open(&id).await?;
        let commit = opened.entry.commit(&id)?;
        let (created_ms, generation) = (commit.created_ms, commit.generation);
        if self.seen.insert((generation, id)) {
            self.heap.push(Next { created_ms, generation, id, opened });
        }
        Ok(())
    }

    /// The log entry of a commit: one at hand, or read.
    async fn open(&self, id: &CommitId) -> Result<Arc<Opened>> {
        let holds = |opened: &&Arc<Opened>| {
            opened.entry.uid == id.uid() && opened.entry.first == id.first_ticket()
        };
        let at_hand = self.last.iter().chain(self.heap.iter().map(|next| &next.opened)).find(holds);
        if let Some(opened) = at_hand {
            return Ok(Arc::clone(opened));
        }
        let entry = self.lake.entry_of(id).await?;
        let touching = match &self.interest {
            None => None,
            Some(interest) => Some(Touching::of(&self.lake, interest, &entry).await?),
        };
        Ok(Arc::new(Opened { entry, touching }))
    }
}

impl Repository {
    /// The commits that `reference` leads to and `request` asks for, newest first. Reads as far
    /// as it is polled.
    ///
    /// Costs one read for each log entry on the way, which has up to 1,024 commits. With objects or
    /// prefixes, a log entry without a record about them costs nothing more; a commit with one costs
    /// lookups of what was there before.
    pub async fn log(
        &self,
        reference: &RefExpr,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<CommitInfo>>> {
        let asked = request.objects.len() + request.prefixes.len();
        if asked > PATHS_MAX {
            return Err(Error::invalid(format!(
                "a log of {asked} paths is over the limit of {PATHS_MAX}: ask for a prefix of them, or in parts"
            )));
        }
        let start = self.commit_of(reference).await?;
        self.log_from(start.into_iter().collect(), request).await
    }

    /// As [`Repository::log`], of all that these commits lead to. A page of a log so goes on where the one
    /// before it ended, by the commits that were next there, and what is in front of them is not read again.
    #[doc(hidden)]
    pub async fn log_from(
        &self,
        starts: Vec<CommitId>,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<CommitInfo>>> {
        let walk = Walk {
            lake: self.lake().await?,
            interest: Interest::of(&request.objects, &request.prefixes),
            request: request.clone(),
            ahead: starts,
            last: None,
            heap: BinaryHeap::new(),
            seen: BTreeSet::new(),
            seen_max: SEEN_KEPT,
        };
        Ok(stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|info| (info, walk)))
        })
        .boxed())
    }
}
