//! A rule: what may not be done directly to the branches whose names match a pattern.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result, quoted};
use crate::repo::rules::pattern;

use super::check::Check;

/// What can be done to a branch directly. Merging into it is not among them: a protected branch is
/// one that changes by merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Staging changes on the branch.
    Stage,
    /// Committing: what is staged, or changes of one's own.
    Commit,
    /// Ending the branch.
    Delete,
    /// Setting its head to another commit.
    Reset,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stage, Self::Commit, Self::Delete, Self::Reset];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Commit => "commit",
            Self::Delete => "delete",
            Self::Reset => "reset",
        }
    }

    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Stage | Self::Commit => {
                "work on a branch of your own and merge it, or ask for the rule to be changed"
            }
            Self::Delete | Self::Reset => "ask for the rule to be changed",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Action {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' cannot be blocked: there are stage, commit, delete and reset",
                quoted(text)
            ))
        })
    }
}

/// What is blocked on the branches whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// A glob pattern: `?` is any character, `*` any number of them, `[a-c]` one of these.
    pub pattern: String,
    /// What is blocked.
    pub blocks: BTreeSet<Action>,
    /// Who is asked before a commit or a merge is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

impl Rule {
    /// A rule that blocks everything there is to block.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), blocks: Action::ALL.into(), check: None }
    }

    /// The same rule, which blocks only these.
    #[must_use]
    pub fn only(mut self, blocks: impl IntoIterator<Item = Action>) -> Self {
        self.blocks = blocks.into_iter().collect();
        self
    }

    /// The same rule, by which commits and merges are checked before they are queued.
    #[must_use]
    #[doc(hidden)]
    pub fn checked_by(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        pattern::check(&self.pattern)?;
        if let Some(check) = &self.check {
            return check.check();
        }
        if self.blocks.is_empty() {
            return Err(Error::invalid(format!(
                "the rule for '{}' blocks nothing: name at least one of stage, commit, delete, reset, or delete the rule",
                self.pattern
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_rules_are_refused() {
        for pattern in ["", "a b", "a/b", "[a", "***", "é", &"x".repeat(256)] {
            let error = Rule::new(pattern).check().unwrap_err();
            assert!(error.message().contains("release-*"), "{error}");
        }
        assert!(Rule::new("main").only([]).check().is_err());
        assert!("merge".parse::<Action>().is_err());
    }
}
