//! Which lives repositories were in when this process last asked the object store, which alone says it.
//!
//! Use finds out most of what is wrong: Redis says that a branch has ended, or does not have it. But where
//! a deletion was cut short, what it had not come to is there as before; so a life is believed for a while
//! only, and whoever uses the repository then asks again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::model::life::RepoLife;
use crate::model::name::RepoName;

use super::config::NAMES_KEPT;

/// The lives that this process remembers.
#[derive(Debug)]
pub(super) struct KnownLives {
    believed: Duration,
    lives: Mutex<HashMap<RepoName, Known>>,
}

#[derive(Debug)]
struct Known {
    life: RepoLife,
    asked: Stopwatch,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// Nothing is known.
    Nothing,
    /// It was in this life a short while ago.
    Fresh(RepoLife),
    /// It was in this life some time ago. Who is told this is to ask; others go on with it meanwhile.
    Stale(RepoLife),
}

impl KnownLives {
    pub(super) fn new(believed: Duration) -> Self {
        Self { believed, lives: Mutex::default() }
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<RepoName, Known>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a repository as it was when last asked, however long ago.
    pub(super) fn last(&self, repo: &RepoName) -> Option<RepoLife> {
        self.lives().get(repo).map(|known| known.life.clone())
    }

    /// What is known of a repository by who is about to use it.
    pub(super) fn recall(&self, repo: &RepoName) -> Remembered {
        match self.lives().get_mut(repo) {
            None => Remembered::Nothing,
            Some(known) if known.asked.elapsed() < self.believed => {
                Remembered::Fresh(known.life.clone())
            }
            Some(known) => {
                known.asked = Stopwatch::start();
                Remembered::Stale(known.life.clone())
            }
        }
    }

    /// The repository was found to be in this life.
    pub(super) fn remember(&self, life: &RepoLife) {
        let mut lives = self.lives();
        if lives.len() >= NAMES_KEPT {
            lives.clear();
        }
        // A name never goes back to an earlier life.
        if lives.get(life.name()).is_none_or(|known| known.life <= *life) {
            let known = Known { life: life.clone(), asked: Stopwatch::start() };
            lives.insert(life.name().clone(), known);
        }
    }

    /// The name is to be looked up at the next use.
    pub(super) fn forget(&self, repo: &RepoName) {
        self.lives().remove(repo);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_use_a_life_that_was_asked_for_long_ago_one_asks_again() {
        let life: RepoLife = "lake".parse().unwrap();
        let fresh = KnownLives::new(Duration::MAX);
        assert_eq!(fresh.recall(life.name()), Remembered::Nothing);
        fresh.remember(&life);
        assert_eq!(fresh.recall(life.name()), Remembered::Fresh(life.clone()));
        fresh.remember(&life.next());
        fresh.remember(&life);
        assert_eq!(fresh.last(life.name()), Some(life.next()), "a name never goes back");
        fresh.forget(life.name());
        assert_eq!(fresh.recall(life.name()), Remembered::Nothing);
        let stale = KnownLives::new(Duration::ZERO);
        stale.remember(&life);
        assert_eq!(stale.recall(life.name()), Remembered::Stale(life));
    }
}
