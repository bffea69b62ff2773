//! Protected branches: what may not be done to a branch directly, by rules for names of branches.
//!
//! Rules are looked at when something is asked for. What was accepted before a rule was made is
//! decided in its turn: an accepted op always is. An op that is submitted again under a rule that
//! is new is refused; its ticket tells what became of it.

pub(crate) mod check;
mod rule;
pub(crate) mod rules;

use std::sync::{Mutex, PoisonError};

use crate::model::error::{Error, ErrorKind, Result, quoted};

use super::handles::{Branch, Repository};

pub use super::rules::RULES_MAX;
pub use super::rules::cache::CACHED_FOR;
pub use super::rules::pattern::PATTERN_LEN_MAX;
pub use check::{CHECK_TIMEOUT_MAX_MS, Check, OnFailure};
pub use rule::{Action, Rule};

use rules::Protection;

impl Repository {
    /// The rules of protected branches, as they are now.
    pub async fn protection(&self) -> Result<Vec<Rule>> {
        self.rules::<Protection>().await
    }

    /// Adds a rule, in place of one with the same pattern, see [`Repository::change_protection`]. Who is asked before
    /// commits by the one that is there is asked by the new one too: only [`Repository::unprotect`] takes that away.
    pub async fn protect(&self, rule: Rule) -> Result<()> {
        let change = |there: Option<&Rule>| {
            let check = there.and_then(|there| there.check.clone());
            Rule { check: rule.check.clone().or(check), ..rule.clone() }
        };
        self.change_rule(&rule.pattern, change).await.map(drop)
    }

    /// Puts what `change` makes of the rule with exactly this pattern in its place, or beside the others where there
    /// is none, see [`Repository::change_protection`]. Returns the rule as it is then.
    #[doc(hidden)]
    pub async fn change_rule(
        &self,
        pattern: &str,
        change: impl Fn(Option<&Rule>) -> Rule,
    ) -> Result<Rule> {
        let made = Mutex::new(None);
        self.change_protection(|mut rules| {
            let place = rules.iter().position(|there| there.pattern == pattern);
            let rule = change(place.and_then(|place| rules.get(place)));
            *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(rule.clone());
            match place {
                Some(place) => rules.splice(place..=place, [rule]).for_each(drop),
                None => rules.push(rule),
            }
            Ok::<_, Error>(rules)
        })
        .await?;
        let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.ok_or_else(|| Error::internal("rules were written that nobody made"))
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

    /// Puts in the place of all rules what `change` makes of them, all or nothing; `change` is asked again
    /// where another process has changed them meanwhile.
    #[doc(hidden)]
    pub async fn change_protection<E: From<Error>>(
        &self,
        change: impl Fn(Vec<Rule>) -> Result<Vec<Rule>, E>,
    ) -> Result<(), E> {
        self.change_rules(&self.onward.inner.protection, change).await
    }
}

impl Branch {
    /// Fails with [`ErrorKind::Forbidden`] when a rule blocks `action` on this branch. Everything
    /// that changes a branch directly begins with this; merges do not ask. Reads the rules when
    /// those at hand are older than [`CACHED_FOR`].
    pub async fn check_protection(&self, action: Action) -> Result<()> {
        let (repo, branch) = (self.repo.name()?, self.branch_name()?);
        let inner = &self.repo.onward.inner;
        let ruled = inner.protection.rules(inner.coordinator.objects(), &repo).await?;
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
