//! A check before acceptance: somebody who is asked whether a commit or a merge may be queued.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result, quoted};

/// The longest time that a check may take, in milliseconds.
pub const CHECK_TIMEOUT_MAX_MS: u64 = 30_000;

/// What becomes of a commit whose check gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is refused.
    #[default]
    Refuse,
    /// It is accepted.
    Accept,
}

impl OnFailure {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Accept => "accept",
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for OnFailure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Refuse, Self::Accept].into_iter().find(|way| way.name() == text).ok_or_else(|| {
            Error::invalid(format!("'{}' is neither refuse nor accept", quoted(text)))
        })
    }
}

/// A webhook that is asked before a commit or a merge is queued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Where it is asked.
    pub url: String,
    /// What the question is signed with, sealed by who made the rule.
    pub secret: String,
    /// How long it may take.
    pub timeout_ms: u64,
    /// What becomes of a commit that it gives no answer for.
    pub on_failure: OnFailure,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("on_failure", &self.on_failure).finish_non_exhaustive()
    }
}

impl Check {
    pub(super) fn check(&self) -> Result<()> {
        match (1..=CHECK_TIMEOUT_MAX_MS).contains(&self.timeout_ms) {
            true => Ok(()),
            false => Err(Error::invalid("a check may take 30 s at most, and not 0")),
        }
    }
}
