//! Sinks: events of branches that leave for others, each at least once and in the order of its branch.
//!
//! This room keeps which sinks there are ([`Sink`]) and how far each has come ([`Progress`]), and reads what comes
//! next from the logs ([`Follower`]), which are the truth. How an event is sent, by whom and how often again, is
//! for the sidecar.

pub mod definition;
pub mod event;
pub mod follow;
pub mod progress;
mod survey;

use std::collections::HashSet;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::commit::log::lake::Lake;
use crate::commit::log::record::BranchRecord;
use crate::coord::queue::decided;
use crate::model::error::{Error, ErrorKind, Result, quoted};
use crate::model::ids::{BranchUid, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};

use super::handles::{Onward, Repository};

pub use definition::{EventKind, Sink, Target};
pub use event::{BranchEvent, Happened};
pub use follow::{Follower, Next};
pub use progress::{Dead, Followed, LeftOut, Progress};

use definition::Branches;
use follow::place_of;
use progress::{FOLLOWED_MAX, ProgressRecord, too_many};

/// Sinks of a repository, at most.
pub const SINKS_MAX: usize = 100;

/// Branches looked at together.
const LOOKS: usize = 16;

/// How often a change of a sink's progress is made again because it was written meanwhile, at most.
const CHANGES_MAX: usize = 8;

/// Where a new sink begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// With what is decided from now on.
    #[default]
    Now,
    /// With the first commit of every branch that is there.
    Start,
    /// Behind this ticket, on every branch that is there; on those that have not come so far, with what is
    /// decided from now on.
    After(Ticket),
}

#[doc(hidden)]
impl Onward {
    /// The names of all repositories that there are, or were, for who looks for their sinks. Costs a listing.
    pub async fn repos_with_sinks(&self) -> Result<Vec<RepoName>> {
        self.repo_names().await
    }
}

#[doc(hidden)]
impl Repository {
    /// The life that the repository is in, and its sinks as they are now. Costs two reads.
    pub async fn sinks(&self) -> Result<(RepoLife, Vec<Sink>)> {
        let (life, _) = self.live().await?;
        Ok((life, self.rules::<definition::Sinks>().await?))
    }

    /// One of them.
    pub async fn sink(&self, id: &str) -> Result<(RepoLife, Sink)> {
        let (life, sinks) = self.sinks().await?;
        match sinks.into_iter().find(|sink| sink.id == id) {
            Some(sink) => Ok((life, sink)),
            None => Err(self.no_sink(id)),
        }
    }

    fn no_sink(&self, id: &str) -> Error {
        let repo = self.display();
        Error::not_found(format!("there is no sink '{}' in repository '{repo}'", quoted(id)))
            .at_the_prompt(format!("`onward sink list {repo}` shows what there is"))
    }

    /// Adds a sink. What is decided on its branches after this returns is delivered to it. Returns the branches whose
    /// records nobody can read now: what is decided there is delivered once they can be read, or more than that.
    pub async fn add_sink(&self, sink: Sink, from: StartAt) -> Result<Vec<BranchName>> {
        let taken = |sinks: &[Sink]| match sinks.iter().any(|there| there.id == sink.id) {
            true => Err(Error::conflict(format!(
                "sink '{}' exists in repository '{}': remove it first or choose another id",
                sink.id,
                self.display()
            ))),
            false => Ok(()),
        };
        let (life, sinks) = self.sinks().await?;
        taken(&sinks)?;
        // First, so that who finds the sink knows where it begins.
        let progress = self.first_places(&life, &sink, from).await?;
        let mut record = self.progress_record(&life, &sink);
        record.write(&progress).await?;
        let added = self.change_sinks(|mut sinks| {
            taken(&sinks)?;
            if sinks.len() >= SINKS_MAX {
                return Err(Error::invalid(format!(
                    "a repository has {SINKS_MAX} sinks at most: remove one, or use one for more branches"
                )));
            }
            sinks.push(sink.clone());
            Ok(sinks)
        });
        if let Err(error) = added.await {
            // Under a name of its own: whoever has the id keeps his.
            record.remove().await?;
            return Err(error);
        }
        Ok(progress.left_out.into_iter().map(|left| left.name).collect())
    }

