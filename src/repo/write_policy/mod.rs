//! How an object is written that comes alone, by rules for branches and prefixes: staged, which is what
//! happens without a rule, or as a commit of its own.
//!
//! Clients that know objects and no commits ask for this (the S3 gateway does); who stages or commits by
//! himself does what he says, whatever rules there are.

mod rule;
pub(crate) mod rules;

use crate::model::error::{Error, Result, quoted};
use crate::model::path::ObjectPath;

use super::handles::{Branch, Repository};

pub use rule::{WriteRule, Written};

use rules::WritePolicy;

impl Repository {
    /// The rules of how objects are written, as they are now. Costs a read of an object.
    pub async fn write_policy(&self) -> Result<Vec<WriteRule>> {
        self.rules::<WritePolicy>().await
    }

    /// Adds a rule, in place of one for the same branches and paths. This process follows it at once,
    /// others within two seconds.
    pub async fn set_write_rule(&self, rule: WriteRule) -> Result<()> {
        self.change_write_policy(|mut rules| {
            match rules.iter_mut().find(|there| there.is_in_place_of(&rule)) {
                Some(there) => *there = rule.clone(),
                None => rules.push(rule.clone()),
            }
            Ok(rules)
        })
        .await
    }

    /// Removes the rule with exactly this pattern and prefix. Fails with
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none.
    pub async fn remove_write_rule(&self, pattern: &str, prefix: &str) -> Result<()> {
        self.change_write_policy(|mut rules| {
            let count = rules.len();
            rules.retain(|rule| rule.pattern != pattern || rule.prefix != prefix);
            if rules.len() == count {
                let repo = self.display();
                return Err(Error::not_found(format!(
                    "there is no rule of writing for branches '{}' and prefix '{}' in repository '{repo}'",
                    quoted(pattern),
                    quoted(prefix)
                ))
                .at_the_prompt(format!("`onward policy list {repo}` shows what there is")));
            }
            Ok(rules)
        })
        .await
    }

    /// Puts in the place of all rules what `change` makes of them, all or nothing; `change` is asked again
    /// where another process has changed them meanwhile.
    #[doc(hidden)]
    pub async fn change_write_policy<E: From<Error>>(
        &self,
        change: impl Fn(Vec<WriteRule>) -> Result<Vec<WriteRule>, E>,
    ) -> Result<(), E> {
        self.change_rules(&self.onward.inner.write_policy, change).await
    }
}

impl Branch {
    /// How an object that comes alone is written to `path` of this branch, by the rules as they were at
    /// most two seconds ago.
    pub async fn written(&self, path: &ObjectPath) -> Result<Written> {
        let (repo, branch) = (self.repo.name()?, self.branch_name()?);
        let inner = &self.repo.onward.inner;
        let ruled = inner.write_policy.rules(inner.coordinator.objects(), &repo).await?;
        inner.remember_life(&ruled.life);
        Ok(ruled.rules.of_path(branch.as_str(), path.as_str()))
    }
}
