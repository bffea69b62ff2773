//! Whether a deployment can keep the promises: what its Redis and its object store really do, and
//! what to change where that is not enough. `docs/reliability.md` says why each matters.

mod check;
pub mod commands;
mod redis;
mod storage;

use crate::coord::Lanes;
use crate::model::error::Error;
use crate::objects::Objects;

use super::config::Config;

pub use check::{Check, Health};

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
