//! Which lives of its own repository an entry names an object of: only what lies in the life that goes on
//! is kept. What lies in another one was uploaded before the repository was deleted and made again, and
//! is removed as what is left of that; an entry would point nowhere.

use crate::commit::context::BranchContext;
use crate::model::change::{Change, PathChange};
use crate::model::error::{Error, Result, short};
use crate::model::life::RepoLife;
use crate::objects::layout;

use super::handles::{Branch, Repository};

/// The lives of one repository that changes name objects of. Objects of other repositories, and what
/// lies elsewhere, are nothing to it.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedLives {
    /// With an address in each. Two are enough: one of them is not the one that goes on.
    lives: Vec<(RepoLife, String)>,
}

impl NamedLives {
    /// Takes down which life of `repo` a change names an object of.
    pub(super) fn note(&mut self, repo: &Repository, change: &Change) -> Result<()> {
        let Change::Put(entry) = change else { return Ok(()) };
        let life = life_of(repo, &entry.address)?;
        let is_new = |life: &RepoLife| self.lives.iter().all(|(known, _)| known != life);
        if let Some(life) = life.filter(|life| self.lives.len() < 2 && is_new(life)) {
            self.lives.push((life, entry.address.clone()));
        }
        Ok(())
    }

    /// Fails where one of them is not `life`.
    fn check(&self, life: &RepoLife) -> Result<()> {
        match self.lives.iter().find(|(named, _)| named != life) {
            None => Ok(()),
            Some((_, address)) => Err(over(address)),
        }
    }
}

/// The life of `repo` in whose folder an address is.
fn life_of(repo: &Repository, address: &str) -> Result<Option<RepoLife>> {
    let objects = repo.onward.coordinator().objects();
    let Some(life) = objects.key_of(address).and_then(layout::parse_life) else { return Ok(None) };
    Ok((*life.name() == repo.name()?).then_some(life))
}

/// What lies at `address` is not kept.
pub(super) fn over(address: &str) -> Error {
    Error::invalid(format!(
        "'{}' is refused, as it lies in another life of the repository, of which nothing is kept: the repository was deleted and made again meanwhile: upload again, and use the new address",
        short(address)
    ))
}

impl Branch {
    /// What changes of this branch name.
    pub(super) fn named_lives(&self, changes: &[PathChange]) -> Result<NamedLives> {
        let mut named = NamedLives::default();
        changes.iter().try_for_each(|change| named.note(&self.repo, &change.change))?;
        Ok(named)
    }

    /// Fails where something is named that is not kept, by the life of the incarnation that is about to
    /// take it, or, where that may be over itself, by the one that goes on. So only a mistake costs a
    /// read.
    pub(super) async fn check_named(
        &self,
        context: &BranchContext,
        named: &NamedLives,
    ) -> Result<()> {
        if named.check(context.lake.life()).is_ok() {
            return Ok(());
        }
        named.check(&self.repo.live().await?.0)
    }

    /// Whether an object that was uploaded lies in a life of the repository that is over.
    #[doc(hidden)]
    pub async fn is_left_behind(&self, address: &str) -> Result<bool> {
        let life = life_of(&self.repo, address)?;
        let (now, _) = self.repo.live().await?;
        Ok(life.is_some_and(|life| life != now))
    }
}
