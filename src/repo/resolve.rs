//! Conflicts of a merge that who asks for it resolves by knowledge of his own: what two sides made of one path is
//! put together, where they can be.
//!
//! It happens before the merge is queued, and holds as long as the branch has those paths as they were looked at.
//! Where it has not, in its turn, the merge is a conflict, and is worked out again from there.

use std::fmt::Debug;

use futures::future::BoxFuture;

use crate::commit::merge::settle::{Conflicts, Resolved};
use crate::model::conflict::ConflictPath;
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::ids::OpId;
use crate::model::outcome::Outcome;

/// Conflicts of one merge that may be resolved, at most.
pub const RESOLVED_MAX: usize = 100;

/// How often a merge is worked out again because others changed what was resolved, at most.
pub(super) const ROUNDS_MAX: u32 = 64;

/// Puts together what two sides made of paths.
pub trait Resolve: Debug + Send + Sync {
    /// What each of these paths is to name; none where one of them cannot be resolved. It may be called again, with
    /// other conflicts, when the branch has moved on.
    fn resolve<'a>(
        &'a self,
        conflicts: &'a [ConflictPath],
    ) -> BoxFuture<'a, Result<Option<Vec<Entry>>>>;

    /// Whether each of these could be resolved, without doing anything for it.
    fn could<'a>(&'a self, conflicts: &'a [ConflictPath]) -> BoxFuture<'a, Result<Vec<bool>>>;
}

/// What conflicts are resolved by, if all of them are.
pub(super) async fn resolved(by: &dyn Resolve, conflicts: &Conflicts) -> Result<Option<Resolved>> {
    let Conflicts { paths, total } = conflicts;
    if paths.len() > RESOLVED_MAX || paths.len() as u64 != *total {
        return Ok(None);
    }
    let entries = by.resolve(paths).await?;
    let paths = paths.iter().map(|conflict| conflict.path.clone());
    Ok(entries.map(|entries| paths.zip(entries).collect()))
}

/// Takes those out of conflicts that could be resolved, and says how many they are.
pub(super) async fn without_resolvable(by: &dyn Resolve, conflicts: &mut Conflicts) -> Result<u64> {
    if conflicts.paths.len() > RESOLVED_MAX {
        return Ok(0);
    }
    let mut could = by.could(&conflicts.paths).await?.into_iter();
    conflicts.paths.retain(|_| !could.next().unwrap_or(false));
    let left = conflicts.paths.len() as u64;
    let resolvable = conflicts.total.saturating_sub(left);
    conflicts.total = left;
    Ok(resolvable)
}

/// The op of a round of a merge: each is one of its own, and the same when the merge is asked for again.
pub(super) fn op_of_round(first: OpId, round: u32) -> OpId {
    match round {
        0 => first,
        _ => OpId::of_bytes(format!("{first} {round}").as_bytes()),
    }
}

/// Whether an op was a conflict in its turn: others may have changed what it had resolved.
pub(super) fn is_outrun(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Conflict { ticket: Some(_), .. })
}

/// What a merge comes to whose last round, `last`, was not queued: with the ticket that an earlier one ended with,
/// and the conflicts that there are by now.
pub(super) fn with_ticket_of(earlier: Option<Outcome>, last: Outcome) -> Outcome {
    match (earlier, last) {
        (
            Some(Outcome::Conflict { ticket, details, .. }),
            Outcome::Conflict { ticket: None, paths, total, .. },
        ) => Outcome::Conflict { ticket, paths, total, details },
        (_, last) => last,
    }
}
