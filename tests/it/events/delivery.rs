//! What a sink gets: everything that was decided, once where nothing fails, in the order of its branch.

use std::collections::{BTreeSet, HashSet};

use futures::future::join_all;
use onward::internals::repo::sinks::{EventKind, StartAt};
use onward::{RefExpr, Ticket};
use onward_server::sinks::{NewSink, NewTarget};
use serde_json::{Value, json};

use super::receiver::{Receiver, distinct, in_order};
use super::{Deliverer, commit, webhook};
use crate::support::lake::{Deployment, entry};

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_of_four_writers_arrives_signed_and_in_the_order_of_its_branch() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    let deliverer = Deliverer::start(&onward);
    let made = deliverer.add(webhook(&receiver.url)).await;
    let (main, dev) = (lake.branch("main"), lake.branch("dev"));
    dev.create(&"main".parse().unwrap()).await.unwrap();
    let write = |writer: usize| {
        let branch = if writer < 2 { main.clone() } else { dev.clone() };
        async move {
            let mut commits = Vec::new();
            for n in 0..10 {
                commits.push(commit(&branch, writer * 100 + n).await);
            }
            commits
        }
    };
    let commits: HashSet<String> = join_all((0..4).map(write))
        .await
        .into_iter()
        .flatten()
        .map(|commit| commit.to_string())
        .collect();
    let merged = main.merge("dev".parse().unwrap()).message("all of it").commit().await.unwrap();
    let merged = merged.commit().unwrap().to_string();
    // The making of the branch, forty commits, a merge.
    let got = receiver.until_events(42).await;
    in_order(&got);
    let told = distinct(&got);
    assert_eq!(told.len(), 42);
    let of_type = |kind: &str| -> HashSet<String> {
        let of = told.iter().filter(|got| got.event["type"] == kind);
        of.map(|got| got.event["data"]["commit"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of_type("onward.commit"), commits);
    assert_eq!(of_type("onward.merge"), HashSet::from([merged]));
    assert_eq!(of_type("onward.branch.created").len(), 1);
    let secret = made.secret.unwrap();
    for got in &got {
        assert_eq!(got.header("content-type"), "application/cloudevents+json");
        assert_eq!(got.header("webhook-id"), got.id());
        assert!(got.is_signed_with(&secret), "{got:?}");
        assert!(!got.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_says_what_the_log_says() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    deliverer.add(webhook(&receiver.url)).await;
    let op = main.change().put("a", entry(1)).message("größe\n\"x\"").meta("topic", "orders");
    let id = op.committer("jane").commit().await.unwrap().commit().unwrap();
    let info = onward.repo("lake").commit_info(id).await.unwrap();
    let got = receiver.until_events(1).await;
    let event = &got[0].event;
    let uid = id.uid().to_string();
    let expected = json!({
        "specversion": "1.0",
        "id": format!("{uid}-2"),
        "source": "/repositories/lake",
        "type": "onward.commit",
        "subject": "main",
        "time": onward::internals::clock::rfc3339(info.commit.created_ms),
        "datacontenttype": "application/json",
        "partitionkey": uid,
        "sequence": "00000000000000000002",
        "data": {
            "repository": "lake",
            "branch": "main",
            "branch_uid": uid,
            "ticket": 2,
            "commit": id,
            "op_id": info.commit.op_id,
            "parents": info.commit.parents,
            "committer": "jane",
            "message": "größe\n\"x\"",
            "metadata": {"topic": "orders"},
            "generation": 2,
            "created": onward::internals::clock::rfc3339(info.commit.created_ms),
        },
    });
    assert_eq!(*event, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sink_begins_now_or_at_the_first_commit_or_behind_a_ticket() {
    let (_deployment, onward) = Deployment::lake().await;
    let (lake, deliverer) = (onward.repo("lake"), Deliverer::start(&onward));
    let main = lake.branch("main");
    for n in 0..5 {
        commit(&main, n).await;
    }
    let ended = lake.branch("ended");
    ended.create(&"main".parse().unwrap()).await.unwrap();
    ended.delete().await.unwrap();
    let mut receivers = Vec::new();
    for (id, start) in [
        ("now", StartAt::Now),
        ("start", StartAt::Start),
        ("after", StartAt::After(Ticket(4))),
        ("far", StartAt::After(Ticket(100))),
    ] {
        let receiver = Receiver::start().await;
        let id = Some(id.to_owned());
        deliverer.add(NewSink { id, start, ..webhook(&receiver.url) }).await;
        receivers.push(receiver);
    }
    commit(&main, 5).await;
    // The first commit of a repository has ticket 1; a branch that had ended is no news.
    for (receiver, tickets) in receivers.iter().zip([7..=7, 1..=7, 5..=7, 7..=7]) {
        let expected: Vec<u64> = tickets.collect();
        let is_there = |got: &[super::receiver::Got]| {
            got.iter().any(|got| got.place() == ("main".to_owned(), Some(7)))
        };
        let got = receiver.until("the last commit came", is_there).await;
        let told: Vec<u64> = distinct(&got).iter().filter_map(|got| got.place().1).collect();
        assert_eq!(told, expected);
        assert!(got.iter().all(|got| got.place().0 == "main"), "{got:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_come_and_go_while_nobody_delivers_are_told_of_whole() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    let first = Deliverer::start(&onward);
    let branches = vec!["main".to_owned(), "tx-*".to_owned()];
    first.add(NewSink { branches, ..webhook(&receiver.url) }).await;
    first.end().await;
    for life in 0..2 {
        let tx = lake.branch("tx-1");
        tx.create(&"main".parse().unwrap()).await.unwrap();
        commit(&tx, life).await;
        tx.delete().await.unwrap();
    }
    // Not for this sink: by its name, and as one that lists leave out.
    lake.branch("other").create(&"main".parse().unwrap()).await.unwrap();
    let hidden = onward::read::NewBranch { hidden: true };
    lake.branch("tx-2").create_as(&"main".parse().unwrap(), hidden).await.unwrap();
    let second = Deliverer::start(&onward);
    let got = receiver.until_events(6).await;
    let told: Vec<&str> = got.iter().map(|got| got.event["type"].as_str().unwrap()).collect();
    let one = ["onward.branch.created", "onward.commit", "onward.branch.deleted"];
    assert_eq!(told, [one, one].concat());
    assert!(got.iter().all(|got| got.place().0 == "tx-1"));
    commit(&lake.branch("main"), 9).await;
    let got = receiver.until_events(7).await;
    assert_eq!(got.len(), 7, "nothing came twice: {got:?}");
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_gets_the_kinds_of_events_that_it_asks_for() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    let kinds = BTreeSet::from([EventKind::Reset]);
    deliverer.add(NewSink { kinds, ..webhook(&receiver.url) }).await;
    let first = commit(&main, 1).await;
    commit(&main, 2).await;
    main.reset_to(&RefExpr::plain(first.to_string())).await.unwrap();
    let got = receiver.until_events(1).await;
    assert_eq!(got[0].event["type"], "onward.reset");
    assert_eq!(got[0].event["data"]["commit"], json!(first));
    assert_eq!(got.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_redis_is_read_by_a_group_of_consumers() {
    let (deployment, onward) = Deployment::lake().await;
    let (deliverer, main) = (Deliverer::start(&onward), onward.repo("lake").branch("main"));
    let target = NewTarget::Stream { redis: None, key: None, length_max: 1000 };
    let made = deliverer.add(NewSink { target, ..webhook("") }).await;
    assert_eq!(made.secret, None);
    let key = made.sink.stream.unwrap();
    let redis = &deployment.redis;
    redis.command::<String>(&["XGROUP", "CREATE", &key, "readers", "0", "MKSTREAM"]);
    for n in 0..20 {
        commit(&main, n).await;
    }
    let mut tickets = Vec::new();
    while tickets.len() < 20 {
        let read = ["XREADGROUP", "GROUP", "readers", "one", "COUNT", "7", "BLOCK", "10000"];
        let read = [&read[..], &["STREAMS", &key, ">"]].concat();
        let found: redis::streams::StreamReadReply = redis.command(&read);
        for entry in &found.keys[0].ids {
            let field = |name: &str| entry.get::<String>(name).unwrap();
            let event: Value = serde_json::from_str(&field("event")).unwrap();
            assert_eq!(event["id"], field("id"));
            assert_eq!((field("type"), field("branch")), ("onward.commit".into(), "main".into()));
            tickets.push(event["data"]["ticket"].as_u64().unwrap());
            let done: u64 = redis.command(&["XACK", &key, "readers", &entry.id]);
            assert_eq!(done, 1);
        }
    }
    assert_eq!(tickets, (2..22).collect::<Vec<_>>());
    deliverer.sinks.remove(&super::lake(), "audit").await.unwrap();
    assert_eq!(redis.command::<u64>(&["EXISTS", &key]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_far_behind_reads_the_log_batch_by_batch() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    for round in 0..3 {
        let ops = (0..400).map(|n| {
            let n = round * 1000 + n;
            main.change().put(format!("t/{n}"), entry(n)).commit()
        });
        for outcome in join_all(ops).await {
            outcome.unwrap();
        }
    }
    let receiver = Receiver::start().await;
    let fresh = deployment.connect().await;
    let entries = onward.counters().rounds;
    let deliverer = Deliverer::start(&fresh);
    let before = deployment.objects.counters().gets;
    deliverer.add(NewSink { start: StartAt::Start, ..webhook(&receiver.url) }).await;
    let got = receiver.until_events(1202).await;
    in_order(&got);
    assert_eq!(got.len(), 1202, "nothing failed, and nothing came twice");
    let read = deployment.objects.counters().gets - before;
    // A read for each batch and each turn, and those of looks at what there is; none for each event.
    assert!(read < entries + 400, "{read} reads for {entries} batches");
}
