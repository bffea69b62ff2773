//! What Redis and the system say of themselves.

use nix::sys::time::TimeValLike;
use onward::internals::coord::Lanes;
use onward::{Error, Result};
use redis::Value;

/// Calls to Redis that take longer than this, in microseconds, are looked at.
const SLOW_US: u64 = 500;

/// Watches, by Redis's own slow log, how long a single command keeps it busy. What is logged
/// already stays; only the threshold is changed for a while.
pub struct SlowLog {
    lanes: Lanes,
    threshold: String,
    newest: i64,
}

impl SlowLog {
    /// Begins. `None` where this Redis does not let us.
    pub async fn watch(lanes: &Lanes) -> Option<Self> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg("slowlog-log-slower-than");
        let reply = lanes.call("config", &get).await.ok()?;
        let (_, threshold): (String, String) = redis::from_redis_value(reply).ok()?;
        let watch = Self { lanes: lanes.clone(), threshold, newest: -1 };
        watch.set_threshold(&SLOW_US.to_string()).await.ok()?;
        let newest = watch.entries(1).await.ok()?.first().map_or(-1, |(id, _)| *id);
        Some(Self { newest, ..watch })
    }

    /// Ends, and tells the longest time that one command took since the beginning, in
    /// milliseconds: 0 where none took half a millisecond.
    pub async fn longest_ms(self) -> Result<f64> {
        let entries = self.entries(1_000_000).await?;
        self.set_threshold(&self.threshold).await?;
        let since = entries.iter().filter(|(id, _)| *id > self.newest).map(|(_, us)| *us);
        Ok(since.max().unwrap_or(0) as f64 / 1e3)
    }

    async fn set_threshold(&self, us: &str) -> Result<()> {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("slowlog-log-slower-than").arg(us);
        self.lanes.call("config", &set).await.map(drop)
    }

    /// Id and microseconds of the newest entries, newest first.
    async fn entries(&self, count: u32) -> Result<Vec<(i64, i64)>> {
        let mut get = redis::cmd("SLOWLOG");
        get.arg("GET").arg(count);
        let Value::Array(entries) = self.lanes.call("slowlog", &get).await? else {
            return Err(Error::internal("Redis gave no slow log"));
        };
        let two = |entry: &Value| match entry {
            Value::Array(parts) => match parts.as_slice() {
                [Value::Int(id), _, Value::Int(us), ..] => Some((*id, *us)),
                _ => None,
            },
            _ => None,
        };
        Ok(entries.iter().filter_map(two).collect())
    }
}

/// One section of what Redis says of itself.
pub struct Info(String);

/// Asks for a section.
pub async fn info(lanes: &Lanes, section: &str) -> Result<Info> {
    let reply = lanes.call("info", redis::cmd("INFO").arg(section)).await?;
    redis::from_redis_value(reply)
        .map(Info)
        .map_err(|_| Error::unavailable("Redis did not answer INFO with text"))
}

impl Info {
    /// A number in it.
    pub fn number(&self, name: &str) -> Result<f64> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(field, _)| *field == name);
        found
            .and_then(|(_, value)| value.trim().parse().ok())
            .ok_or_else(|| Error::unavailable(format!("Redis does not tell its {name}")))
    }
}

/// How many clients Redis takes, raised for a while.
pub struct MaxClients {
    lanes: Lanes,
    before: Option<u64>,
}

impl MaxClients {
    /// So many at the least. Fails where Redis, or the system that it runs on, does not let us.
    pub async fn at_least(lanes: &Lanes, wanted: usize) -> Result<Self> {
        let mut get = redis::cmd("CONFIG");
        let reply = lanes.call("config", get.arg("GET").arg("maxclients")).await?;
        let (_, allowed): (String, u64) = redis::from_redis_value(reply)
            .map_err(|_| Error::unavailable("Redis does not tell how many clients it takes"))?;
        let wanted = wanted as u64;
        let room = Self { lanes: lanes.clone(), before: (allowed < wanted).then_some(allowed) };
        if room.before.is_some() {
            room.set(wanted).await.map_err(|error| {
                error.context(format!(
                    "{wanted} connections are asked for, and this Redis takes {allowed}: raise its maxclients, and how many files it may open"
                ))
            })?;
        }
        Ok(room)
    }

    async fn set(&self, clients: u64) -> Result<()> {
        let mut set = redis::cmd("CONFIG");
        self.lanes.call("config", set.arg("SET").arg("maxclients").arg(clients)).await.map(drop)
    }

    /// As it was before.
    pub async fn put_back(self) -> Result<()> {
        match self.before {
            Some(before) => self.set(before).await,
            None => Ok(()),
        }
    }
}

/// The most memory that this process has ever had, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Time that this process has spent on processors, in ms, where the system tells.
pub fn processor_ms() -> Option<u64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
    let ms = usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
    u64::try_from(ms).ok()
}
