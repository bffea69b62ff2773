//! Protected branches: what may not be done to a branch directly, by rules for names of branches.
//!
//! All rules of a repository are one object. Whoever changes them reads it and writes it anew on the
//! condition of what was read, one after the other within a process. A process looks at most
//! [`CACHED_FOR`] back, so that staging does not read an object for every write; so long after a
//! change of the rules others may still act by the old ones.
//!
//! Rules are looked at when something is asked for. What was accepted before a rule was made is
//! decided in its turn: an accepted op always is. An op that is submitted again under a rule that
//! is new is refused; its ticket tells what became of it.

pub(super) mod cache;
mod rule;
pub(crate) mod rules;

use crate::model::error::{Error, ErrorKind, Result, quoted};
use crate::model::name::RepoName;
use crate::objects::layout;

use super::handles::{Branch, Repository};

pub use cache::CACHED_FOR;
pub use rule::{Action, PATTERN_LEN_MAX, Rule};
pub(crate) use rules::{decode_rules, encode_rules};

use rules::read_rules;

/// Rules of a repository, at most.
pub const RULES_MAX: usize = 1000;

/// How often a change is made again because another process was faster, at most.
const CHANGES_MAX: usize = 8;

impl Repository {
    /// The rules of protected branches, as they are now.
    pub async fn protection(&self) -> Result<Vec<Rule>> {
        let (life, _) = self.live().await?;
        read_rules(self.onward.coordinator().objects(), &life).await
    }

    /// Adds a rule, in place of one with the same pattern, see [`Repository::change_protection`].
    pub async fn protect(&self, rule: Rule) -> Result<()> {
        self.change_protection(|mut rules| {
            match rules.iter_mut().find(|there| there.pattern == rule.pattern) {
                Some(there) => *there = rule.clone(),
                None => rules.push(rule.clone()),
            }
            Ok(rules)
        })
        .await
    }

    /// Removes the rule with exactly this pattern, see [`Repository::change_protection`].
    pub async fn unprotect(&self, pattern: &str) -> Result<()> {
        self.change_protection(|mut rules| {
            let count = rules.len();
            rules.retain(|rule| rule.pattern != pattern);
            if rules.len() == count {
                let repo = self.display();
                return Err(Error::not_found(format!(
                    "there is no rule for '{}' in repository '{repo}'",
                    quoted(pattern)
                ))
                .at_the_prompt(format!("`onward protect list {repo}` shows what there is")));
            }
            Ok(rules)
        })
        .await
    }

    /// Puts in the place of all rules what `change` makes of them, in one write. Where `change`
    /// refuses, or a new rule is not valid, everything stays as it is.
    ///
    /// This process follows the new rules at once, others within [`CACHED_FOR`]. Where another
    /// process has changed them meanwhile, `change` is asked again; on local storage that is noticed
    /// but for the moment of the write itself.
    #[doc(hidden)]
    pub async fn change_protection<E: From<Error>>(
        &self,
        change: impl Fn(Vec<Rule>) -> Result<Vec<Rule>, E>,
    ) -> Result<(), E> {
        let (life, _) = self.live().await?;
        let objects = self.onward.coordinator().objects();
        let key = layout::protection(&life);
        let _alone = self.onward.inner.rules.changing.lock().await;
        for _ in 0..CHANGES_MAX {
            let stored = objects.get(&key).await?;
            let there = match &stored {
                Some(bytes) => decode_rules(&key, bytes)?,
                None => Vec::new(),
            };
            let rules = change(there.clone())?;
            self.check_rules(&rules, &there)?;
            let bytes = encode_rules(rules)?;
            let is_written = objects.change(&key, stored.as_ref(), bytes).await?;
            self.forget_protection(life.name());
            if is_written {
                return Ok(());
            }
        }
        Err(E::from(Error::unavailable(format!(
            "others change the rules of repository '{}' all the time: nothing was changed, try again later",
            self.display()
        ))))
    }

    /// Fails where one of `rules` that is not `there` yet is not valid, or they are too many.
    fn check_rules(&self, rules: &[Rule], there: &[Rule]) -> Result<()> {
        rules.iter().filter(|rule| !there.contains(rule)).try_for_each(Rule::check)?;
        if rules.len() > RULES_MAX.max(there.len()) {
            return Err(Error::invalid(format!(
                "repository '{}' has {RULES_MAX} rules at most: delete one, or use a pattern for several branches",
                self.display()
            )));
        }
        Ok(())
    }

    /// Reads the rules anew when next asked for.
    pub(super) fn forget_protection(&self, name: &RepoName) {
        self.onward.inner.rules.forget(name);
    }
}

impl Branch {
    /// Fails with [`ErrorKind::Forbidden`] when a rule blocks `action` on this branch. Everything
    /// that changes a branch directly begins with this; merges do not ask. Reads the rules when
    /// those at hand are older than [`CACHED_FOR`].
    pub async fn check_protection(&self, action: Action) -> Result<()> {
        let (repo, branch) = (self.repo.name()?, self.branch_name()?);
        let inner = &self.repo.onward.inner;
        let ruled = inner.rules.rules(inner.coordinator.objects(), &repo).await?;
        inner.remember_life(&ruled.life);
        match ruled.rules.blocking(branch.as_str(), action) {
            None => Ok(()),
            Some(rule) => Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "branch '{branch}' of repository '{repo}' is protected: the rule for '{}' blocks {action}; {}",
                    rule.pattern,
                    action.instead()
                ),
            )
            .known_as(match action {
                Action::Commit => "cannot commit to protected branch",
                _ => "cannot write to protected branch",
            })
            .at_the_prompt(format!("`onward protect list {repo}` shows the rules"))),
        }
    }
}
