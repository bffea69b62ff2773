//! The one answer to "this Redis does not have it": absent, another life of the name, behind the
//! log, lost in between.
//!
//! Whoever asks something of a branch asks through [`present`] (by name) or [`present_in`] (of one
//! incarnation); what must not wait for the log, because it does not rest on what Redis has, goes
//! through [`accepted`] and [`accepted_in`]. They ask, and where the answer is none, or cannot be
//! believed, bring Redis up to the log, see what the name stands for now, and ask again. What comes
//! next is decided in [`next_step`](super::next_step), from what is known and nothing else; here are
//! the effects.
//!
//! # Every retry in the program
//!
//! | who repeats what | how often, how long | why that is safe | in the end |
//! |---|---|---|---|
//! | `coord/lanes.rs`: a call to Redis that failed | for 5 s, pauses of 5 to 250 ms | scripts recognise what they did: by op id, by the mark of a staging call, by `done` | `unavailable`, as an outage if it is one |
//! | `coord/lanes.rs`: a script that the server lacks, with its text | once a call | it was not run | the answer to the second |
//! | `coord/connect/routed.rs`: a call at the server that has the key already, while a slot moves | once a call | it was not carried out | the answer to the second |
//! | `coord/connect/dial.rs`: Sentinels, or servers of a cluster, are asked all at once, and by one task for all | once a connection | reads | `unavailable`, an outage |
//! | **here**: a question to a branch that Redis does not have, has as ended, or may be behind with | until it was mended [`MENDS_MAX`] times | questions read, or carry the mark that makes them one | `not found` where the name stands for nothing, else `unavailable` |
//! | `coord/restore.rs`: a draft that Redis lost while it was gathered | 3 drafts | a draft has keys of its own | `unavailable` |
//! | `commit/accept/persist.rs`: an op, or what it takes to work it out, while Redis is away | until the caller's deadline, pauses of 20 to 500 ms; once without one | the op id stays; after 3 s the log is asked first | the outage's `unavailable`: nothing is known, submit the same op id again |
//! | `commit/accept/submitting.rs`: a commit of what is staged that found nothing, when a connection was lost meanwhile | once | it goes as one whose staging is lost, decided in its turn | the outcome |
//! | `commit/help/reconcile.rs`: an accepted op that neither Redis nor the log has | at each look that misses it, while somebody here waits | the op id stays, and the log was read first | the outcome; `unavailable` where only another process could submit it again |
//! | `commit/help/helper.rs`: a round that failed | while somebody here waits, pauses of 20 ms to 1 s | a log entry is created if absent, and published by whoever finds it | `still queued` with the cause, told after 4 failures of a kind that lasts |
//! | `commit/help/helper.rs`: the wait for the holder of the turn | for 30 s without progress, then a round all the same | the turn is advice | nothing: the op is decided |
//! | `commit/round/run.rs`: a batch that meets damage, once without what is damaged; one that meets what only a newer program reads, by its first op | once a round | nothing was decided | the outcome of each op |
//! | `commit/help/upkeep.rs`: a fold that failed or was not decided | with the next batch; after 32 batches | an exchange for equal content, or nothing | nobody waits for it |
//! | `repo/staging.rs`: a conditional write under which the branch moved | 64 times | nothing was written | `unavailable` |
//! | `repo/protection/mod.rs`: a change of rules that others have changed | 8 times | written on the condition of what was read | `unavailable` |
//! | `repo/events.rs`: a listener's look | without end, pauses of 250 to 500 ms | reads; tickets go on | the end of the branch |
//! | `repo/gc/drain.rs`: a look at a queue that is to empty | until the deadline | each look helps with its front | `unavailable`, nothing was removed |
//! | `objects/open.rs`: a request to a cloud store, by its client | 4 times, 20 s; 30 s for the call | put-if-absent is told apart by its bytes, other writes are of the same bytes | `unavailable` |
//! | `objects/store.rs`: a create that is told "exists" of what is not there | 6 times, pauses from 20 ms on | if absent | `unavailable` |
//! | the sidecar: a change of an object's metadata under which the object was written | 16 times | on the condition of its checksum | `unavailable` |
//! | `onward ingest`: a batch that was refused because a queue is full | without end, as long as the refusal says | nothing was accepted; the op id stays | the outcome |
//!
//! Nobody else repeats anything. Errors say by their kind whether to come back, see
//! [`ErrorKind`](crate::ErrorKind).

use crate::coord::rows::ProducerRows;
use crate::coord::staging::{Stage, StagedPage};
use crate::coord::status::StatusReply;
use crate::coord::submit::SubmitReply;
use crate::coord::view::View;
use crate::coord::{Answer, BranchState, HeadView};
use crate::model::cancel::Cancelled;
use crate::model::error::{Error, Result};

