//! What one helper takes in memory, however much waits in the queue; and what a process takes that waits.

use std::process::{Command, Stdio};

use onward::{Change, Condition, Config, Entry, Onward, PathChange};

use crate::support::branch::{Ghost, keys, op_id};
use crate::support::lake::entry;
use crate::support::redis::RedisServer;
use crate::support::until::until_async;
use crate::support::worker::Worker;

/// Ops in the queue, and changes of each: half a gigabyte, and as much again of what survives.
const OPS: usize = 16;
const CHANGES: usize = 16_000;

/// A batch of 64 MiB, as much that is looked up, caches, and the program itself.
const MEMORY_MAX_KIB: u64 = 300 * 1024;

fn large(n: usize) -> Entry {
    let mut entry = entry(n);
    entry.metadata.insert("padding".into(), "x".repeat(1900));
    entry
}

/// A deployment on files of its own, whose branch main is held up.
struct HeldUp {
    redis: RedisServer,
    _dir: tempfile::TempDir,
    storage: String,
    onward: Onward,
    ghost: Ghost,
}

impl HeldUp {
    async fn new() -> Self {
        let redis = RedisServer::forgetful();
        let dir = tempfile::tempdir().unwrap();
        let storage = format!("file://{}", dir.path().display());
        let onward = Onward::connect(Config::new(redis.url(), &storage)).await.unwrap();
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        let objects = onward.coordinator().objects().clone();
        let ghost = Ghost::haunt(&redis, &keys(&objects, "main").await);
        Self { redis, _dir: dir, storage, onward, ghost }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_holds_one_batch_however_heavy_the_queue_is() {
    let HeldUp { redis, _dir, storage, onward, ghost } = HeldUp::new().await;
    let main = onward.repo("lake").branch("main");
    for n in 0..OPS {
        let mut builder = main.change().op_id(op_id(n));
        for at in 0..CHANGES {
            let path = format!("{n}/{at:05}").parse().unwrap();
            let change = Change::Put(large(at));
            builder.push(PathChange { path, change, condition: Some(Condition::Absent) }).unwrap();
        }
        builder.submit().await.unwrap();
    }
    onward.close().await;
    drop(ghost);
    let url = redis.url();
    let variables = [("ONWARD_REDIS", url.as_str()), ("ONWARD_STORAGE", storage.as_str())];
    let mut worker = Worker::start(&format!("see-through main {OPS}"), &variables);
    let peak = tokio::task::block_in_place(|| worker.report()).expect("the worker died");
    let peak: u64 = peak.parse().unwrap();
    println!("peak {peak} KiB");
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    assert!(tokio::task::block_in_place(|| worker.await_end()).success());
}

/// Memory of its own of a process that waits: some 2 MiB (a program that is not optimised has more on its
/// stacks), where large pages would make 8 of them. The program's text is shared by all its processes.
const WAITING_MAX_KIB: u64 = 6 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_takes_little_memory_of_its_own() {
    let HeldUp { redis, _dir: dir, storage, onward, ghost } = HeldUp::new().await;
    let main = onward.repo("lake").branch("main");
    let changes = dir.path().join("changes.jsonl");
    std::fs::write(&changes, r#"{"delete": {"path": "a"}}"#).unwrap();
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_onward"))
        .args(["commit", "lake/main", "-m", "it waits", "--changes"])
        .arg(&changes)
        .env("ONWARD_REDIS", redis.url())
        .env("ONWARD_STORAGE", &storage)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until_async("it waits", async || main.queue(1).await.unwrap().depth == 1).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", waiting.id())).unwrap();
    drop(ghost);
    assert!(tokio::task::block_in_place(|| waiting.wait().unwrap()).success());
    onward.close().await;
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let own: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{line}");
    assert!(own < WAITING_MAX_KIB, "{line}");
}
