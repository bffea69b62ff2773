//! Connections to Redis: a few shared, multiplexed lanes for calls, and one for each blocking read.
//!
//! A lane's connection is cloned for every call, so that calls of many tasks travel pipelined;
//! checking a connection out per call costs a round trip of its own and measured five to eight
//! times slower. Where connections come from is the business of a [`Connector`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, Value};

use crate::clock::{Deadline, Stopwatch};
use crate::measures;
use crate::model::error::{Error, Result};

use super::attempts::Attempts;
use super::call::ScriptCall;
use super::connect::{Connector, Link, connector};
use super::failure::{CallError, LaneFate, classify, is_unknown_script};
use super::options::LaneOptions;
use super::waits::Waits;

/// Calls that go together on one connection on this machine, before another one is used. Over a network a
/// short call would stand behind a long reply, and a connection that is lost would take all of them along: there
/// each goes alone while there are connections.
const TOGETHER: usize = 16;

/// The oldest Redis that has every command the scripts use.
const OLDEST_VERSION: (u32, u32) = (6, 2);

struct Lane {
    generation: u64,
    link: Link,
}

/// A place for a lane.
#[derive(Default)]
struct Place {
    /// A std mutex: held for a clone, never across an await.
    lane: Mutex<Option<Lane>>,
    /// Calls under way on it.
    busy: AtomicUsize,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Option<Lane>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way on a lane, until this goes.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn with(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(calls)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shared access to one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Pool>,
}

/// The lanes that clones share.
struct Pool {
    connector: Arc<dyn Connector>,
    options: LaneOptions,
    lanes: Vec<Place>,
    /// One task at a time opens a lane.
    opening: Attempts<CallError>,
    /// Calls on a lane, before the next one is used.
    together: usize,
    next: AtomicUsize,
    generations: AtomicU64,
    losses: AtomicU64,
    calls: Mutex<BTreeMap<&'static str, u64>>,
    waits: Waits,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").field("url", &self.url()).finish()
    }
}

impl Lanes {
    /// Connects to the Redis at `url` and checks that it can serve:
    ///
    /// * one server: `redis://[USER:PASSWORD@]HOST:PORT[/DB]`, `unix:///PATH`;
    /// * the primary that Sentinels name:
    ///   `redis-sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME[/DB]`, with
    ///   `?sentinel_user=…&sentinel_password=…` where the Sentinels ask for a login of their own;
    /// * a cluster, by some of its servers: `redis-cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`.
    ///
    /// `rediss` in place of `redis` encrypts (feature `tls`). A `%` escapes what has a meaning in
    /// URLs.
    pub async fn open(url: &str, options: LaneOptions) -> Result<Self> {
        Self::with_connector(connector(url, &options)?, options).await
    }

    /// Connects by way of `connector` and checks that the Redis there can serve.
    pub async fn with_connector(
        connector: Arc<dyn Connector>,
        options: LaneOptions,
    ) -> Result<Self> {
        let is_local = connector.url().split("://").next().is_some_and(|s| s.ends_with("unix"));
        let lanes = Self {
            inner: Arc::new(Pool {
                together: if is_local { TOGETHER } else { 1 },
                connector,
                lanes: (0..options.lanes.max(1)).map(|_| Place::default()).collect(),
                options,
                opening: Attempts::default(),
                next: AtomicUsize::new(0),
                generations: AtomicU64::new(0),
                losses: AtomicU64::new(0),
                calls: Mutex::new(BTreeMap::new()),
                waits: Waits::default(),
            }),
        };
        lanes.check_server().await?;
        Ok(lanes)
    }

    /// The URL without its password.
    pub fn url(&self) -> String {
        self.inner.connector.url()
    }

    /// How often a connection was lost, or another server took over, so far. A change means that
    /// Redis may have lost data.
    pub fn losses(&self) -> u64 {
        self.inner.losses.load(Ordering::Acquire) + self.inner.connector.changes()
    }

    /// Calls made so far, by script or command.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why a call is being made again and again, where one is: what whoever waits for it has to be
    /// told.
    pub fn waits_for(&self) -> Option<String> {
        self.inner.waits.reason()
    }

    /// Runs a script, teaching it to the server where needed. Scripts are idempotent, so a call
    /// whose reply was lost is made again.
    pub async fn run(&self, call: &ScriptCall) -> Result<Value> {
        Box::pin(self.call_patiently(call.name(), call.command(), Some(call))).await
    }

    /// Makes one idempotent call, again and again while Redis cannot be reached or cannot accept
    /// it, for as long as the options' patience.
    pub async fn call(&self, name: &'static str, call: &Cmd) -> Result<Value> {
        // Boxed: the state of a call would make every future around it as large, and those of
        // callers are moved.
        Box::pin(self.call_patiently(name, call, None)).await
    }

    /// Removes keys, whatever they hold.
    pub async fn unlink(&self, keys: &[&str]) -> Result<()> {
        let mut call = redis::cmd("UNLINK");
        call.arg(keys);
        self.call("unlink", &call).await.map(drop)
    }

