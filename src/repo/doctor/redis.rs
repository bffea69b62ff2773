//! What to know of a Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Value, cmd};

use crate::clock;
use crate::coord::view::Wish;
use crate::coord::{Answer, BranchKeys, Lanes, RedisBranch, Retention, Turn};
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::RepoName;

use super::check::{Check, latency};
use super::commands;

/// A round trip to Redis that is slower costs throughput: a lone commit takes two of them.
const ROUND_TRIP_SLOW: Duration = Duration::from_millis(5);

/// Clocks further apart make ages on commits misleading.
const SKEW_MAX_MS: i64 = 1000;

/// A part of `maxmemory` that is in use, in percent, from which on it will soon be full.
const MEMORY_HIGH: u64 = 80;

pub(super) async fn examine(lanes: &Lanes, tell: &mut (dyn FnMut(Check) + Send)) {
    let info = match info(lanes).await {
        Ok(info) => info,
        Err(error) => {
            let advice = "let the user of the URL call INFO, and check that the server answers";
            return tell(Check::bad("redis_reached", error.to_string(), advice));
        }
    };
    tell(reached(lanes, &info));
    tell(role(&info));
    tell(Check::works(
        "redis_scripts",
        scripts(lanes).await,
        "let the user of the URL call EVALSHA and EVAL, and use Redis 6.2, Valkey 7.2 or newer",
    ));
    tell(Check::works(
        "redis_permissions",
        permissions(lanes).await,
        "let the user of the URL read and write keys that begin with 'onward:'",
    ));
    tell(commands::tried(lanes).await);
    tell(persistence(&info));
    tell(eviction(&info));
    tell(memory(&info));
    if let Some(check) = commands::hashes(lanes).await {
        tell(check);
    }
    tell(time(lanes).await);
    tell(
        latency(
            "redis_latency",
            ROUND_TRIP_SLOW,
            "run Onward nearer to its Redis: a lone commit takes two round trips",
            async || lanes.call("ping", &cmd("PING")).await.map(drop),
        )
        .await,
    );
    tell(replicas(&info));
}

type Info = BTreeMap<String, String>;

async fn info(lanes: &Lanes) -> Result<Info> {
    let reply = lanes.call("info", &cmd("INFO")).await?;
    let text: String = redis::from_redis_value(reply)
        .map_err(|_| Error::unavailable("Redis did not answer INFO with text"))?;
    let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn number(info: &Info, name: &str) -> u64 {
    info.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn text<'a>(info: &'a Info, name: &str) -> &'a str {
    info.get(name).map_or("", String::as_str)
}

fn reached(lanes: &Lanes, info: &Info) -> Check {
    let (name, version) = match info.get("valkey_version") {
        Some(version) => ("Valkey", version.as_str()),
        None => ("Redis", text(info, "redis_version")),
    };
    Check::good("redis_reached", format!("{name} {version} at {}", lanes.url()))
}

fn role(info: &Info) -> Check {
    match text(info, "role") {
        "master" => Check::good("redis_role", "a primary"),
        other => Check::bad(
            "redis_role",
            format!("it is a {other}, which accepts no writes"),
            "name the primary, or let Sentinels name it: redis-sentinel://HOST:PORT,…/NAME",
        ),
    }
}

/// Runs a script of ours on a branch that does not exist.
async fn scripts(lanes: &Lanes) -> Result<String> {
    let keys = BranchKeys::new(&RepoName::new("doctor")?, BranchUid(clock::random_u64()));
    let turn = Turn { helper: "doctor".into(), length_ms: 1 };
    let nobody = RedisBranch::new(lanes.clone(), keys, turn, Retention::default());
    match nobody.view(Wish::Look, 0).await? {
        Answer::Absent | Answer::Ended => Ok("scripts run".into()),
        Answer::Given(_) => Err(Error::internal("a branch with a random name is there")),
    }
}

