//! Looking after branches that nobody works on. Ops whose submitter is gone are decided by whoever
//! looks at their branch; this looks at all of them, again and again.
//!
//! Names come from Redis, which has them as a copy: where that may lack some (at the beginning, after a
//! lost connection, and of a repository whose mark is missing) the object store's are put there first.
//!
//! Cost of a step: one listing of the repositories, two small calls to Redis for each, and one for each
//! living branch; where names are looked up in the object store a read of the repository's record, a
//! listing of its branches and a read for each living one. A repository that was deleted costs a read and
//! a listing.

use std::collections::HashMap;

use futures::{StreamExt, stream};

use crate::commit::log::record::{BranchRecord, Incarnation, incarnations};
use crate::commit::mend::present::present_in;
use crate::coord::queue::depth;
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};

use super::handles::Onward;
use super::standing;

/// Branches that one step looks at, at most, and some; those behind them are for the next.
const BRANCHES_MAX: usize = 20_000;

/// Branches looked at together: each is a call to Redis.
const LOOKS: usize = 64;

/// Records read at the same time, at most.
const READS: usize = 16;

/// Branches that are named for having something in their queues, at most.
const WAITING_MAX: usize = 1000;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watched {
    /// Branches looked at.
    pub branches: usize,
    /// Those whose queue stood, and is being seen through.
    pub standing: usize,
}

/// A process that looks after all branches, between two steps.
#[derive(Debug)]
pub struct Watch {
    onward: Onward,
    pass: Pass,
    /// Connections lost when the last pass over all branches began; `None` before the first.
    losses: Option<u64>,
    /// Branches whose turn somebody had at the last look, and the tickets decided by then.
    at_work: HashMap<BranchUid, u64>,
    /// Where this pass has found something queued so far, and where the last one did.
    found: Vec<(RepoName, BranchName)>,
    waiting: Vec<(RepoName, BranchName)>,
}

/// A pass over all branches.
#[derive(Debug, Clone, Default)]
struct Pass {
    /// Connections lost when it began.
    losses: u64,
    /// Where it goes on: a repository, and a page of its names.
    from: Option<(RepoName, u64)>,
}

impl Onward {
    /// Begins to look after all branches.
    #[doc(hidden)]
    pub fn watch(&self) -> Watch {
        let (onward, pass) = (self.clone(), Pass::default());
        let (at_work, found, waiting) = Default::default();
        Watch { onward, pass, losses: None, at_work, found, waiting }
    }
}

impl Watch {
    /// Looks at every branch once, or at [`BRANCHES_MAX`] of them and goes on there the next time.
    /// What it finds is seen through in the background.
    pub async fn step(&mut self) -> Result<Watched> {
        let mut pass = std::mem::take(&mut self.pass);
        if pass.from.is_none() {
            pass.losses = self.onward.coordinator().lanes().losses();
        }
        let before = std::mem::take(&mut self.at_work);
        let mut watched = Watched::default();
        for repo in self.onward.repo_names().await? {
            let at = match &pass.from {
                Some((from, _)) if repo < *from => continue,
                Some((from, page)) if repo == *from => *page,
                _ => 0,
            };
            let next = self.repo(&repo, at, pass.losses, &before, &mut watched).await?;
            if let Some(page) = next {
                self.pass = Pass { from: Some((repo, page)), ..pass };
                return Ok(watched);
            }
        }
        self.losses = Some(pass.losses);
        self.waiting = std::mem::take(&mut self.found);
        Ok(watched)
    }

    /// The branches in whose queues the last whole pass found something, 1,000 at most, by the names of
    /// their repositories.
    pub fn waiting(&self) -> &[(RepoName, BranchName)] {
        &self.waiting
    }