    /// Removes a sink, and how far it had come.
    pub async fn remove_sink(&self, id: &str) -> Result<Sink> {
        let (life, sink) = self.sink(id).await?;
        self.change_sinks(|mut sinks| {
            let count = sinks.len();
            sinks.retain(|sink| sink.id != id);
            if sinks.len() == count { Err(self.no_sink(id)) } else { Ok(sinks) }
        })
        .await?;
        self.progress_record(&life, &sink).remove().await?;
        Ok(sink)
    }

    /// Changes a sink. Whoever delivers begins anew with it, where it was.
    pub async fn change_sink(&self, id: &str, change: impl Fn(&mut Sink)) -> Result<()> {
        self.change_sinks(|mut sinks| {
            let Some(sink) = sinks.iter_mut().find(|sink| sink.id == id) else {
                return Err(self.no_sink(id));
            };
            change(sink);
            sink.revision += 1;
            Ok(sinks)
        })
        .await
    }

    /// Lets a sink that was given up go on where it stopped.
    pub async fn revive_sink(&self, id: &str) -> Result<()> {
        let (life, sink) = self.sink(id).await?;
        let mut record = self.progress_record(&life, &sink);
        for _ in 0..CHANGES_MAX {
            let Some(mut progress) = record.read().await? else { return Err(self.no_sink(id)) };
            progress.revive();
            if record.write(&progress).await? {
                return self.change_sink(id, |_| {}).await;
            }
        }
        Err(Error::unavailable("this sink is being written all the time: try it again"))
    }

    /// How far a sink has come.
    pub async fn sink_progress(&self, life: &RepoLife, sink: &Sink) -> Result<Option<Progress>> {
        self.progress_record(life, sink).read().await
    }

    /// The object that says how far a sink has come.
    pub fn progress_record(&self, life: &RepoLife, sink: &Sink) -> ProgressRecord {
        ProgressRecord::of(self.onward.coordinator().objects(), life, sink)
    }

    async fn change_sinks(&self, change: impl Fn(Vec<Sink>) -> Result<Vec<Sink>>) -> Result<()> {
        self.change_rules(&self.onward.inner.sinks, change).await
    }

    /// Where a new sink is on each branch.
    async fn first_places(&self, life: &RepoLife, sink: &Sink, from: StartAt) -> Result<Progress> {
        let (lake, branches) = (self.onward.coordinator().lake(life), Branches::of(sink)?);
        let mut progress = Progress::default();
        let seen = survey::seen(&lake, &branches).await?;
        let live: Vec<_> = seen.iter().filter(|seen| seen.live).collect();
        if live.len() > FOLLOWED_MAX {
            return Err(too_many());
        }
        let looks: Vec<_> = live
            .into_iter()
            .map(|seen| self.place_or_none(life, &lake, seen, from).boxed())
            .collect();
        let found: Vec<Place> = stream::iter(looks).buffered(LOOKS).try_collect().await?;
        for place in found {
            match place {
                Place::At(followed) => progress.followed.push(followed),
                Place::LeftOut(left) => progress.left_out.push(left),
                Place::Nowhere => {}
            }
        }
        progress.note_survey(&seen);
        // Everything else that there is has ended before, or is not shown: none of it is new later.
        let new: Vec<_> = progress.new_among(&seen).into_iter().cloned().collect();
        for seen in new.into_iter().filter(|seen| !progress.leaves_out(seen)).collect::<Vec<_>>() {
            let survey::Seen { name, incarnation, recorded_ms, .. } = seen;
            progress.finished.push(progress::Finished { name, incarnation, recorded_ms });
        }
        Ok(progress)
    }

