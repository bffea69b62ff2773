//! One branch seen from outside: its keys, its log as the object store has it, its queue held up,
//! its Redis state taken back to an earlier moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onward::internals::commit::context::BranchContext;
use onward::internals::commit::log::entry::LogEntry;
use onward::internals::commit::log::lake::{Lake, LakeOptions};
use onward::internals::commit::log::record::{BranchRecord, RepoRecord};
use onward::internals::coord::BranchKeys;
use onward::internals::model::commit::Commit;
use onward::internals::objects::Objects;
use onward::{CommitId, Details, Onward, OpId, Ticket};

use super::redis::RedisServer;

/// The op id that `n` stands for.
pub fn op_id(n: usize) -> OpId {
    format!("00000000-0000-4000-8000-{n:012}").parse().unwrap()
}

/// Repository `lake`, in its newest life.
async fn fresh_lake(objects: &Objects) -> Lake {
    let newest = RepoRecord::newest(objects, &"lake".parse().unwrap()).await.unwrap();
    let life = newest.map_or_else(|| "lake".parse().unwrap(), |(life, _)| life);
    Lake::new(life, objects.clone(), LakeOptions::default())
}

async fn record(objects: &Objects, branch: &str) -> BranchRecord {
    let name = branch.parse().unwrap();
    BranchRecord::newest(&fresh_lake(objects).await, &name).await.unwrap().unwrap().0
}

/// The Redis keys of a branch of repository `lake`.
pub async fn keys(objects: &Objects, branch: &str) -> BranchKeys {
    BranchKeys::new(&"lake".parse().unwrap(), record(objects, branch).await.uid)
}

/// What a branch of repository `lake` takes to run rounds of it by hand, as part of a process.
pub async fn context(onward: &Onward, objects: &Objects, branch: &str) -> BranchContext {
    let record = record(objects, branch).await;
    let life = fresh_lake(objects).await.life().clone();
    onward.coordinator().context(&life, &record.name, record.uid)
}

/// One decided op.
#[derive(Debug, Clone)]
pub struct Decided {
    pub ticket: Ticket,
    /// The name of its outcome.
    pub outcome: &'static str,
    pub commit: Option<(CommitId, Commit)>,
}

/// The name of the outcome that a log entry has of one of its ops.
pub fn outcome_name(entry: &LogEntry, index: usize) -> &'static str {
    let op = &entry.ops[index];
    let record = entry.outcome(index, op).unwrap();
    record.outcome(entry.first.plus(index as u64), Details::of(op.op_id)).name()
}

/// What the log alone says of a branch.
#[derive(Debug)]
pub struct Audit {
    pub ops: BTreeMap<OpId, Decided>,
    pub batches: usize,
    pub closed: bool,
}

impl Audit {
    /// Reads the whole log of a branch and checks what must hold of every history: no gap in the
    /// tickets, no op twice, each commit the child of the one before it.
    pub async fn of(objects: &Objects, branch: &str) -> Self {
        let record = record(objects, branch).await;
        let lake = fresh_lake(objects).await;
        let firsts = lake.log_tickets(record.uid, Ticket(0)).await.unwrap();
        let mut audit = Self { ops: BTreeMap::new(), batches: firsts.len(), closed: false };
        let (mut next, mut head) = (Ticket(1), record.start);
        for entry in lake.entries(record.uid, &firsts).await.unwrap() {
            assert!(!audit.closed, "nothing follows the end of a branch");
            assert_eq!(entry.first, next, "the log has no gap");
            for (index, op) in entry.ops.iter().enumerate() {
                let ticket = entry.first.plus(index as u64);
                let commit = op.commit.clone().map(|commit| {
                    let id = commit.id(record.uid, entry.first, index as u16).unwrap();
                    assert_eq!(commit.parents.first(), head.as_ref(), "one line of commits");
                    head = Some(id);
                    (id, commit)
                });
                let outcome = outcome_name(&entry, index);
                let decided = Decided { ticket, outcome, commit };
                let twice = audit.ops.insert(op.op_id, decided);
                assert!(twice.is_none(), "op {} is in the log twice", op.op_id);
            }
            next = entry.last().next();
            audit.closed = entry.closes;
        }
        audit
    }

    /// The commit that op `n` became.
    pub fn commit(&self, n: usize) -> Option<CommitId> {
        self.ops.get(&op_id(n))?.commit.as_ref().map(|(id, _)| *id)
    }

    /// Checks that each of these ops became one commit.
    pub fn has_all(&self, ops: impl IntoIterator<Item = usize>) {
        for n in ops {
            assert!(self.commit(n).is_some(), "op {n} is no commit: {:?}", self.ops.get(&op_id(n)));
        }
    }
}

/// Somebody else who has the turn and does nothing with it, until dropped.
pub struct Ghost {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ghost {
    /// Takes the turn of a branch.
    pub fn haunt(redis: &RedisServer, keys: &BranchKeys) -> Self {
        let (mut connection, head) = (redis.connect(), keys.head.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let mut hold = move |turn: &str, length: u64| {
            let until = (now_ms() + length).to_string();
            let mut call = redis::cmd("HSET");
            call.arg(&head).arg("turn").arg(turn).arg("turn_until").arg(until);
            call.exec(&mut connection).unwrap();
        };
        hold("ghost", 800);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                hold("ghost", 800);
                std::thread::sleep(Duration::from_millis(50));
            }
            hold("", 0);
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Ghost {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Frees the turn, whoever has it.
pub fn free_turn(redis: &RedisServer, keys: &BranchKeys) {
    let _: i64 = redis.command(&["HSET", &keys.head, "turn", "", "turn_until", "0"]);
}

/// Everything in a Redis at one moment.
pub struct Snapshot(Vec<(Vec<u8>, Vec<u8>)>);

impl Snapshot {
    /// In one script: what Redis goes back to is always a state that it had.
    pub fn take(redis: &RedisServer) -> Self {
        let script = "local all = {} \
            for _, key in ipairs(redis.call('KEYS', '*')) do \
              all[#all + 1] = {key, redis.call('DUMP', key)} \
            end \
            return all";
        let call = redis::cmd("EVAL").arg(script).arg(0).query(&mut redis.connect());
        Self(call.unwrap())
    }

    /// Takes the Redis back to that moment, at once and without anybody's connection breaking.
    pub fn put_back(&self, redis: &RedisServer) {
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("FLUSHALL");
        for (key, value) in &self.0 {
            pipe.cmd("RESTORE").arg(key).arg(0).arg(value);
        }
        pipe.exec(&mut redis.connect()).unwrap();
    }
}
