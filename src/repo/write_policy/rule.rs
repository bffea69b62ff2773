//! A rule of writing: how objects below a prefix are written on the branches whose names match a pattern.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result, quoted};
use crate::model::path::ObjectPath;
use crate::repo::rules::pattern;

/// How a write that is an object and nothing else is made.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Written {
    /// It is staged: visible on the branch at once, in Redis until somebody commits. A condition is judged
    /// against what the branch shows, in the step that stages it.
    #[default]
    #[serde(rename = "stage")]
    Staged,
    /// It is a commit of its own, which goes through the branch's queue. A condition is judged against the
    /// branch's commits, when the log decides it.
    #[serde(rename = "commit")]
    Committed,
}

impl Written {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Staged, Self::Committed];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "stage",
            Self::Committed => "commit",
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Written {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|written| written.name() == text).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' is no way to write: there are stage and commit",
                quoted(text)
            ))
        })
    }
}

/// How objects below a prefix are written on the branches whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRule {
    /// A glob pattern of names of branches: `?` is any character, `*` any number of them, `[a-c]` one of
    /// these.
    pub pattern: String,
    /// What the paths begin with; by default every path.
    #[serde(default)]
    pub prefix: String,
    /// How they are written.
    pub write: Written,
}

impl WriteRule {
    /// A rule for all paths of some branches.
    pub fn new(pattern: impl Into<String>, write: Written) -> Self {
        Self { pattern: pattern.into(), prefix: String::new(), write }
    }

    /// The same rule, for the paths that begin with `prefix` alone.
    #[must_use]
    pub fn below(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Whether the other one is for the same branches and paths.
    pub(super) fn is_in_place_of(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.prefix == other.prefix
    }

    pub(super) fn check(&self) -> Result<()> {
        pattern::check(&self.pattern)?;
        if self.prefix.is_empty() {
            return Ok(());
        }
        let path = ObjectPath::new(self.prefix.as_str());
        path.map(drop).map_err(|error| error.context("no path begins with this prefix"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_rules_are_refused() {
        let rule = |pattern: &str, prefix: &str| {
            WriteRule::new(pattern, Written::Committed).below(prefix).check()
        };
        for (pattern, prefix) in [("", ""), ("a/b", ""), ("[a", "x/"), ("main", "\0")] {
            assert!(rule(pattern, prefix).is_err(), "{pattern} {prefix:?}");
        }
        assert!(rule("main", &"x".repeat(ObjectPath::MAX_LEN + 1)).is_err());
        for prefix in ["", "tables/", "tables/orders/_delta_log/", "a", "größe/"] {
            rule("main", prefix).unwrap();
        }
        assert!("staged".parse::<Written>().is_err());
    }
}
