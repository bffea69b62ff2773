//! Rules of protected branches as people ask for them: what is not said stays as it is, so that nobody takes a check
//! away by saying what is blocked, or the other way round.

use std::collections::BTreeSet;
use std::time::Duration;

use onward::admin::{Action, Rule};
use onward::internals::repo::protection::{Check, OnFailure};
use onward::{Onward, RepoName, Result};

use super::ask::Checks;

/// What a rule is to be.
#[derive(Debug, Clone)]
pub struct NewRule {
    /// The branches that it is for.
    pub pattern: String,
    /// What it blocks. Where that is not said, what the rule that is there blocks if its check alone is spoken of, and
    /// else everything, or nothing in a new rule with a check.
    pub blocks: Option<BTreeSet<Action>>,
    /// What becomes of its check.
    pub check: NewCheck,
}

/// What becomes of the check of a rule.
#[derive(Debug, Clone)]
pub enum NewCheck {
    /// It stays as it is.
    AsItIs,
    /// Nobody is asked.
    Nobody,
    /// This one is asked.
    By {
        /// Where it is asked.
        url: String,
        /// How long it may take.
        timeout: Duration,
        /// What becomes of a commit that it gives no answer for.
        on_failure: OnFailure,
    },
}

impl NewRule {
    fn blocks(&self, there: Option<&Rule>) -> BTreeSet<Action> {
        match (&self.blocks, &self.check, there) {
            (Some(blocks), ..) => blocks.clone(),
            (None, NewCheck::By { .. } | NewCheck::Nobody, Some(there)) => there.blocks.clone(),
            (None, NewCheck::By { .. }, None) => BTreeSet::new(),
            (None, NewCheck::AsItIs | NewCheck::Nobody, _) => Action::ALL.into(),
        }
    }
}

impl Checks {
    /// Adds a rule, or changes the one with the same pattern. Returns the rule as it is then, and the secret of a new
    /// check: the one time that it is shown.
    ///
    /// Fails with [`onward::ErrorKind::Forbidden`] where nobody may be asked where the check leads.
    pub async fn protect(
        &self,
        onward: &Onward,
        repo: &RepoName,
        wanted: NewRule,
    ) -> Result<(Rule, Option<String>)> {
        let (made, secret) = match &wanted.check {
            NewCheck::AsItIs | NewCheck::Nobody => (None, None),
            NewCheck::By { url, timeout, on_failure } => {
                let (repo, pattern) = (repo.as_str(), wanted.pattern.as_str());
                let (check, secret) = self.make(repo, pattern, url, *timeout, *on_failure).await?;
                (Some(check), Some(secret))
            }
        };
        let check = |there: Option<&Rule>| -> Option<Check> {
            match &wanted.check {
                NewCheck::AsItIs => there?.check.clone(),
                NewCheck::Nobody => None,
                NewCheck::By { .. } => made.clone(),
            }
        };
        let change = |there: Option<&Rule>| {
            let rule = Rule::new(wanted.pattern.as_str()).only(wanted.blocks(there));
            Rule { check: check(there), ..rule }
        };
        let rule = onward.repo(repo.as_str()).change_rule(&wanted.pattern, change).await?;
        Ok((rule, secret))
    }
}
