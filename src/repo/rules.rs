//! Rules of protected branches: what they say, how they are stored, and what a process remembers of
//! them. Who asks them is in [`protection`](super::protection).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use glob::Pattern;
use serde::{Deserialize, Serialize};

use crate::clock::Deadline;
use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result, quoted};
use crate::model::name::RepoName;
use crate::objects::{Objects, layout};

/// Rules of a repository, at most.
pub const RULES_MAX: usize = 1000;

/// The longest pattern, in bytes.
pub const PATTERN_LEN_MAX: usize = 255;

/// Repositories whose rules one process remembers, at most.
const READINGS_KEPT: usize = 65_536;

/// How old rules may be when they are applied.
pub const CACHED_FOR: Duration = Duration::from_secs(2);

/// What can be done to a branch directly. Merging into it is not among them: a protected branch is
/// one that changes by merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Staging changes.
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
}

impl Rule {
    /// A rule that blocks everything there is to block.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), blocks: Action::ALL.into() }
    }

    /// The same rule, which blocks only these.
    #[must_use]
    pub fn only(mut self, blocks: impl IntoIterator<Item = Action>) -> Self {
        self.blocks = blocks.into_iter().collect();
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let shown: String = self.pattern.chars().take(100).collect();
        let wrong = |why: &str| {
            let shown = shown.escape_debug();
            Error::invalid(format!(
                "'{shown}' is not a pattern of branch names: {why}; examples: main, release-*"
            ))
        };
        if self.pattern.is_empty() || self.pattern.len() > PATTERN_LEN_MAX {
            return Err(wrong("it has 1 to 255 bytes"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-*?[]!".contains(c);
        if !self.pattern.chars().all(allowed) {
            return Err(wrong("it has letters, digits, '_', '-' and the signs * ? [ ] !"));
        }
        Pattern::new(&self.pattern).map_err(|error| wrong(error.msg))?;
        if self.blocks.is_empty() {
            return Err(Error::invalid(format!(
                "the rule for '{}' blocks nothing: name at least one of stage, commit, delete, reset",
                self.pattern
            )));
        }
        Ok(())
    }
}

/// The object: every rule of a repository.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    rules: Vec<Rule>,
}

pub(super) async fn read(objects: &Objects, repo: &RepoName) -> Result<Vec<Rule>> {
    let key = layout::protection(repo);
    match objects.get(&key).await? {
        Some(bytes) => decode_rules(&key, &bytes),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn decode_rules(key: &str, bytes: &[u8]) -> Result<Vec<Rule>> {
    Ok(decode::<Record>(key, bytes)?.rules)
}

pub(crate) fn encode_rules(rules: Vec<Rule>) -> Result<bytes::Bytes> {
    encode(&Record { rules })
}

/// Rules, ready to be applied.
pub(crate) struct Rules(Vec<(Pattern, Rule)>);

impl Rules {
    pub(crate) fn of(rules: Vec<Rule>) -> Result<Self> {
        let ready = rules.into_iter().map(|rule| {
            let pattern = Pattern::new(&rule.pattern).map_err(|error| {
                Error::corrupt(format!(
                    "the rule for '{}' cannot be applied",
                    quoted(&rule.pattern)
                ))
                .with_source(error)
            })?;
            Ok((pattern, rule))
        });
        Ok(Self(ready.collect::<Result<_>>()?))
    }

    pub(crate) fn blocking(&self, branch: &str, action: Action) -> Option<&Rule> {
        let blocks = |(pattern, rule): &&(Pattern, Rule)| {
            rule.blocks.contains(&action) && pattern.matches(branch)
        };
        self.0.iter().find(blocks).map(|(_, rule)| rule)
    }
}

/// One reading of a repository's rules, shared by all that ask while it is young.
type Reading = Shared<BoxFuture<'static, Result<Arc<Rules>, Arc<Error>>>>;

/// The rules of the repositories that a process works on.
#[derive(Default)]
pub(super) struct RulesCache {
    readings: Mutex<HashMap<RepoName, (Deadline, Reading)>>,
    /// Held while the rules of a repository are changed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for RulesCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesCache").finish_non_exhaustive()
    }
}

impl RulesCache {
    /// The rules as they were at most [`CACHED_FOR`] ago.
    pub(super) async fn rules(&self, objects: &Objects, repo: &RepoName) -> Result<Arc<Rules>> {
        let reading = self.reading(objects, repo);
        reading.await.map_err(|error| {
            self.forget(repo);
            error.again().context("the rules of protected branches cannot be read")
        })
    }

    fn reading(&self, objects: &Objects, repo: &RepoName) -> Reading {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((young, reading)) = readings.get(repo)
            && !young.is_over()
        {
            return reading.clone();
        }
        if readings.len() >= READINGS_KEPT {
            readings.clear();
        }
        let (objects, name) = (objects.clone(), repo.clone());
        let reading = async move {
            let rules = read(&objects, &name).await.and_then(Rules::of);
            rules.map(Arc::new).map_err(Arc::new)
        };
        let reading = reading.boxed().shared();
        // Its age counts from here, before it is read.
        readings.insert(repo.clone(), (Deadline::after(CACHED_FOR), reading.clone()));
        reading
    }

    pub(super) fn forget(&self, repo: &RepoName) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_of_branches_as_a_whole() {
        let rules = Rules::of(vec![
            Rule::new("main"),
            Rule::new("release-*").only([Action::Delete]),
            Rule::new("v[0-9]?").only([Action::Commit]),
        ])
        .unwrap();
        let blocks = |branch: &str, action| rules.blocking(branch, action).is_some();
        for action in Action::ALL {
            assert!(blocks("main", action));
            assert!(!blocks("main2", action) && !blocks("xmain", action));
            assert_eq!(blocks("release-1", action), action == Action::Delete);
            assert!(!blocks("release", action));
            assert_eq!(blocks("v1x", action), action == Action::Commit);
            assert!(!blocks("vx1", action));
        }
    }

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
