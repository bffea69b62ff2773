//! The one answer to "this Redis does not have it": absent, another life of the name, behind the
//! log, lost in between.
//!
//! Whoever asks something of a branch asks through [`present`] (by name) or [`present_in`] (of one
//! incarnation); what must not wait for the log, because it does not rest on what Redis has, goes
//! through [`accepted`] and [`accepted_in`]. They ask, and where the answer is none, or cannot be
//! believed, bring Redis up to the log, see what the name stands for now, and ask again. What comes
//! next is decided in `next_step.rs`, from what is known and nothing else; `asking.rs` has the
//! effects.
//!
//! # Every retry in the program
//!
//! | who repeats what | how often, how long | why that is safe | in the end |
//! |---|---|---|---|
//! | `coord/lanes.rs`: a call to Redis that failed | for 5 s, pauses of 5 to 250 ms | scripts recognise what they did: by op id, by the mark of a staging call, by `done` | `unavailable`, as an outage if it is one |
//! | `coord/lanes.rs`: a script that the server lacks, with its text | once a call | it was not run | the answer to the second |
//! | `coord/connect/routed.rs`: a call at the server that has the key already, while a slot moves | once a call | it was not carried out | the answer to the second |
//! | `coord/connect/dial.rs`: Sentinels, or servers of a cluster, are asked all at once, and by one task for all | once a connection | reads | `unavailable`, an outage |
//! | **here**: a question to a branch that Redis does not have, has as ended, or may be behind with | until that was mended 3 times | questions read, or carry the mark that makes them one | `not found` where the name stands for nothing, else `unavailable` |
//! | `coord/restore.rs`: a draft that Redis lost while it was gathered | 3 drafts | a draft has keys of its own | `unavailable` |
//! | `commit/accept/persist.rs`: an op, or what it takes to work it out, while Redis is away | until the caller's deadline, pauses of 20 to 500 ms; once without one | the op id stays; after 3 s the log is asked first | the outage's `unavailable`: nothing is known, submit the same op id again |
//! | `repo/ticket.rs`: an op that a Redis gone back took for a branch that was over before, at the branch that its name stands for | once | the one that is over decides nothing | the outcome; `not found` where the name stands for nothing |
//! | `commit/log/record.rs`: a change of a repository's record that others have changed | 8 times | written on the condition of what was read, and a state only goes on | `unavailable` |
//! | `commit/accept/submitting.rs`: a commit of what is staged that found nothing, when a connection was lost meanwhile | once | it goes as one that takes nothing, decided in its turn | the outcome |
//! | `commit/accept/submitting.rs`: an op that may be a repetition, where Redis has forgotten which ops were decided | once, with what the log says put back | the log was read | the answer to the second |
//! | `commit/accept/submitting.rs`: a commit of what is staged that found as many sealed areas as may be | 8 times, each with two areas made one | nothing was accepted | `too many sealed` |
//! | `commit/help/reconcile.rs`: an accepted op that neither Redis nor the log has | at each look that misses it, while somebody here waits | the op id stays, and the log was read first | the outcome; `unavailable` where only another process could submit it again |
//! | `commit/help/helper.rs`: a round that failed | while somebody here waits and the branch is there, pauses of 20 ms to 1 s | a log entry is created if absent, and published by whoever finds it | `still queued` with the cause, told after 4 failures of a kind that lasts |
//! | `commit/help/helper.rs`: the wait for the holder of the turn | for 30 s without progress, then a round all the same | the turn is advice | nothing: the op is decided |
//! | `commit/round/run.rs`: a batch that meets damage, once without what is damaged; one that meets what only a newer program reads, by its first op | once a round | nothing was decided | the outcome of each op |
//! | `commit/help/upkeep.rs`: a fold that failed or was not decided | with the next batch; after 32 batches | an exchange for equal content, or nothing | nobody waits for it |
//! | `repo/staging.rs`: a conditional write, or a removal, under which the branch moved | 64 times | nothing was written | `unavailable`; of removals alone, tombstones as they are |
//! | `repo/protection/mod.rs`: a change of rules that others have changed | 8 times | written on the condition of what was read | `unavailable` |
//! | `repo/events.rs`: a listener's look | without end, pauses of 250 to 500 ms | reads; tickets go on | the end of the branch |
//! | `repo/gc/drain.rs`: a look at a queue that is to empty | until the deadline | each look helps with its front | `unavailable`, nothing was removed |
//! | `objects/open.rs`: a request to a cloud store, by its client | 4 times, 20 s; 30 s for the call | put-if-absent is told apart by its bytes, other writes are of the same bytes | `unavailable` |
//! | `objects/store.rs`: a create that is told "exists" of what is not there | 6 times, pauses from 20 ms on | if absent | `unavailable` |
//! | `objects/hedge.rs`: a create of a log entry at a cloud store that takes three times as long as they do | once, beside itself; one in 16 | if absent, and of the same bytes | what is answered first |
//! | the sidecar: a change of an object's metadata under which the object was written | 16 times | on the condition of its checksum | `unavailable` |
//! | `onward ingest`: a batch that was refused because a queue is full | without end, as long as the refusal says | nothing was accepted; the op id stays | the outcome |
//!
//! Nobody else repeats anything. Errors say by their kind whether to come back, see
//! [`ErrorKind`](crate::ErrorKind).

