//! One branch as it lies in Redis: whoever asks for something of it asks here.
//!
//! Each script has a method, in the file that is named like it: [`submit`](super::submit),
//! [`view`](super::view) with `extend` and `mend`, [`rows`](super::rows),
//! [`publish`](super::publish), [`status`](super::status) with `cancel`,
//! [`staging`](super::staging) and [`restore`](super::restore). What plain commands do is in
//! [`queue`](super::queue), [`outcomes`](super::outcomes) and below.

use std::sync::Arc;

use redis::Value;

use crate::clock::Stopwatch;
use crate::model::error::{Error, Result};

use super::call::ScriptCall;
use super::keys::BranchKeys;
use super::lanes::Lanes;
use super::reply::Reply;
use super::retention::Retention;
use super::turn::Turn;

/// One incarnation of a branch in one Redis. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RedisBranch(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    lanes: Lanes,
    keys: BranchKeys,
    turn: Turn,
    retention: Retention,
}

impl RedisBranch {
    /// The branch with these keys, for a process that asks for the turn as `turn` says and keeps
    /// what `retention` says.
    pub fn new(lanes: Lanes, keys: BranchKeys, turn: Turn, retention: Retention) -> Self {
        Self(Arc::new(Parts { lanes, keys, turn, retention }))
    }

    /// The keys of the branch.
    pub fn keys(&self) -> &BranchKeys {
        &self.0.keys
    }

    /// How often a connection was lost so far, see [`Lanes::losses`].
    pub fn losses(&self) -> u64 {
        self.0.lanes.losses()
    }

    /// Why a call is being made again and again, where one is, see [`Lanes::waits_for`].
    pub fn waits_for(&self) -> Option<String> {
        self.0.lanes.waits_for()
    }

    /// The time by the clock of Redis, in milliseconds since the Unix epoch: the one that all share.
    pub async fn now_ms(&self) -> Result<i64> {
        let mut reply = Reply::new("time", self.lanes().call("time", &redis::cmd("TIME")).await?)?;
        let (seconds, micros) = (reply.text()?, reply.text()?);
        let number =
            |text: String| text.parse::<i64>().map_err(|_| Error::internal("TIME gave no number"));
        Ok(number(seconds)?.saturating_mul(1000).saturating_add(number(micros)? / 1000))
    }

    /// The time by the clock of Redis when something began.
    pub async fn began_ms(&self, begun: Stopwatch) -> Result<i64> {
        let elapsed = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(self.now_ms().await?.saturating_sub(elapsed))
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.0.turn
    }

    pub(super) fn retention(&self) -> &Retention {
        &self.0.retention
    }

    pub(super) async fn run(&self, call: &ScriptCall) -> Result<Value> {
        self.lanes().run(call).await
    }
}
