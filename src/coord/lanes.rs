//! Connections to Redis: a few shared, multiplexed lanes whose life cycle a deadpool pool owns.
//!
//! A lane is checked out once and its connection cloned for every call, so that calls of many
//! tasks travel pipelined; checking a connection out per call costs a round trip of its own and
//! measured five to eight times slower. A lane that fails, or that turns out to lead to a server
//! that no longer accepts writes, is dropped and opened anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, PoolConfig, Runtime, Timeouts};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisError, Value};

use crate::clock::Deadline;
use crate::model::error::{Error, ErrorKind, Result};

use super::script::{self, Script};

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Shared connections. One carries over 100,000 small calls a second.
    pub lanes: usize,
    /// How long one call may take before its reply counts as lost.
    pub response_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long calls are tried again while Redis does not answer or cannot accept writes.
    pub patience: Duration,
    /// Connections for blocking reads, at most.
    pub blocking: usize,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self {
            lanes: 2,
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(5),
            blocking: 1024,
        }
    }
}

/// The longest that one blocking read may wait in the server.
pub const BLOCK_MAX: Duration = Duration::from_secs(5);

/// The oldest Redis that has every command the scripts use.
const OLDEST_VERSION: (u32, u32) = (6, 2);

struct Lane {
    generation: u64,
    /// Kept so that the pool counts the connection for as long as the lane lives.
    owner: Connection,
}

/// Shared access to one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    options: LaneOptions,
    pool: Pool,
    blocking: Pool,
    /// A std mutex: held for a clone, never across an await.
    lanes: Vec<Mutex<Option<Lane>>>,
    /// One task at a time opens a lane; the others wait for it instead of opening their own.
    opening: tokio::sync::Mutex<()>,
    next: AtomicUsize,
    generations: AtomicU64,
    losses: AtomicU64,
    calls: Mutex<BTreeMap<&'static str, u64>>,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").field("url", &redact(&self.inner.url)).finish()
    }
}

impl Lanes {
    /// Connects to the Redis at `url` and checks that it can serve: `redis://`, `redis+unix://` or
    /// `unix://`.
    pub async fn open(url: &str, options: LaneOptions) -> Result<Self> {
        let pool = build_pool(url, &options, Some(options.response_timeout), options.lanes)?;
        let block = BLOCK_MAX + options.response_timeout;
        let blocking = build_pool(url, &options, Some(block), options.blocking)?;
        let lanes = Self {
            inner: Arc::new(Inner {
                url: url.to_owned(),
                lanes: (0..options.lanes.max(1)).map(|_| Mutex::new(None)).collect(),
                options,
                pool,
                blocking,
                opening: tokio::sync::Mutex::new(()),
                next: AtomicUsize::new(0),
                generations: AtomicU64::new(0),
                losses: AtomicU64::new(0),
                calls: Mutex::new(BTreeMap::new()),
            }),
        };
        lanes.check_server().await?;
        Ok(lanes)
    }

    /// The URL without its password.
    pub fn url(&self) -> String {
        redact(&self.inner.url)
    }

    /// How often a connection was lost so far. A change means that Redis may have lost data.
    pub fn losses(&self) -> u64 {
        self.inner.losses.load(Ordering::Acquire)
    }

