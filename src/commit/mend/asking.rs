//! A question under way: the effects of the steps that [`next_step`](super::next_step) chooses.

use crate::coord::{Answer, BranchState, HeadView};
use crate::model::error::{Error, Result};

use super::next_step::{AskedBy, Known, Life, MENDS_MAX, Said, Step, Why, next_step};
use super::question::{Name, Shows};
use super::restore::put_back;
use crate::commit::context::BranchContext;
use crate::commit::log::record::{BranchRecord, RepoRecord};

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

/// A question under way.
pub(super) struct Asking<'a, N> {
    name: &'a N,
    /// The incarnation that is asked.
    pub(super) context: BranchContext,
    /// Whether the answer rests on what Redis has, which the log has to agree to.
    needs_log: bool,
    pub(super) known: Known,
    /// The head of an answer that shows no commit.
    shown: Option<HeadView>,
    record: Option<BranchRecord>,
    pub(super) brought_up: BroughtUp,
}

impl<'a, N: Name> Asking<'a, N> {
    pub(super) fn begin(
        name: &'a N,
        asked_by: AskedBy,
        needs_log: bool,
        context: BranchContext,
    ) -> Self {
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
    pub(super) async fn until_answered<T: Shows, F: Future<Output = Result<Answer<T>>>>(
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
            // That it has ended is never taken back, and nothing comes behind it.
            Answer::Given(view) if view.head.state == BranchState::Deleted => Said::Nothing,
            // A Redis that went back has branches that have lost their logs since.
            Answer::Given(_) if !repository_counts(&self.context).await? => {
                self.known.life = Life::Missing;
                Said::Absent
            }
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
        // While it is being removed, part of it is still there.
        let found = match repository_counts(&self.context).await? {
            true => BranchRecord::find_uid(lake, name, uid).await?,
            false => None,
        };
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
        match put_back(&self.context, record).await {
            // It was ended because nobody can read its log: there is no more to be known of it.
            Err(error) if error.is_damage() && self.known.life == Life::Over => {
                self.known.said = Said::Ended;
                return Ok(());
            }
            put_back => put_back?,
        }
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

/// Whether what the branch's repository has in the object store still counts.
async fn repository_counts(context: &BranchContext) -> Result<bool> {
    let record = RepoRecord::of(context.lake.objects(), context.lake.life()).await?;
    Ok(record.is_some_and(|record| record.state.counts()))
}

/// Whether an incarnation is over by the object store alone: it carries the mark of its end, there is
/// a newer one, or its repository was deleted.
pub async fn is_over(context: &BranchContext) -> Result<bool> {
    if !repository_counts(context).await? {
        return Ok(true);
    }
    let found = BranchRecord::find_uid(&context.lake, &context.name, context.uid).await?;
    Ok(found.is_none_or(|(_, over)| over))
}
