//! Settling changes: the strategy behind the three-way rule, and what conflicts come to.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::model::conflict::{ConflictPath, Strategy};
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;
use crate::tree::rule::same;
use crate::tree::{ChangeSetWriter, Decision, PathSpan};

use super::three_way::Ruled;
use crate::commit::op::verdict::{CONFLICTS_MAX, Verdict};

/// What paths that are in conflict name in the end, found by who asks for the merge: in place of both sides.
pub type Resolved = BTreeMap<ObjectPath, Entry>;

/// Settles the changes of one op.
pub(in crate::commit) struct Settling<'r> {
    strategy: Strategy,
    resolved: Option<&'r Resolved>,
    /// What conflicting paths may still take, in bytes.
    room: &'r mut usize,
    conflicts: Conflicts,
}

impl<'r> Settling<'r> {
    /// No change yet. Conflicting paths are told with their details as long as there is `room`,
    /// which it takes from.
    pub(in crate::commit) fn new(strategy: Strategy, room: &'r mut usize) -> Self {
        Self { strategy, resolved: None, room, conflicts: Conflicts::default() }
    }

    /// With what some conflicts are resolved by.
    pub(super) fn with(self, resolved: &'r Resolved) -> Self {
        Self { resolved: Some(resolved), ..self }
    }

    /// Whether the branch takes the source's side of a change; `None` for a conflict, which is noted.
    pub(in crate::commit) fn settle(&mut self, ruled: Ruled) -> Option<(Ruled, bool)> {
        match settled(ruled.decision, self.strategy) {
            Decision::TakeSource => Some((ruled, true)),
            Decision::KeepDest => Some((ruled, false)),
            Decision::Conflict => match self.resolved.and_then(|all| all.get(&ruled.path)) {
                Some(entry) => {
                    let survives = !same(Some(entry), ruled.dest.as_ref());
                    Some((Ruled { source: Some(entry.clone()), ..ruled }, survives))
                }
                None => {
                    self.conflict(ruled.into_conflict());
                    None
                }
            },
        }
    }

    /// What happens to paths that both sides changed.
    pub(super) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Notes a conflict.
    pub(in crate::commit) fn conflict(&mut self, conflict: ConflictPath) {
        self.conflicts.add(self.room, conflict);
    }

    /// What has come of it: the conflicts.
    pub(in crate::commit) fn conflicts(self) -> Conflicts {
        self.conflicts
    }
}

/// What a strategy makes of a decision.
pub(super) fn settled(decision: Decision, strategy: Strategy) -> Decision {
    match (decision, strategy) {
        (Decision::Conflict, Strategy::SourceWins) => Decision::TakeSource,
        (Decision::Conflict, Strategy::DestWins) => Decision::KeepDest,
        (decision, _) => decision,
    }
}

/// Conflicting paths of one op.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// The first of them, at most [`CONFLICTS_MAX`].
    pub paths: Vec<ConflictPath>,
    /// How many there are.
    pub total: u64,
}

impl Conflicts {
    fn add(&mut self, room: &mut usize, conflict: ConflictPath) {
        self.total += 1;
        let left = room.checked_sub(conflict.bytes());
        if let (true, Some(left)) = (self.paths.len() < CONFLICTS_MAX, left) {
            *room = left;
            self.paths.push(conflict);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Nothing, or what an op with these conflicts ends as.
    pub(in crate::commit) fn none(self) -> Result<(), Verdict> {
        match self.total {
            0 => Ok(()),
            total => Err(Verdict::Conflict { paths: self.paths, total }),
        }
    }
}

/// Where the changes of a merge go.
pub(in crate::commit) trait Receive {
    /// Takes one, in path order. `survives` says whether the branch takes the source's side.
    fn receive(&mut self, ruled: Ruled, survives: bool) -> impl Future<Output = Result<()>> + Send;
}

/// Nowhere, for who wants the numbers only.
impl Receive for () {
    async fn receive(&mut self, _: Ruled, _: bool) -> Result<()> {
        Ok(())
    }
}

/// Those that survive, as records of op 0.
impl Receive for ChangeSetWriter<'_> {
    async fn receive(&mut self, ruled: Ruled, survives: bool) -> Result<()> {
        if survives { self.push(ruled.into_record(0)).await } else { Ok(()) }
    }
}

/// What a merge came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many changes there are.
    pub changes: u64,
    /// How many of them the branch takes.
    pub surviving: u64,
    /// First and last path of the changes.
    pub span: Option<PathSpan>,
    /// Those that are conflicts.
    pub conflicts: Conflicts,
}

/// Settles all the changes of a merge, and hands them on until the first conflict: nothing of the
/// merge will be used then.
pub(in crate::commit) async fn settle_all(
    mut all: BoxStream<'_, Result<Ruled>>,
    mut settling: Settling<'_>,
    receiver: &mut impl Receive,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut first: Option<ObjectPath> = None;
    let mut last: Option<ObjectPath> = None;
    while let Some(ruled) = all.try_next().await? {
        tally.changes += 1;
        if first.is_none() {
            first = Some(ruled.path.clone());
        }
        last = Some(ruled.path.clone());
        let Some((ruled, survives)) = settling.settle(ruled) else { continue };
        tally.surviving += u64::from(survives);
        if settling.conflicts.is_empty() {
            receiver.receive(ruled, survives).await?;
        }
    }
    tally.span = first.zip(last);
    tally.conflicts = settling.conflicts();
    Ok(tally)
}