    async fn call_patiently(
        &self,
        name: &'static str,
        call: &Cmd,
        script: Option<&ScriptCall>,
    ) -> Result<Value> {
        let deadline = Deadline::after(self.inner.options.patience);
        let mut pause = Duration::from_millis(5);
        let mut refused = true;
        loop {
            let mut error = match self.call_once(name, call, script).await {
                Ok(value) => {
                    self.inner.waits.over(name);
                    return Ok(value);
                }
                Err(error) => error,
            };
            refused &= error.error.is_refused();
            let out_of_time = deadline.left() < pause;
            if !error.retry || out_of_time {
                if !refused {
                    error.error = error.error.in_doubt();
                }
                return Err(error.error);
            }
            self.inner.waits.note(name, &error.error);
            tracing::debug!(call = name, error = %error.error, "calling Redis again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn call_once(
        &self,
        name: &'static str,
        call: &Cmd,
        script: Option<&ScriptCall>,
    ) -> Result<Value, CallError> {
        let index = self.free_lane();
        let _busy = self.inner.lanes.get(index).map(|place| Busy::with(&place.busy));
        let (generation, mut link) = self.lane(index).await?;
        self.count(name);
        let begun = Stopwatch::start();
        let mut result = call.query_async::<Value>(&mut link).await;
        if let (Err(error), Some(script)) = (&result, script)
            && is_unknown_script(error)
        {
            self.count(name);
            result = script.teaching().query_async::<Value>(&mut link).await;
        }
        measures::redis(name, begun.elapsed());
        result.map_err(|error| {
            let verdict = classify(name, &self.url(), error);
            if verdict.lane == LaneFate::Dropped && !link.heals() {
                self.drop_lanes(index, generation);
            }
            verdict
        })
    }

    /// A connection for blocking reads of `key`, of the caller's own. It is never given to another:
    /// a read that was abandoned may still hold the server's side of it.
    pub async fn blocking(&self, key: &str) -> Result<Link> {
        self.inner.connector.blocking(key).await
    }

    /// Counts a call that was made outside [`Lanes::call`].
    pub(super) fn count(&self, name: &'static str) {
        let mut calls = self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(name).or_default() += 1;
    }

    /// Notes that a connection was lost.
    pub(super) fn note_loss(&self) {
        self.inner.losses.fetch_add(1, Ordering::AcqRel);
    }

    /// The first lane that has few calls under way, else one after the other. Calls that go together on one
    /// connection are read, and answered, in one go by the server; and who makes one call at a time has one
    /// connection, and nothing of a second one takes room here, in the server, or in the caches of both.
    fn free_lane(&self) -> usize {
        let lanes = &self.inner.lanes;
        let has_room = |place: &Place| place.busy.load(Ordering::Relaxed) < self.inner.together;
        let first = lanes.iter().position(has_room);
        first.unwrap_or_else(|| self.inner.next.fetch_add(1, Ordering::Relaxed) % lanes.len())
    }

    async fn lane(&self, index: usize) -> Result<(u64, Link), CallError> {
        self.inner.opening.share(|| self.open_lane(index), self.open_anew(index)).await
    }

    async fn open_anew(&self, index: usize) -> Result<(u64, Link), CallError> {
        let link = self.inner.connector.shared().await.map_err(|error| CallError {
            retry: error.is_retryable(),
            error,
            lane: LaneFate::Kept,
        })?;
        let calls = link.clone();
        let generation = self.inner.generations.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(place) = self.inner.lanes.get(index) {
            *place.lock() = Some(Lane { generation, link });
        }
        Ok((generation, calls))
    }

    fn open_lane(&self, index: usize) -> Option<(u64, Link)> {
        self.inner
            .lanes
            .get(index)?
            .lock()
            .as_ref()
            .map(|lane| (lane.generation, lane.link.clone()))
    }

    /// Drops a lane for good, and the others with it: what made one useless (a server that died,
    /// or is no longer the primary) holds for those that were opened with it, and a process must
    /// not talk to two servers in turn. Nothing happens where somebody has done so already.
    fn drop_lanes(&self, index: usize, generation: u64) {
        if self.open_lane(index).is_none_or(|(current, _)| current != generation) {
            return;
        }
        self.note_loss();
        for place in &self.inner.lanes {
            place.lock().take();
        }
    }

    async fn check_server(&self) -> Result<()> {
        let info = self.call("info", redis::cmd("INFO").arg("server")).await.map_err(|error| {
            match error.is_retryable() && !error.is_outage() {
                true => error.context("Onward asks a server for its version by INFO"),
                false => error,
            }
        })?;
        let text: String = redis::from_redis_value(info)
            .map_err(|_| Error::unavailable("Redis did not answer INFO with text"))?;
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"))
            .map(str::trim)
            .unwrap_or_default();
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if found < OLDEST_VERSION {
            return Err(Error::unavailable(format!(
                "the Redis at {} is version '{version}'; Onward needs {}.{} or newer: upgrade it or name another with --redis",
                self.url(),
                OLDEST_VERSION.0,
                OLDEST_VERSION.1
            )));
        }
        Ok(())
    }
}