    /// Where a new sink is on a branch. One that nobody can read now keeps no other from being followed.
    async fn place_or_none(
        &self,
        life: &RepoLife,
        lake: &Lake,
        seen: &survey::Seen,
        from: StartAt,
    ) -> Result<Place> {
        match self.first_place(lake, seen, from).await {
            Ok(place) => Ok(place.map_or(Place::Nowhere, Place::At)),
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                tracing::warn!(%error, branch = %seen.name, "a new sink cannot follow a branch");
                self.left_out(life, seen, from).await.map(Place::LeftOut)
            }
        }
    }

    /// Where a branch is to be followed from once its record can be read, by what Redis says of it.
    async fn left_out(
        &self,
        life: &RepoLife,
        seen: &survey::Seen,
        from: StartAt,
    ) -> Result<LeftOut> {
        let coordinator = self.onward.coordinator();
        let mut place = None;
        if from != StartAt::Start
            && let Some(uid) = coordinator.names(life).find(&seen.name).await?
            && let Some(done) = decided(coordinator.lanes(), life.name(), uid).await?
        {
            let next = Ticket(done + 1);
            let wanted = match from {
                StartAt::After(ticket) => ticket.next().min(next),
                StartAt::Now | StartAt::Start => next,
            };
            place = Some((uid, wanted));
        }
        let (name, incarnation) = (seen.name.clone(), seen.incarnation);
        Ok(LeftOut { name, incarnation, from: place })
    }

    /// Where a new sink is on a branch; `None` where it has nothing to do with it.
    async fn first_place(
        &self,
        lake: &Lake,
        seen: &survey::Seen,
        from: StartAt,
    ) -> Result<Option<Followed>> {
        let record = BranchRecord::read(lake, &seen.name, seen.incarnation).await?;
        let Some(record) = record.filter(|record| !record.hidden) else { return Ok(None) };
        let start = Followed::from_start(record);
        match from {
            StartAt::Start => Ok(Some(start)),
            StartAt::Now | StartAt::After(_) => {
                match self.branch(seen.name.as_str()).head().await {
                    Ok((context, head)) if context.uid == start.uid => {
                        let next = Ticket(head.done + 1);
                        let now = Followed { entry: next, next, announced: true, ..start };
                        match from {
                            StartAt::After(ticket) if ticket.next() < next => {
                                place_of(lake, &now, ticket.next()).await.map(Some)
                            }
                            _ => Ok(Some(now)),
                        }
                    }
                    // It ends at this moment.
                    Ok(_) => Ok(None),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Where a new sink is on a branch.
enum Place {
    At(Followed),
    LeftOut(LeftOut),
    /// It has nothing to do with it.
    Nowhere,
}

/// The branches that one sink is for, in one life of a repository: what whoever delivers asks of them.
#[derive(Debug, Clone)]
pub struct SinkView {
    onward: Onward,
    life: RepoLife,
    branches: Branches,
}

impl SinkView {
    /// That of a sink.
    pub fn of(onward: &Onward, life: &RepoLife, sink: &Sink) -> Result<Self> {
        let (onward, life) = (onward.clone(), life.clone());
        Ok(Self { onward, life, branches: Branches::of(sink)? })
    }

    /// Brings `progress` up to which branches there are: follows new ones, and notes which are over. Costs a
    /// listing of all names that there ever were, and a read for each new one.
    pub async fn survey(&self, progress: &mut Progress) -> Result<()> {
        survey::survey(&self.lake(), &self.branches, progress).await
    }

    /// The branches that Redis names of those that the sink is for: another one than before is a hint that a
    /// survey finds it. Costs a call for every 500 branches.
    pub async fn named(&self) -> Result<HashSet<BranchUid>> {
        let names = self.onward.coordinator().names(&self.life);
        let (mut all, mut page) = (HashSet::new(), 0);
        loop {
            let (found, next) = names.page(page).await?;
            let wanted = found.into_iter().filter(|(name, _)| self.branches.has(name.as_str()));
            all.extend(wanted.map(|(_, uid)| uid).take(FOLLOWED_MAX));
            page = next;
            if page == 0 || all.len() > FOLLOWED_MAX {
                return Ok(all);
            }
        }
    }

    /// The branches of which Redis says that more is decided than was delivered: hints that their logs go on.
    /// Costs a small call for each branch.
    pub async fn ahead(&self, progress: &Progress) -> Result<Vec<BranchUid>> {
        let (lanes, repo) = (self.onward.coordinator().lanes(), self.life.name());
        let looks: Vec<_> = progress
            .followed
            .iter()
            .map(|of| {
                let (uid, next, is_due) = (of.uid, of.next.0, !of.announced || of.over);
                let look = async move {
                    let done = decided(lanes, repo, uid).await?;
                    Ok((is_due || done.is_some_and(|done| done >= next)).then_some(uid))
                };
                look.boxed()
            })
            .collect();
        let ahead: Vec<Option<BranchUid>> =
            stream::iter(looks).buffered(LOOKS).try_collect().await?;
        Ok(ahead.into_iter().flatten().collect())
    }

    /// Reads on in the log of a branch.
    pub fn follow(&self, at: Followed) -> Follower {
        Follower::new(self.lake(), at)
    }

    fn lake(&self) -> Lake {
        self.onward.coordinator().lake(&self.life)
    }
}
