//! On a broker of its own: records that are damaged there, and clients that fail for good.

use std::collections::BTreeMap;

use onward::ErrorKind;
use onward_kafka::{Event, Kafka};

use super::{NEW_PROTOCOL, until_all_there};
use crate::support::lake::{Lake, Running, settings};
use crate::support::server::{Server, shared};
use crate::support::topics::{Topics, client, member};

/// Turns a byte within some text of a file.
fn damage(file: &std::path::Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at + text.len() / 2] ^= 0x01;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_damaged_at_the_broker_ends_the_sink_in_front_of_it() {
    let (lake, mut server) = (Lake::new().await, Server::new().await);
    let topics = Topics::at(&server.brokers());
    let (plain, packed) = ("damaged", "damaged-packed");
    // In front of the damage, there and behind it: a batch each.
    let values = ["{\"n\":\"before\"}", "{\"n\":\"damaged\"}", "{\"n\":\"behind\"}"];
    for topic in [plain, packed] {
        topics.create(topic, 1).await;
    }
    for value in values {
        topics.send(plain, 0, value).await;
    }
    let long = "x".repeat(5_000);
    let lz4 = Topics::packing(&server.brokers(), "lz4");
    for n in 0..3 {
        lz4.send(packed, 0, &format!("{{\"n\":\"value-{n}\",\"long\":\"{long}\"}}")).await;
    }
    server.stop();
    damage(&server.first_segment(plain, 0), b"damaged");
    damage_frame(&server.first_segment(packed, 0), b"value-1");
    server.start().await;
    // Where sums are not looked at, what cannot be decompressed is seen all the same.
    for (topic, more) in [(plain, &[][..]), (packed, &[]), (packed, &[("check.crcs", "false")])] {
        let mut to_the_end = settings(topic, &[topic]);
        to_the_end.exit_at_end = true;
        let broker = member(&server.brokers(), topic, &[topic], more);
        let error = lake.start(to_the_end, broker).end().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{topic}: {error:?}");
        assert!(error.message().contains("a batch of records cannot be read"), "{error}");
        let there = lake.offsets(topic).await;
        assert!(there.is_empty() || there == BTreeMap::from([(0, vec![0])]), "{there:?}");
    }
}

/// Turns the sizes of the blocks behind some text: what comes there is no compression any more.
fn damage_frame(file: &std::path::Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    // The frame begins with its magic number.
    let magic = [0x04, 0x22, 0x4d, 0x18];
    let frame = bytes[..at].windows(4).rposition(|window| window == magic).unwrap();
    bytes[frame] ^= 0xff;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_fails_for_good_is_made_anew_until_the_group_takes_it() {
    let lake = Lake::new().await;
    let server = Server::with("group.consumer.max.size=1").await;
    let (topics, topic) = (Topics::at(&server.brokers()), "full");
    topics.create(topic, 2).await;
    let start = || -> Running {
        let broker = member(&server.brokers(), topic, &[topic], NEW_PROTOCOL);
        lake.start(settings(topic, &[topic]), broker)
    };
    let first = start();
    let is_assigned = |event: &Event| matches!(event, Event::Assigned(starts) if starts.len() == 2);
    first.until_told("the first has its partitions", is_assigned).await;
    let second = start();
    let is_refused =
        |event: &Event| matches!(event, Event::Trouble(what) if what.contains("GroupMaxSize"));
    second.until_told("the group is full", is_refused).await;
    first.stop().await.unwrap();
    second.until_told("it has the partitions of the first", is_assigned).await;
    let sent = topics.fill(topic, 2, 10).await;
    until_all_there(&lake, topic, &sent).await;
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_of_being_in_a_group_that_brokers_do_not_have_is_told_once() {
    let (lake, topics, topic) = (Lake::new().await, shared(), "no-such-assignor");
    topics.create(topic, 1).await;
    let more = [NEW_PROTOCOL, &[("group.remote.assignor", "nonsense")]].concat();
    let settings = settings(topic, &[topic]);
    let client = client(&topics.brokers, &more);
    let broker = Kafka::connect(&client, topic, &settings.topics).unwrap();
    let error = lake.start(settings, broker).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.message().contains("group.remote.assignor"), "{error}");
}