use super::next_step::{AskedBy, Known, Life, MENDS_MAX, Said, Step, Why, next_step};
use super::restore::put_back;
use crate::commit::context::BranchContext;
use crate::commit::log::record::BranchRecord;

/// Whoever knows what a name of a branch stands for.
pub trait Name {
    /// The incarnation that the name stands for, as far as is known. Fails with
    /// [`crate::ErrorKind::NotFound`] where it stands for none.
    fn find(&self) -> impl Future<Output = Result<BranchContext>> + Send;

    /// The incarnation has ended: finishes its removal, so that the name is found anew.
    fn bury(&self, ended: &BranchContext) -> impl Future<Output = Result<()>> + Send;

    /// The incarnation is nowhere in the object store: its repository was deleted. Forgets that the
    /// name was thought to stand for it.
    fn forget(&self, gone: &BranchContext) -> impl Future<Output = Result<()>> + Send;

    /// The error of a name that stands for nothing.
    fn nowhere(&self) -> Error;
}

/// An answer, as far as it shows where the branch stands.
pub trait Shows {
    /// The head, where the answer is about it.
    fn head(&self) -> Option<&HeadView> {
        None
    }

    /// Whether it says that something was done. Asking again would do it again, or find it done; and
    /// what a Redis may lose right after it was done needs no proof that it was not lost right before.
    fn is_effect(&self) -> bool {
        false
    }
}

impl Shows for View {
    fn head(&self) -> Option<&HeadView> {
        Some(&self.head)
    }
}

impl Shows for StagedPage {
    fn head(&self) -> Option<&HeadView> {
        Some(&self.head)
    }
}

impl Shows for Stage {
    fn is_effect(&self) -> bool {
        *self == Self::Written
    }
}

impl Shows for Cancelled {
    fn is_effect(&self) -> bool {
        matches!(self, Self::Marked(_))
    }
}

impl Shows for StatusReply {}
impl Shows for ProducerRows {}
impl Shows for SubmitReply {}
impl Shows for () {}

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

/// What bringing a Redis up to the log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroughtUp {
    /// It knew it all.
    Intact,
    /// It was so many log entries behind.
    Behind(u64),
    /// It did not have the branch.
    Lost,
}

/// Brings Redis up to the log, whether or not there is a reason to doubt it.
pub async fn bring_up(context: &BranchContext) -> Result<BroughtUp> {
    let incarnation = Incarnation(context);
    let mut asking = Asking::begin(&incarnation, AskedBy::Incarnation, true, context.clone());
    asking.known.doubtful = true;
    let nothing = |_| std::future::ready(Ok(Answer::Given(())));
    match asking.until_answered(nothing).await? {
        Answer::Given(()) => Ok(asking.brought_up),
        Answer::Absent | Answer::Ended => Err(incarnation.nowhere()),
    }
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

/// A question under way.
struct Asking<'a, N> {
    name: &'a N,
    context: BranchContext,
    needs_log: bool,
    known: Known,
    /// The head of an answer that shows no commit.
    shown: Option<HeadView>,
    record: Option<BranchRecord>,
    brought_up: BroughtUp,
}

impl<'a, N: Name> Asking<'a, N> {
    fn begin(name: &'a N, asked_by: AskedBy, needs_log: bool, context: BranchContext) -> Self {
        let known = Known {
            asked_by,
            doubtful: false,
            said: Said::Nothing,
            life: Life::Unread,
            mends_left: MENDS_MAX,
        };
        let (shown, record, brought_up) = (None, None, BroughtUp::Intact);
        let mut asking = Self { name, context, needs_log, known, shown, record, brought_up };
        asking.known.doubtful = asking.is_doubtful();
        asking
    }

    /// Takes steps until there is an answer, or none: then the branch has ended.
    async fn until_answered<T: Shows, F: Future<Output = Result<Answer<T>>>>(
        &mut self,
        mut ask: impl FnMut(BranchContext) -> F,
    ) -> Result<Answer<T>> {
        let mut answer = None;
        loop {
            match (next_step(&self.known), answer.take()) {
                (Step::Tell, Some(answer)) => return Ok(Answer::Given(answer)),
                (Step::GiveUp(why), _) => return self.given_up(why),
                (Step::Ask | Step::Tell, _) => {
                    let said = ask(self.context.clone()).await?;
                    answer = self.hear(said);
                }
                // Boxed: these are rare, and their state would make every question as large.
                (step, asked) => {
                    Box::pin(self.take(step)).await?;
                    answer = asked;
                }
            }
        }
    }

    /// Whether what Redis says now has to wait for a comparison with the log.
    fn is_doubtful(&self) -> bool {
        let context = &self.context;
        self.needs_log && !context.contact.is_compared(context.redis.losses())
    }

