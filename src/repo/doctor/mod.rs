//! Whether a deployment can keep the promises: what its Redis and its object store really do, and
//! what to change where that is not enough. `docs/reliability.md` says why each matters.

mod redis;
mod storage;

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::coord::Lanes;
use crate::model::error::{Error, Result};
use crate::objects::Objects;

use super::config::Config;

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
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, health: Health::Good, found: found.into(), advice: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { check, health: Health::Warning, found: found.into(), advice }
    }

    fn bad(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { check, health: Health::Bad, found: found.into(), advice }
    }

    /// What became of something that has to work.
    fn works(check: &'static str, result: Result<String>, advice: &str) -> Self {
        match result {
            Ok(found) => Self::good(check, found),
            Err(error) => Self::bad(check, error.to_string(), advice),
        }
    }
}

/// Looks at the Redis and the object store of `config`, and calls `tell` for each thing looked at.
/// Writes small probes and removes them again; about 60 calls in all.
pub async fn examine(config: &Config, tell: &mut (dyn FnMut(Check) + Send)) {
    match Lanes::open(&config.redis, config.lanes.clone()).await {
        Ok(lanes) => redis::examine(&lanes, tell).await,
        Err(error) => tell(unreachable("redis_reached", &error)),
    }
    match Objects::open(&config.storage) {
        Ok(objects) => storage::examine(&objects, tell).await,
        Err(error) => tell(unreachable("storage_reached", &error)),
    }
}

/// As [`examine`], for the parts of a deployment that are there already.
pub async fn examine_parts(lanes: &Lanes, objects: &Objects, tell: &mut (dyn FnMut(Check) + Send)) {
    redis::examine(lanes, tell).await;
    storage::examine(objects, tell).await;
}

fn unreachable(check: &'static str, error: &Error) -> Check {
    Check::bad(check, error.to_string(), "nothing works without it")
}

/// Calls whose time is taken.
const LATENCY_CALLS: usize = 10;

/// Makes the same call several times, and tells of the median and the longest.
async fn latency<F: Future<Output = Result<()>>>(
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
