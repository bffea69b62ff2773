//! What one helper takes in memory, however much waits in the queue.

use onward::{Change, Condition, Config, Entry, Onward, PathChange};

use crate::support::branch::{Ghost, keys, op_id};
use crate::support::lake::entry;
use crate::support::redis::RedisServer;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_holds_one_batch_however_heavy_the_queue_is() {
    let redis = RedisServer::forgetful();
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("file://{}", dir.path().display());
    let onward = Onward::connect(Config::new(redis.url(), &storage)).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    let objects = onward.coordinator().objects().clone();
    let ghost = Ghost::haunt(&redis, &keys(&objects, "main").await);
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
