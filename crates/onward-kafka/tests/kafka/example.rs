//! The example, as users run it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use futures::TryStreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::lake::Lake;
use crate::support::server::{shared, variable};
use crate::support::until::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_brings_every_record_once_however_often_it_is_stopped() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "example");
    topics.create(topic, 2).await;
    let sent = topics.fill(topic, 2, 50).await;
    let run = || {
        let mut child = Command::new(variable("ONWARD_TEST_KAFKA_EXAMPLE"))
            .args([topic, "example"])
            .env("KAFKA_BROKERS", &topics.brokers)
            .env("ONWARD_REDIS", lake.redis.url())
            .env("ONWARD_STORAGE", lake.storage_url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // It has partitions, and a second later has read some of them or nothing.
        assert!(told.any(|line| line.starts_with("Assigned")));
        assert!(told.any(|line| line.starts_with("Lag")));
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
        let rest: Vec<String> = told.collect();
        assert!(child.wait().unwrap().success(), "{rest:?}");
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
