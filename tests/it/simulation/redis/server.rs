//! A server and its connections: what it holds, what becomes of that when it restarts, and how
//! requests and replies travel.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use onward::internals::coord::script;
use redis::Value;
use tokio::io::{AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::Notify;

use super::command::Reply;
use super::keyspace::{Bytes, Keyspace};
use super::lua::{Change, Scripts};
use super::wire;
use crate::simulation::process::Process;
use crate::simulation::watched::Watched;
use crate::simulation::world::{Travel, World};

/// States of the past that a server can fall back to, at most.
const SNAPSHOTS_MAX: usize = 8;

/// What a server has when it comes up again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comeback {
    /// All it had: an append-only file, synced.
    Complete,
    /// What it had at some moment before.
    Older,
    /// Nothing.
    Empty,
}

/// One server. Clones are the same one.
#[derive(Clone)]
pub struct Server {
    world: World,
    change: Change,
    inner: Arc<Mutex<Inner>>,
    written: Arc<Notify>,
    /// Counts up with each end of the server: connections of before are cut.
    life: Watched<u64>,
}

struct Inner {
    keyspace: Keyspace,
    snapshots: Vec<Keyspace>,
    scripts: Scripts,
    /// Hashes of the scripts that it was taught since it started.
    taught: BTreeSet<String>,
    up: bool,
    skew_ms: i64,
    lost_data: bool,
}