    /// Takes in what Redis said.
    fn hear<T: Shows>(&mut self, said: Answer<T>) -> Option<T> {
        // A connection may have been lost while it was asked.
        let is_effect = matches!(&said, Answer::Given(answer) if answer.is_effect());
        self.known.doubtful = !is_effect && self.is_doubtful();
        let by_name = self.known.asked_by == AskedBy::Name;
        let shown = match &said {
            Answer::Given(answer) => answer.head(),
            Answer::Absent | Answer::Ended => None,
        };
        self.known.said = match (&said, shown) {
            (Answer::Absent, _) => Said::Absent,
            (Answer::Ended, _) => Said::Ended,
            (_, Some(head)) if by_name && head.state == BranchState::Deleted => Said::Ended,
            (_, Some(head)) if self.needs_log && head.commit.is_none() => {
                self.shown = Some(head.clone());
                Said::NoCommit
            }
            _ => Said::Answer,
        };
        said.given()
    }

    async fn take(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Ask | Step::Tell | Step::GiveUp(_) => Ok(()),
            Step::Compare => self.compare().await,
            Step::Follow => self.follow_shown().await,
            Step::Read => self.read().await,
            Step::Restore => self.restore().await,
            Step::Bury => {
                self.name.bury(&self.context).await?;
                self.find_anew().await
            }
            Step::Forget => {
                self.name.forget(&self.context).await?;
                self.find_anew().await
            }
        }
    }

    fn spend(&mut self, mends: usize) {
        self.known.mends_left = self.known.mends_left.saturating_sub(mends);
    }

    async fn compare(&mut self) -> Result<()> {
        // An answer that cannot be believed was one in vain.
        let in_vain = self.known.said != Said::Nothing;
        self.spend(usize::from(in_vain));
        let losses = self.context.redis.losses();
        self.known.said = match self.context.look(0).await? {
            Answer::Given(view) => self.follow(&view.head).await?,
            Answer::Absent | Answer::Ended => Said::Absent,
        };
        if self.known.said == Said::Nothing {
            self.known.doubtful = false;
            self.context.contact.note(losses);
        }
        Ok(())
    }

    async fn follow_shown(&mut self) -> Result<()> {
        let Some(shown) = self.shown.take() else { return Ok(()) };
        let before = self.brought_up;
        self.known.said = self.follow(&shown).await?;
        if self.known.said == Said::Nothing && self.brought_up == before {
            // The log agrees.
            self.known.said = Said::Answer;
        } else {
            self.spend(1);
        }
        Ok(())
    }

    /// Brings Redis up to the log from the head that it shows.
    async fn follow(&mut self, shown: &HeadView) -> Result<Said> {
        let Answer::Given(behind) = self.context.follow_from(shown).await? else {
            return Ok(Said::Absent);
        };
        self.brought_up = match self.brought_up {
            BroughtUp::Intact if behind > 0 => BroughtUp::Behind(behind),
            BroughtUp::Behind(before) => BroughtUp::Behind(before + behind),
            same => same,
        };
        Ok(Said::Nothing)
    }

    async fn read(&mut self) -> Result<()> {
        let (lake, name, uid) = (&self.context.lake, &self.context.name, self.context.uid);
        let found = BranchRecord::find_uid(lake, name, uid).await?;
        self.known.life = match &found {
            None => Life::Missing,
            Some((_, true)) => Life::Over,
            Some((_, false)) => Life::Newest,
        };
        self.record = found.map(|(record, _)| record);
        Ok(())
    }

    /// Puts the branch into Redis. A round that was under way when Redis lost it may decide while
    /// the log is being read, and of two who put it back the one that knew less may come first. So
    /// the log is followed once more when the branch is there.
    async fn restore(&mut self) -> Result<()> {
        let Some(record) = &self.record else { return self.read().await };
        put_back(&self.context, record).await?;
        self.brought_up = BroughtUp::Lost;
        self.spend(1);
        self.known.said = Said::Nothing;
        self.known.doubtful = true;
        Ok(())
    }

    async fn find_anew(&mut self) -> Result<()> {
        self.context = self.name.find().await?;
        self.record = None;
        self.known = Known {
            said: Said::Nothing,
            life: Life::Unread,
            doubtful: self.is_doubtful(),
            mends_left: self.known.mends_left.saturating_sub(1),
            ..self.known
        };
        Ok(())
    }

    fn given_up<T>(&self, why: Why) -> Result<Answer<T>> {
        let branch = &self.context.name;
        match why {
            Why::Nowhere => Ok(Answer::Ended),
            Why::Lost => Err(Error::unavailable(format!(
                "Redis lost branch '{branch}' {MENDS_MAX} times in a row: check its memory limit and eviction policy"
            ))),
            Why::Unsteady => Err(Error::unavailable(format!(
                "connections to Redis were lost again and again while branch '{branch}' was asked: check the network and the server"
            ))),
        }
    }
}