    /// Looks at the branches of a repository from a page of its names on. Returns the page to go on
    /// with, if there were too many.
    async fn repo(
        &mut self,
        repo: &RepoName,
        mut page: u64,
        losses: u64,
        before: &HashMap<BranchUid, u64>,
        watched: &mut Watched,
    ) -> Result<Option<u64>> {
        let Some(life) = self.life(repo, losses).await? else { return Ok(None) };
        let (repo, names) = (&life, self.onward.coordinator().names(&life));
        loop {
            let (found, next) = names.page(page).await?;
            watched.branches += found.len();
            for (name, uid) in self.queued(repo, found).await? {
                if self.found.len() < WAITING_MAX {
                    self.found.push((repo.name().clone(), name.clone()));
                }
                // What is wrong with one branch is no reason to leave the others.
                match self.look_after(repo, &name, uid, before).await {
                    Ok(stands) => watched.standing += usize::from(stands),
                    Err(error) => {
                        tracing::warn!(%error, %repo, branch = %name, "a queue could not be looked at");
                    }
                }
            }
            page = next;
            if page == 0 || watched.branches >= BRANCHES_MAX {
                return Ok(Some(page).filter(|page| *page != 0));
            }
        }
    }

    /// The life that a repository is in, with all its names in Redis; `None` where it is gone, or going.
    async fn life(&self, repo: &RepoName, losses: u64) -> Result<Option<RepoLife>> {
        let there = |found: Result<RepoLife>| match found {
            Ok(life) => Ok(Some(life)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        // However long ago it was asked for: a read of each record at every step would be many.
        if let Some(known) = self.onward.inner.lives.last(repo) {
            let names = self.onward.coordinator().names(&known);
            if self.losses == Some(losses) && names.are_whole().await? {
                return Ok(Some(known));
            }
        }
        // It may have been made again, and its names with it.
        let live = self.onward.inner.live(repo).await.map(|(life, _)| life);
        let Some(life) = there(live)? else { return Ok(None) };
        self.name_all(&life).await?;
        Ok(Some(life))
    }

    /// Those of some branches that have something queued.
    async fn queued(
        &self,
        repo: &RepoLife,
        branches: Vec<(BranchName, BranchUid)>,
    ) -> Result<Vec<(BranchName, BranchUid)>> {
        let lanes = self.onward.coordinator().lanes();
        let looked_at = stream::iter(branches)
            .map(|(name, uid)| async move { (depth(lanes, repo.name(), uid).await, name, uid) })
            .buffered(LOOKS)
            .collect::<Vec<_>>();
        let mut waiting = Vec::new();
        for (depth, name, uid) in looked_at.await {
            if depth? > 0 {
                waiting.push((name, uid));
            }
        }
        Ok(waiting)
    }

    /// Helps a branch on that has something queued, unless somebody is at it. Whoever has had the turn
    /// since the last look without deciding anything is not.
    async fn look_after(
        &mut self,
        repo: &RepoLife,
        name: &BranchName,
        uid: BranchUid,
        before: &HashMap<BranchUid, u64>,
    ) -> Result<bool> {
        let coordinator = self.onward.coordinator();
        let context = coordinator.context(repo, name, uid);
        let view = present_in(&context, |context| async move { context.look(1).await }).await?;
        let done = view.head.done;
        let stands = standing::stands(&view) || view.depth > 0 && before.get(&uid) == Some(&done);
        if stands {
            tracing::info!(%repo, branch = %name, waiting = view.depth, "helping a queue that stands");
            standing::help(coordinator, &context, &view);
        }
        self.at_work.insert(uid, done);
        Ok(stands)
    }

    /// Puts the names of all living branches of a repository into Redis that it lacks.
    async fn name_all(&self, repo: &RepoLife) -> Result<()> {
        let lake = &self.onward.coordinator().lake(repo);
        let names = &self.onward.coordinator().names(repo);
        let living = incarnations(lake).await?.into_iter().filter(|found| found.live);
        let mut named = stream::iter(living)
            .map(|Incarnation { name, number, .. }| async move {
                match BranchRecord::read(lake, &name, number).await {
                    Ok(Some(record)) => names.name_anew(&name, record.uid).await,
                    // It went away between the two looks.
                    Ok(None) => Ok(()),
                    // A record that is damaged hides its own branch and no other.
                    Err(error) if error.is_permanent() => {
                        tracing::warn!(%error, %repo, branch = %name, "a branch cannot be looked after");
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            })
            .buffered(READS);
        while let Some(named) = named.next().await {
            named?;
        }
        names.note_whole().await
    }
}