impl Server {
    pub fn new(world: &World, change: Change) -> Self {
        let inner = Inner {
            keyspace: Keyspace::default(),
            snapshots: vec![Keyspace::default()],
            scripts: Scripts::new(change),
            taught: BTreeSet::new(),
            up: true,
            skew_ms: 0,
            lost_data: false,
        };
        Self {
            world: world.clone(),
            change,
            inner: Arc::new(Mutex::new(inner)),
            written: Arc::default(),
            life: Watched::new(0),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Whether its scripts are as they are: broken ones can keep who finds no room busy for ever.
    pub fn is_sound(&self) -> bool {
        script::ALL.iter().all(|script| (self.change)(script.name, script.text) == script.text)
    }

    /// Whether it takes connections.
    pub fn is_up(&self) -> bool {
        self.inner().up
    }

    /// Whether it ever came back with less than it had.
    pub fn lost_data(&self) -> bool {
        self.inner().lost_data
    }

    /// Ends it: every connection is cut.
    pub fn stop(&self) {
        self.inner().up = false;
        self.world.loses_replies();
        self.life.change(|life| *life += 1);
    }

    /// Starts it again.
    pub fn start(&self, comeback: Comeback) {
        let mut inner = self.inner();
        let keyspace = match comeback {
            Comeback::Complete => None,
            Comeback::Empty => Some(Keyspace::default()),
            Comeback::Older => {
                let index = self.world.pick(inner.snapshots.len());
                Some(inner.snapshots[index].clone())
            }
        };
        if let Some(keyspace) = keyspace {
            inner.keyspace = keyspace;
            inner.lost_data = true;
        }
        inner.up = true;
        inner.taught.clear();
    }

    /// Falls back to an older state without cutting anybody's connection.
    pub fn fall_back(&self) {
        let mut inner = self.inner();
        let index = self.world.pick(inner.snapshots.len());
        inner.keyspace = inner.snapshots[index].clone();
        inner.lost_data = true;
    }

    /// Another server with what this one has at the moment: a replica that takes itself for the
    /// primary from here on.
    pub fn replica(&self) -> Self {
        let replica = Self::new(&self.world, self.change);
        replica.inner().keyspace = self.inner().keyspace.clone();
        replica
    }

    /// Lets its clock jump.
    pub fn jump(&self, ms: i64) {
        self.inner().skew_ms += ms;
    }

    /// Whether any op waits on it.
    pub fn has_queued(&self) -> bool {
        self.inner().keyspace.has_queued()
    }

    /// What it holds, as text.
    pub fn dump(&self) -> String {
        self.inner().keyspace.dump()
    }

    fn execute(&self, args: &[Bytes]) -> Reply {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let now = (self.world.now_ms() as i64 + inner.skew_ms).unsigned_abs();
        let name = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
        match name.as_str() {
            "CLIENT" => return Ok(Value::Okay),
            "INFO" => return Ok(Value::BulkString(b"redis_version:7.0.15\r\n".to_vec())),
            "SCRIPT" => {
                let sha = sha_of(&args[2]);
                inner.taught.insert(sha.clone());
                return Ok(Value::BulkString(sha.into_bytes()));
            }
            _ => {}
        }
        // One state in a few is kept, so that a fall back may be short or long.
        if self.world.one_in(6) {
            if inner.snapshots.len() == SNAPSHOTS_MAX {
                let index = self.world.pick(SNAPSHOTS_MAX);
                inner.snapshots.remove(index);
            }
            inner.snapshots.push(inner.keyspace.clone());
        }
        let reply = if name.starts_with("EVAL") {
            let sha = match name.as_str() {
                "EVAL" => sha_of(&args[1]),
                _ => String::from_utf8_lossy(&args[1]).into_owned(),
            };
            if name == "EVAL" {
                inner.taught.insert(sha.clone());
            }
            let count: usize = String::from_utf8_lossy(&args[2]).parse().unwrap();
            let (keys, argv) = args[3..].split_at(count);
            let found = match inner.taught.contains(&sha) {
                true => inner.scripts.run(&mut inner.keyspace, now, &sha, keys, argv),
                false => None,
            };
            found.unwrap_or_else(|| Err("NOSCRIPT No matching script.".into()))
        } else {
            inner.keyspace.call(now, args)
        };
        self.written.notify_waiters();
        reply
    }

    /// `BLPOP key seconds`: what is taken out is gone, whether or not it reaches who asked.
    async fn pop_list(&self, args: &[Bytes]) -> Reply {
        let patience: f64 = String::from_utf8_lossy(&args[2]).parse().unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs_f64(patience);
        let key = args[1].clone();
        let call = |words: &[&[u8]]| {
            let words: Vec<Bytes> = words.iter().map(|word| word.to_vec()).collect();
            self.inner().keyspace.call(self.world.now_ms(), &words)
        };
        loop {
            let written = self.written.notified();
            match call(&[b"LINDEX", &key, b"0"])? {
                Value::Nil => {}
                element => {
                    call(&[b"LTRIM", &key, b"1", b"-1"])?;
                    return Ok(Value::Array(vec![Value::BulkString(key), element]));
                }
            }
            if tokio::time::timeout_at(deadline, written).await.is_err() {
                return Ok(Value::Nil);
            }
        }
    }

    /// `XREAD COUNT n BLOCK ms STREAMS key after`.
    async fn read_stream(&self, args: &[Bytes]) -> Reply {
        let text = |at: usize| String::from_utf8_lossy(&args[at]).into_owned();
        let (count, block, key, after) = (text(2), text(4), text(6), text(7));
        let patience = Duration::from_millis(block.parse().unwrap());
        let range: Vec<Bytes> = ["XRANGE", &key, &next(&after), "+", "COUNT", &count]
            .map(|a| a.as_bytes().to_vec())
            .into();
        let look = || {
            let mut inner = self.inner();
            inner.keyspace.call(self.world.now_ms(), &range)
        };
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let written = self.written.notified();
            match look()? {
                Value::Array(entries) if entries.is_empty() => {}
                entries => {
                    let stream = Value::Array(vec![Value::BulkString(key.into_bytes()), entries]);
                    return Ok(Value::Array(vec![stream]));
                }
            }
            if tokio::time::timeout_at(deadline, written).await.is_err() {
                return Ok(Value::Nil);
            }
        }
    }
}

pub(super) fn sha_of(text: &[u8]) -> String {
    redis::Script::new(&String::from_utf8_lossy(text)).get_hash().to_owned()
}

/// The id behind `<ms>-<seq>`.
fn next(id: &str) -> String {
    let (ms, seq) = id.split_once('-').unwrap();
    format!("{ms}-{}", seq.parse::<u64>().unwrap() + 1)
}

/// Serves one connection of a process until one of its ends is gone.
pub async fn serve(server: Server, process: Process, stream: DuplexStream) {
    let born = server.life.get();
    if !server.is_up() {
        return;
    }
    let work = converse(&server, &process, stream);
    tokio::select! {
        biased;
        () = server.life.wait_for(|life| life != born) => {}
        () = work => {}
    }
}

async fn converse(server: &Server, process: &Process, stream: DuplexStream) {
    let (read, mut write) = tokio::io::split(stream);
    let mut read = BufReader::new(read);
    while let Some(args) = wire::request(&mut read).await {
        process.gate().await;
        let name = String::from_utf8_lossy(&args[0]).into_owned();
        let travel = server.world.travel();
        server.world.note(|| format!("{} {name} {} {travel:?}", process.name(), describe(&args)));
        let (there, back) = match travel {
            Travel::CutBefore => return,
            Travel::CutAfter { there } => {
                tokio::time::sleep(there).await;
                let _ = server.execute(&args);
                return;
            }
            Travel::Lost { there } => {
                tokio::time::sleep(there).await;
                let _ = server.execute(&args);
                // Replies come in order: behind one that is lost nothing arrives.
                return std::future::pending().await;
            }
            Travel::Through { there, back } => (there, back),
        };
        tokio::time::sleep(there).await;
        let reply = match name.as_str() {
            "XREAD" => server.read_stream(&args).await,
            "BLPOP" => server.pop_list(&args).await,
            _ => server.execute(&args),
        };
        server.world.note(|| format!("{} {name} -> {}", process.name(), shown(&reply)));
        tokio::time::sleep(back).await;
        process.gate().await;
        let mut bytes = Vec::new();
        wire::reply(&mut bytes, &reply);
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// A request in a few words.
fn describe(args: &[Bytes]) -> String {
    match args {
        [name, script, ..] if name.starts_with(b"EVAL") => {
            let sha = match name.as_slice() {
                b"EVAL" => sha_of(script),
                _ => String::from_utf8_lossy(script).into_owned(),
            };
            let script = script::ALL.iter().find(|script| script.sha() == sha);
            script.map_or("?", |script| script.name).to_owned()
        }
        _ => String::new(),
    }
}

fn shown(reply: &Reply) -> String {
    format!("{reply:?}").chars().take(200).collect()
}
