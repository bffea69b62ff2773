//! One thing that the doctor looks at, and how it was found.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::model::error::Result;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// A promise is weaker than it could be, or something will be slow.
    Warning,
    /// A promise cannot be kept, or nothing works.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it was: a name that stays the same from one version to the next.
    pub check: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    pub(super) fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, health: Health::Good, found: found.into(), advice: None }
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check, health: Health::Warning, found: found.into(), advice }
    }

    pub(super) fn bad(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check, health: Health::Bad, found: found.into(), advice }
    }

    /// What became of something that has to work.
    pub(super) fn works(check: &'static str, result: Result<String>, advice: &str) -> Self {
        match result {
            Ok(found) => Self::good(check, found),
            Err(error) => Self::bad(check, error.to_string(), advice),
        }
    }
}

/// Calls whose time is taken.
const LATENCY_CALLS: usize = 10;

/// Makes the same call several times, and tells of the median and the longest.
pub(super) async fn latency<F: Future<Output = Result<()>>>(
    check: &'static str,
    slow: Duration,
    advice: &str,
    mut call: impl FnMut() -> F,
) -> Check {
    let mut took = Vec::with_capacity(LATENCY_CALLS);
    for _ in 0..LATENCY_CALLS {
        let watch = Stopwatch::start();
        if let Err(error) = call().await {
            return Check::bad(check, error.to_string(), "nothing works without it");
        }
        took.push(watch.elapsed());
    }
    took.sort();
    let median = took.get(LATENCY_CALLS / 2).copied().unwrap_or_default();
    let longest = took.last().copied().unwrap_or_default();
    let found = format!("{median:.1?} in the median, {longest:.1?} at most");
    match median <= slow {
        true => Check::good(check, found),
        false => Check::warning(check, found, advice),
    }
}
