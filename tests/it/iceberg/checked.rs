//! A branch whose commits are checked before they are accepted, by what clients of tables are told.

use futures::future::join_all;
use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::parts::{rows, table, written};
use super::{
    MAIN, Told, append, at, catalog, create, load, log, new_table, refused, set, snapshots,
};
use crate::events::receiver::{Got, Receiver, Reply, refusal};
use crate::support::sidecar::{Sidecar, told};

/// Those who commit, each with a key of the same name.
async fn writers(sidecar: &Sidecar, names: &[&str]) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for name in names {
        let new = sidecar.keys.create(Role::Write, name, None).await.unwrap();
        keys.push((new.key.id, new.secret));
    }
    keys
}

/// A commit to `a.t` by the holder of a key.
async fn sent_by(sidecar: &Sidecar, key: &(String, String), body: &Value) -> Told {
    told(sidecar.plain("POST", &at("t")).basic_auth(&key.0, Some(&key.1)).json(body)).await
}

/// Whether mallory is among those whose commits a question is about.
fn is_of_mallory(got: &Got) -> bool {
    let data = &got.event["data"];
    let named = |text: &Value| text.as_str().is_some_and(|text| text.contains("mallory"));
    named(&data["committer"]) || named(&data["metadata"]["iceberg.committers"])
}

/// How many changes of a table a question is about.
fn changes(got: &Got) -> usize {
    let changes = got.event["data"]["metadata"]["iceberg.changes"].as_str().unwrap();
    changes.split(", ").count()
}

/// A receiver that refuses what is mallory's.
async fn against_mallory(sidecar: &Sidecar) -> Receiver {
    let receiver = Receiver::start().await;
    receiver.answers(|got| match is_of_mallory(got) {
        true => refusal("nothing of mallory"),
        false => Reply::Status(204),
    });
    receiver.checks(sidecar).await;
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_refuses_is_forbidden_with_its_reason_and_changes_nothing() {
    let sidecar = catalog().await;
    let (made, _) = (create(&sidecar, "t").await, create(&sidecar, "u").await);
    let receiver = Receiver::start().await;
    receiver.answers(|_| refusal("no loads on Sundays"));
    receiver.checks(&sidecar).await;
    let before = (load(&sidecar, "t").await, log(&sidecar).await.len());
    let change = |name: &str| {
        let mut change = set("k", "v");
        change["identifier"] = json!({"namespace": ["a"], "name": name});
        change
    };
    let rename = json!({
        "source": {"namespace": ["a"], "name": "t"}, "destination": {"namespace": ["a"], "name": "w"},
    });
    let requests = [
        ("POST", at("t"), append(&made, 1)),
        (
            "POST",
            format!("{MAIN}/transactions/commit"),
            json!({"table-changes": [change("t"), change("u")]}),
        ),
        ("POST", format!("{MAIN}/namespaces/a/tables"), new_table("v")),
        ("POST", format!("{MAIN}/namespaces"), json!({"namespace": ["b"]})),
        ("POST", format!("{MAIN}/tables/rename"), rename),
        ("DELETE", at("u"), json!({})),
    ];
    for (method, url, body) in &requests {
        let told = sidecar.send(method, url, body.clone()).await;
        refused(&told, 403, "ForbiddenException");
        let message = told.1["error"]["message"].as_str().unwrap();
        assert!(message.contains("no loads on Sundays"), "{message}");
    }
    assert_eq!((load(&sidecar, "t").await, log(&sidecar).await.len()), before);
    assert_eq!(receiver.got().len(), requests.len(), "each was asked about once");
    receiver.answers(|_| Reply::Status(200));
    for (method, url, body) in &requests {
        let (status, told) = sidecar.send(method, url, body.clone()).await;
        assert!(status.is_success(), "{url}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_check_is_away_nothing_is_done_and_the_same_request_lands_later() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::Status(500));
    receiver.checks(&sidecar).await;
    let answer = sidecar.request("POST", &at("t")).json(&append(&made, 1)).send().await.unwrap();
    // Not 504, on which clients leave it to people to find out what became of it.
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let body = answer.json::<Value>().await.unwrap();
    assert_eq!(body["error"]["type"], "ServiceUnavailableException");
    assert!(body["error"]["message"].as_str().unwrap().contains("nothing was done"), "{body}");
    assert_eq!(load(&sidecar, "t").await, made);
    assert_eq!(receiver.got().len(), 1);
    receiver.answers(|_| Reply::Status(200));
    let (status, told) = sidecar.send("POST", &at("t"), append(&made, 1)).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_commits_that_became_one_the_one_that_a_check_refuses_takes_no_other_with_it() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    let keys = writers(sidecar, &["alice", "bob", "carol", "mallory"]).await;
    let receiver = against_mallory(sidecar).await;
    let sent = join_all(
        (0..40)
            .map(async |n| (n, sent_by(sidecar, &keys[n % 4], &set(&format!("k{n}"), "v")).await)),
    );
    let sent = sent.await;
    let table = load(sidecar, "t").await;
    for (n, told) in &sent {
        let is_set = table["properties"][format!("k{n}")] == "v";
        match n % 4 == 3 {
            true => refused(told, 403, "ForbiddenException"),
            false => assert_eq!(told.0, StatusCode::OK, "{}", told.1),
        }
        assert_eq!(is_set, n % 4 != 3, "{n}");
    }
    let got = receiver.got();
    assert!(got.iter().any(|got| changes(got) > 2 && is_of_mallory(got)), "some were together");
    // Together once, and then each alone.
    let asked: usize = got.iter().map(changes).sum();
    assert!(asked <= 80, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_append_is_not_below_those_that_were_brought_onto_the_head_with_it() {
    let (sidecar, made) = table().await;
    let sidecar = &sidecar;
    let keys = writers(sidecar, &["alice", "bob", "mallory"]).await;
    let receiver = against_mallory(sidecar).await;
    let location = made["location"].as_str().unwrap();
    let appends: Vec<Value> =
        join_all((2..14).map(|id| written(sidecar, location, id, Some(1)))).await;
    let sent = appends.iter().enumerate();
    let sent = join_all(sent.map(async |(n, body)| sent_by(sidecar, &keys[n % 3], body).await));
    for (n, told) in sent.await.iter().enumerate() {
        match n % 3 == 2 {
            true => refused(told, 403, "ForbiddenException"),
            false => assert_eq!(told.0, StatusCode::OK, "{}", told.1),
        }
    }
    let table = load(sidecar, "t").await;
    let mut landed = snapshots(&table);
    landed.sort_unstable();
    let expected: Vec<i64> = (1..14).filter(|id| *id == 1 || (id - 2) % 3 != 2).collect();
    assert_eq!(landed, expected);
    assert_eq!(rows(&table), expected.len().to_string());
    assert!(receiver.got().iter().any(is_of_mallory));
}