use crate::coord::Answer;
use crate::model::error::{Error, Result};

use super::asking::Asking;
use super::next_step::AskedBy;
use crate::commit::context::BranchContext;

pub use super::asking::{BroughtUp, is_over};
pub use super::question::{Name, Shows};

/// Asks the branch that a name stands for, whose state Redis answers from. Returns the incarnation
/// that answered, too.
///
/// `ask` can be called several times, and must be one question however often it is.
pub async fn present<T: Shows, F: Future<Output = Result<Answer<T>>>>(
    name: &impl Name,
    ask: impl FnMut(BranchContext) -> F,
) -> Result<(BranchContext, T)> {
    by_name(name, true, ask).await
}

/// As [`present`], for what may be put into a Redis that is behind the log: that an op is accepted,
/// or was before, or never will be is true of any Redis, and what it comes to the log decides.
pub async fn accepted<T: Shows, F: Future<Output = Result<Answer<T>>>>(
    name: &impl Name,
    ask: impl FnMut(BranchContext) -> F,
) -> Result<(BranchContext, T)> {
    by_name(name, false, ask).await
}

async fn by_name<T: Shows, F: Future<Output = Result<Answer<T>>>>(
    name: &impl Name,
    needs_log: bool,
    ask: impl FnMut(BranchContext) -> F,
) -> Result<(BranchContext, T)> {
    let mut asking = Asking::begin(name, AskedBy::Name, needs_log, name.find().await?);
    match asking.until_answered(ask).await? {
        Answer::Given(answer) => Ok((asking.context, answer)),
        Answer::Absent | Answer::Ended => Err(name.nowhere()),
    }
}

/// As [`present`], of one incarnation; one that has ended answers, too.
pub async fn present_in<T: Shows, F: Future<Output = Result<Answer<T>>>>(
    context: &BranchContext,
    ask: impl FnMut(BranchContext) -> F,
) -> Result<T> {
    let incarnation = Incarnation(context);
    let mut asking = Asking::begin(&incarnation, AskedBy::Incarnation, true, context.clone());
    asking.until_answered(ask).await?.given().ok_or_else(|| incarnation.nowhere())
}

/// As [`accepted`], of one incarnation: it has ended where it is nowhere in the object store, either.
pub async fn accepted_in<T: Shows, F: Future<Output = Result<Answer<T>>>>(
    context: &BranchContext,
    ask: impl FnMut(BranchContext) -> F,
) -> Result<Answer<T>> {
    let incarnation = Incarnation(context);
    let mut asking = Asking::begin(&incarnation, AskedBy::Incarnation, false, context.clone());
    asking.until_answered(ask).await
}

/// Brings Redis up to the log, whether or not there is a reason to doubt it. `None` where the
/// incarnation is nowhere in the object store: its repository was deleted.
pub async fn bring_up_if_there(context: &BranchContext) -> Result<Option<BroughtUp>> {
    let incarnation = Incarnation(context);
    let mut asking = Asking::begin(&incarnation, AskedBy::Incarnation, true, context.clone());
    asking.known.doubtful = true;
    let nothing = |_| std::future::ready(Ok(Answer::Given(())));
    match asking.until_answered(nothing).await? {
        Answer::Given(()) => Ok(Some(asking.brought_up)),
        Answer::Absent | Answer::Ended => Ok(None),
    }
}

/// As [`bring_up_if_there`], of an incarnation that must be there.
pub async fn bring_up(context: &BranchContext) -> Result<BroughtUp> {
    bring_up_if_there(context).await?.ok_or_else(|| Incarnation(context).nowhere())
}

/// An incarnation stands for itself.
struct Incarnation<'a>(&'a BranchContext);

impl Name for Incarnation<'_> {
    async fn find(&self) -> Result<BranchContext> {
        Ok(self.0.clone())
    }

    async fn bury(&self, _: &BranchContext) -> Result<()> {
        Ok(())
    }

    async fn forget(&self, _: &BranchContext) -> Result<()> {
        Ok(())
    }

    fn nowhere(&self) -> Error {
        Error::not_found(format!(
            "branch '{}' ({}) of repository '{}' is not in the object store",
            self.0.name,
            self.0.uid,
            self.0.lake.repo()
        ))
    }
}
