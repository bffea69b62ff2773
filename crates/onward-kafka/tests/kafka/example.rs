//! The examples, as users run them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures::TryStreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::producer::FutureRecord;

use crate::support::lake::Lake;
use crate::support::server::{shared, variable};
use crate::support::topics::extend;
use crate::support::until::until_async;

/// A program that is killed with the value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    /// Asks it to end, and tells whether it ended well.
    fn end(mut self, signal: Signal) -> bool {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
        self.0.wait().unwrap().success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_brings_every_record_once_however_often_it_is_stopped() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "example");
    topics.create(topic, 2).await;
    let sent = topics.fill(topic, 2, 50).await;
    let run = || {
        let child = Command::new(variable("ONWARD_TEST_KAFKA_EXAMPLE"))
            .args([topic, "example"])
            .env("KAFKA_BROKERS", &topics.brokers)
            .env("ONWARD_REDIS", lake.redis.url())
            .env("ONWARD_STORAGE", lake.storage_url())
            .stdout(Stdio::piped())
            .spawn();
        let mut started = Started(child.unwrap());
        let stdout = BufReader::new(started.0.stdout.take().unwrap());
        let mut told = stdout.lines().map_while(Result::ok);
        // It has partitions, and a second later has read some of them or nothing.
        assert!(told.any(|line| line.starts_with("Assigned")));
        assert!(told.any(|line| line.starts_with("Lag")));
        assert!(started.end(Signal::SIGINT), "{:?}", told.collect::<Vec<_>>());
    };
    until_async("everything is on the branch", || async {
        tokio::task::block_in_place(run);
        lines(&lake).await.len() >= 100
    })
    .await;
    let mut expected = Vec::new();
    for (partition, offsets) in &sent {
        expected.extend((0..offsets.len()).map(|n| format!("{{\"n\":{n},\"p\":{partition}}}")));
    }
    let mut there = lines(&lake).await;
    there.sort_unstable();
    expected.sort_unstable();
    assert_eq!(there, expected);
}

/// The lines of all files.
async fn lines(lake: &Lake) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in lake.entries().await.into_values() {
        let chunks = lake.repo().open(&entry).await.unwrap().chunks;
        let bytes: Vec<bytes::Bytes> = chunks.try_collect().await.unwrap();
        let text = zstd::stream::decode_all(bytes.concat().as_slice()).unwrap();
        lines.extend(String::from_utf8(text).unwrap().lines().map(str::to_owned));
    }
    lines
}

const LOGIN: [(&str, &str); 2] = [
    ("ONWARD_ACCESS_KEY_ID", "AKIDKAFKAEXAMPLE"),
    ("ONWARD_SECRET_ACCESS_KEY", "a-secret-of-a-test-of-kafka"),
];

/// A sidecar of the deployment that may read this folder; tells where it listens.
fn sidecar(lake: &Lake, folder: &Path) -> (Started, String) {
    let child = Command::new(variable("ONWARD_TEST_KAFKA_ONWARD"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        .envs(LOGIN)
        .env("ONWARD_REDIS", lake.redis.url())
        .env("ONWARD_STORAGE", lake.storage_url())
        .env("ONWARD_ALLOW_SOURCE", format!("file://{}", folder.display()))
        .stdout(Stdio::piped())
        .spawn();
    let mut started = Started(child.unwrap());
    let mut line = String::new();
    BufReader::new(started.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    (started, told["listen"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_python_brings_every_record_once_however_often_it_is_killed() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "example-python");
    topics.create(topic, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let (_sidecar, url) = sidecar(&lake, folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/python/kafka_consumer.py");
    let start = || {
        let mut command = Command::new(variable("ONWARD_TEST_KAFKA_PYTHON"));
        command.arg(script).envs(LOGIN).args(["--topic", topic, "--group", topic]);
        command.args(["--brokers", &topics.brokers, "--sidecar", &url, "--branch", "lake/main"]);
        command.arg("--folder").arg(folder.path()).args(["--commit-every", "0.2"]);
        // Whoever was killed is soon missed.
        Started(command.args(["--set", "session.timeout.ms=3000"]).spawn().unwrap())
    };
    let mut sent = BTreeMap::new();
    let mut consumers = [start(), start()];
    for round in 0..3 {
        let before = linked(&lake, topic).await;
        extend(&mut sent, topics.fill(topic, 3, 200).await);
        // In the middle of it: something is on the branch, and more is read.
        until_async("something is there", || async { linked(&lake, topic).await != before }).await;
        consumers[round % 2] = start();
        extend(&mut sent, topics.fill(topic, 3, 100).await);
    }
    // Clients in Python take a record without a value for false.
    for partition in 0..3 {
        let tombstone = FutureRecord::to(topic).partition(partition).key("gone");
        sent.entry(partition.into()).or_default().push(topics.send_record(tombstone).await);
    }
    until_async("everything is on the branch", || async {
        linked(&lake, topic).await.values().map(Vec::len).sum::<usize>() >= 900 * 3 + 3
    })
    .await;
    assert_eq!(linked(&lake, topic).await, sent, "each once, and in order");
    assert!(consumers.into_iter().all(|consumer| consumer.end(Signal::SIGTERM)));
}

/// The offsets of each partition in the files that are linked, in the order of their names and lines.
async fn linked(lake: &Lake, topic: &str) -> BTreeMap<i64, Vec<i64>> {
    let mut offsets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (path, entry) in lake.entries().await {
        let name = path.strip_prefix(&format!("{topic}/")).unwrap();
        let partition = name.split_once('-').unwrap().0.parse().unwrap();
        let text = std::fs::read_to_string(entry.address.strip_prefix("file://").unwrap()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let of = |line: serde_json::Value| line["offset"].as_i64().unwrap();
        offsets.entry(partition).or_default().extend(lines.map(of));
    }
    offsets
}