/// Writes, reads and removes a key like those of names.
async fn permissions(lanes: &Lanes) -> Result<String> {
    let key = format!("onward:{{doctor}}:{:016x}", clock::random_u64());
    let mut set = cmd("SET");
    set.arg(&key).arg("1").arg("PX").arg(10_000);
    lanes.call("set", &set).await?;
    let mut get = cmd("EXISTS");
    get.arg(&key);
    let there = lanes.call("exists", &get).await?;
    lanes.unlink(&[&key]).await?;
    match there {
        Value::Int(1) => Ok("keys under 'onward:' can be written, read and removed".into()),
        _ => Err(Error::unavailable("a key that was written is not there")),
    }
}

fn persistence(info: &Info) -> Check {
    const CHECK: &str = "redis_persistence";
    let advice = "set 'appendonly yes' and 'appendfsync everysec' (or 'always'): committed data is \
                  safe in the object store, but what is staged or queued lives in Redis only";
    if text(info, "aof_last_write_status") == "err" {
        let advice = "free disk space on the server or mend its disk";
        return Check::bad(CHECK, "the append-only file cannot be written", advice);
    }
    if text(info, "aof_enabled") == "1" {
        return Check::good(CHECK, "an append-only file");
    }
    if text(info, "rdb_last_bgsave_status") == "err" {
        let advice = "free disk space on the server, or mend its settings of 'save' and 'dir'";
        return Check::bad(CHECK, "its last snapshot failed", advice);
    }
    let found =
        "no append-only file: a crash loses what is staged or queued since the last snapshot";
    Check::warning(CHECK, found, advice)
}

fn eviction(info: &Info) -> Check {
    const CHECK: &str = "redis_eviction";
    let policy = text(info, "maxmemory_policy");
    match policy {
        "noeviction" => Check::good(CHECK, "noeviction"),
        policy if policy.starts_with("volatile-") => Check::warning(
            CHECK,
            format!("{policy}: outcomes and op ids of idle branches may be forgotten early"),
            "set 'maxmemory-policy noeviction'",
        ),
        "" => Check::warning(CHECK, "INFO does not tell", "make sure it is 'noeviction'"),
        policy => Check::bad(
            CHECK,
            format!("{policy}: staged changes and queued commits may be thrown away"),
            "set 'maxmemory-policy noeviction'",
        ),
    }
}

fn memory(info: &Info) -> Check {
    const CHECK: &str = "redis_memory";
    let (used, max) = (number(info, "used_memory"), number(info, "maxmemory"));
    let used_mib = used >> 20;
    if max == 0 {
        return Check::good(CHECK, format!("{used_mib} MiB in use, no limit"));
    }
    let percent = used.saturating_mul(100) / max;
    let found = format!("{used_mib} MiB in use, {percent} % of maxmemory");
    match percent < MEMORY_HIGH {
        true => Check::good(CHECK, found),
        false => {
            Check::warning(CHECK, found, "raise maxmemory: at its limit no commit is accepted")
        }
    }
}

async fn time(lanes: &Lanes) -> Check {
    const CHECK: &str = "redis_clock";
    let before = clock::now_ms();
    let told = lanes.call("time", &cmd("TIME")).await.and_then(|reply| {
        redis::from_redis_value::<(i64, i64)>(reply)
            .map_err(|_| Error::unavailable("Redis did not answer TIME with two numbers"))
    });
    let after = clock::now_ms();
    let (seconds, micros) = match told {
        Ok(told) => told,
        Err(error) => return Check::bad(CHECK, error.to_string(), "let the user call TIME"),
    };
    let ahead = seconds * 1000 + micros / 1000 - before.midpoint(after);
    let found = format!("{ahead} ms ahead of this machine's");
    match ahead.abs() <= SKEW_MAX_MS {
        true => Check::good(CHECK, found),
        false => Check::warning(
            CHECK,
            found,
            "let both follow a time server: no promise depends on it, but ages and times of commits do",
        ),
    }
}

fn replicas(info: &Info) -> Check {
    const CHECK: &str = "redis_replicas";
    if text(info, "cluster_enabled") == "1" {
        return Check::good(CHECK, "a server of a cluster");
    }
    match number(info, "connected_slaves") {
        0 => Check::good(CHECK, "none: while this server is away, nothing is committed"),
        some => Check::good(CHECK, format!("{some} connected")),
    }
}