    /// Calls made so far, by script or command.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a script, teaching it to the server where needed. Scripts are idempotent, so a call
    /// whose reply was lost is made again.
    pub async fn run(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script.sha()).arg(keys.len());
        keys.iter().for_each(|key| {
            call.arg(*key);
        });
        args.iter().for_each(|arg| {
            call.arg(*arg);
        });
        self.call(script.name, &call).await
    }

    /// Makes one idempotent call, again and again while Redis cannot be reached or cannot accept
    /// it, for as long as the options' patience.
    pub async fn call(&self, name: &'static str, call: &Cmd) -> Result<Value> {
        // Boxed: the state of a call would make every future around it as large, and those of
        // callers are moved.
        Box::pin(self.call_patiently(name, call)).await
    }

    async fn call_patiently(&self, name: &'static str, call: &Cmd) -> Result<Value> {
        let deadline = Deadline::after(self.inner.options.patience);
        let mut pause = Duration::from_millis(5);
        loop {
            let error = match self.call_once(name, call).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let out_of_time = deadline.left() < pause;
            if !error.retry || out_of_time {
                return Err(error.error);
            }
            tracing::debug!(call = name, error = %error.error, "calling Redis again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn call_once(&self, name: &'static str, call: &Cmd) -> Result<Value, CallError> {
        let (index, generation, mut connection) = self.lane().await?;
        self.count(name);
        let mut result = call.query_async::<Value>(&mut connection).await;
        if matches!(&result, Err(error) if error.code() == Some("NOSCRIPT")) {
            teach(&mut connection)
                .await
                .map_err(|error| self.fail(name, error, index, generation))?;
            self.count(name);
            result = call.query_async::<Value>(&mut connection).await;
        }
        result.map_err(|error| self.fail(name, error, index, generation))
    }

    fn fail(&self, name: &str, error: RedisError, index: usize, generation: u64) -> CallError {
        let verdict = classify(name, &self.inner.url, error);
        if verdict.drop_lane {
            self.drop_lane(index, generation);
        }
        verdict
    }

    /// A connection for blocking reads, of the caller's own. It is not given back: a read that was
    /// abandoned may still hold the server's side of it.
    pub async fn blocking(&self) -> Result<MultiplexedConnection> {
        let connection = self.inner.blocking.get().await.map_err(|e| self.no_connection(e))?;
        Ok(Connection::take(connection))
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

    async fn lane(&self) -> Result<(usize, u64, MultiplexedConnection), CallError> {
        let index = self.inner.next.fetch_add(1, Ordering::Relaxed) % self.inner.lanes.len();
        if let Some((generation, connection)) = self.open_lane(index) {
            return Ok((index, generation, connection));
        }
        let _one_at_a_time = self.inner.opening.lock().await;
        if let Some((generation, connection)) = self.open_lane(index) {
            return Ok((index, generation, connection));
        }
        let owner = self.inner.pool.get().await.map_err(|error| CallError {
            error: self.no_connection(error),
            retry: true,
            drop_lane: false,
        })?;
        let connection = MultiplexedConnection::clone(&owner);
        let generation = self.inner.generations.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(slot) = self.inner.lanes.get(index) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Lane { generation, owner });
        }
        Ok((index, generation, connection))
    }

    fn open_lane(&self, index: usize) -> Option<(u64, MultiplexedConnection)> {
        let slot = self.inner.lanes.get(index)?.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|lane| (lane.generation, MultiplexedConnection::clone(&lane.owner)))
    }

    /// Drops a lane for good, unless somebody has opened a newer one in its place.
    fn drop_lane(&self, index: usize, generation: u64) {
        let Some(slot) = self.inner.lanes.get(index) else {
            return;
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|lane| lane.generation == generation) {
            self.note_loss();
            if let Some(lane) = slot.take() {
                drop(Connection::take(lane.owner));
            }
        }
    }

    fn no_connection(&self, error: deadpool_redis::PoolError) -> Error {
        let message = format!(
            "cannot connect to Redis at {}: {error}; check that the server runs and that --redis / ONWARD_REDIS names it",
            self.url()
        );
        Error::unavailable(message)
    }

    async fn check_server(&self) -> Result<()> {
        let info = self.call("info", redis::cmd("INFO").arg("server")).await?;
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

async fn teach(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let mut pipeline = redis::pipe();
    for script in script::ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.text).ignore();
    }
    pipeline.query_async::<()>(connection).await
}

fn build_pool(
    url: &str,
    options: &LaneOptions,
    response_timeout: Option<Duration>,
    size: usize,
) -> Result<Pool> {
    let wrong = |why: String| {
        Error::invalid(format!(
            "Redis URL '{}' cannot be used: {why}; write redis://HOST:PORT or unix:///PATH/TO/SOCKET",
            redact(url)
        ))
    };
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(response_timeout)
        .set_connection_timeout(Some(options.connect_timeout));
    let manager =
        Manager::new_with_config(url, config).map_err(|error| wrong(error.to_string()))?;
    let mut pool = PoolConfig::new(size.max(1));
    pool.timeouts = Timeouts {
        wait: Some(options.response_timeout),
        create: Some(options.connect_timeout),
        recycle: Some(options.response_timeout),
    };
    Pool::builder(manager)
        .config(pool)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| wrong(error.to_string()))
}

struct CallError {
    error: Error,
    /// The same call may succeed on this or another connection soon.
    retry: bool,
    /// The connection is broken or leads to the wrong server.
    drop_lane: bool,
}

fn classify(name: &str, url: &str, error: RedisError) -> CallError {
    let url = redact(url);
    let (retry, drop_lane, advice) = match error.code() {
        Some("READONLY" | "MASTERDOWN") => {
            (true, true, "this server is a replica; name the primary with --redis")
        }
        Some("LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN") => {
            (true, false, "the server is not ready yet; try again")
        }
        Some("OOM") => (false, false, "Redis is out of memory: raise maxmemory or free some"),
        Some("MISCONF") => (
            false,
            false,
            "Redis cannot persist its data: free disk space or mend its save settings",
        ),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => {
            (false, false, "check the user and password in the Redis URL")
        }
        Some(_) if !error.is_io_error() => {
            let message = format!("Redis at {url} refused '{name}': {error}");
            let error = Error::new(ErrorKind::Internal, message);
            return CallError { error, retry: false, drop_lane: false };
        }
        _ => (
            true,
            true,
            "it may have been carried out all the same; check that the server runs and can be reached",
        ),
    };
    let message = format!("Redis at {url} did not carry out '{name}': {error}; {advice}");
    CallError { error: Error::unavailable(message), retry, drop_lane }
}

/// The URL without user and password, fit for messages.
fn redact(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (head, _) = url.split_at(scheme + 3);
            let (_, tail) = url.split_at(at + 1);
            format!("{head}…@{tail}")
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_messages() {
        assert_eq!(redact("redis://u:secret@h:6379/0"), "redis://…@h:6379/0");
        assert_eq!(redact("redis://h:6379"), "redis://h:6379");
        assert_eq!(redact("unix:///run/redis.sock"), "unix:///run/redis.sock");
    }
}
