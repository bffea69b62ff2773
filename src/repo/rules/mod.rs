//! Rules of a repository, by kinds: all rules of a kind are one object.
//!
//! Whoever changes them reads the object and writes it anew on the condition of what was read, one after
//! the other within a process. What asks for rules all the time looks at most [`cache::CACHED_FOR`] back, so
//! that staging does not read an object for every write; so long after a change of the rules others may
//! still act by the old ones.

pub(super) mod cache;
pub(crate) mod kind;
pub(super) mod pattern;

use crate::model::error::{Error, Result};
use crate::model::name::RepoName;

use super::handles::{Deployment, Repository};
use cache::RulesCache;
use kind::{Kind, decode_rules, encode_rules};

/// Rules of a kind that a repository has, at most.
pub const RULES_MAX: usize = 1000;

/// How often a change is made again because another process was faster, at most.
const CHANGES_MAX: usize = 8;

impl Repository {
    /// The rules of a kind, as they are now.
    pub(super) async fn rules<K: Kind>(&self) -> Result<Vec<K::Rule>> {
        let (life, _) = self.live().await?;
        cache::read_rules::<K>(self.onward.coordinator().objects(), &life).await
    }

    /// Puts in the place of all rules of a kind what `change` makes of them, in one write. Where `change`
    /// refuses, or a new rule is not valid, everything stays as it is.
    ///
    /// This process follows the new rules at once, others within [`cache::CACHED_FOR`]. Where another
    /// process has changed them meanwhile, `change` is asked again; on local storage that is noticed
    /// but for the moment of the write itself.
    pub(super) async fn change_rules<K: Kind, E: From<Error>>(
        &self,
        cache: &RulesCache<K>,
        change: impl Fn(Vec<K::Rule>) -> Result<Vec<K::Rule>, E>,
    ) -> Result<(), E> {
        let (life, _) = self.live().await?;
        let objects = self.onward.coordinator().objects();
        let key = K::key(&life);
        let _alone = cache.changing.lock().await;
        for _ in 0..CHANGES_MAX {
            let stored = objects.get(&key).await?;
            let there = match &stored {
                Some(bytes) => decode_rules(&key, bytes)?,
                None => Vec::new(),
            };
            let rules = change(there.clone())?;
            self.check_rules::<K>(&rules, &there)?;
            let bytes = encode_rules(rules)?;
            let is_written = objects.change(&key, stored.as_ref(), bytes).await?;
            cache.forget(life.name());
            if is_written {
                return Ok(());
            }
        }
        Err(E::from(Error::unavailable(format!(
            "others change {} of repository '{}' all the time: nothing was changed, try again later",
            K::WHAT,
            self.display()
        ))))
    }

    /// Fails where one of `rules` that is not `there` yet is not valid, or they are too many.
    fn check_rules<K: Kind>(&self, rules: &[K::Rule], there: &[K::Rule]) -> Result<()> {
        rules.iter().filter(|rule| !there.contains(rule)).try_for_each(K::check)?;
        if rules.len() > RULES_MAX.max(there.len()) {
            return Err(Error::invalid(format!(
                "{} of repository '{}' are {RULES_MAX} at most: delete one, or use a pattern for several branches",
                K::WHAT,
                self.display()
            )));
        }
        Ok(())
    }

    /// Reads the rules of a repository anew when next asked for, because it has changed them itself.
    pub(super) fn forget_rules(&self, name: &RepoName) {
        self.onward.inner.forget_rules(name);
    }
}

impl Deployment {
    /// Reads the rules of all kinds anew when next asked for.
    pub(super) fn forget_rules(&self, name: &RepoName) {
        self.protection.forget(name);
        self.write_policy.forget(name);
        self.sinks.forget(name);
    }
}
