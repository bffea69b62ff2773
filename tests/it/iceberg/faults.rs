//! What goes wrong half way: nothing is half done, and who asks again is told the truth.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use reqwest::StatusCode;
use serde_json::json;

use super::{Beside, MAIN, append, at, catalog, create, load, log, refused, set, snapshots};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::Sidecar;

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_dies_between_the_file_and_the_commit_leaves_nothing_half_done() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let faults = Faults::default();
    let gate = faults.hold("iceberg-written");
    let dying = Beside::start(sidecar.deployment.connect_with(faults).await).await;
    let commit = append(&made, 1);
    let sent = tokio::spawn({
        let commit = commit.clone();
        async move { dying.send("POST", &at("t"), commit).await }
    });
    // It goes no further than here: the file is written, and named by nothing.
    gate.reached().await;
    sent.abort();
    assert_eq!(load(&sidecar, "t").await, made);
    let (status, told) = sidecar.send("POST", &at("t"), commit.clone()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(snapshots(&load(&sidecar, "t").await), [1]);
    // Should it come to itself after all, its commit is that which landed.
    gate.open();
    let (status, told) = sidecar.send("POST", &at("t"), append(&told["metadata"], 2)).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_whose_client_goes_away_is_carried_out_once() {
    let faults = Faults::default();
    let (deployment, onward) = Deployment::lake().await;
    let armed = deployment.connect_with(faults.clone()).await;
    drop(onward);
    let sidecar = &Sidecar::over(deployment, armed, |_| {}).await;
    sidecar.send("POST", &format!("{MAIN}/namespaces"), json!({"namespace": ["a"]})).await;
    create(sidecar, "t").await;
    let before = log(sidecar).await.len();
    let gate = faults.hold("iceberg-written");
    let request = || {
        let request = sidecar.request("POST", &at("t"));
        request
            .header("Idempotency-Key", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
            .json(&set("k", "v"))
    };
    let first = tokio::spawn(request().send());
    gate.reached().await;
    first.abort();
    gate.open();
    let again = request().send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    assert!(again.headers().contains_key("idempotency-replayed"), "{again:?}");
    assert_eq!(log(sidecar).await.len(), before + 1);
}

/// A catalog whose storage fails when it is told to.
pub async fn over_faulty_storage() -> (Sidecar, FaultyStore) {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    sidecar.send("POST", &format!("{MAIN}/namespaces"), json!({"namespace": ["a"]})).await;
    (sidecar, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_is_away_is_told_so_with_the_time_to_wait() {
    let (sidecar, store) = over_faulty_storage().await;
    let made = create(&sidecar, "t").await;
    store.fail_next_at(Op::Put, "_iceberg/", 1, Fault::Outage);
    let request = sidecar.request("POST", &at("t")).json(&append(&made, 1));
    let answer = request.send().await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    let told = (answer.status(), answer.json().await.unwrap());
    refused(&told, 503, "ServiceUnavailableException");
    assert_eq!(load(&sidecar, "t").await, made);
    assert_eq!(sidecar.send("POST", &at("t"), append(&made, 1)).await.0, StatusCode::OK);
    // A reader that has it not in memory.
    let other = Beside::start(sidecar.deployment.connect().await).await;
    store.fail_all(Op::Get, Fault::Outage);
    refused(&other.send("GET", &at("t"), json!({})).await, 503, "ServiceUnavailableException");
    store.heal();
    assert_eq!(other.send("GET", &at("t"), json!({})).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_metadata_is_not_served_and_an_earlier_commit_has_it_whole() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    let (_, told) = sidecar.send("POST", &at("t"), set("k", "v")).await;
    let objects = &sidecar.deployment.objects;
    let key = objects.key_of(told["metadata-location"].as_str().unwrap()).unwrap();
    for bytes in ["{\"format-version\": 2}", "{", "", "{}"] {
        objects.put(key, bytes.into()).await.unwrap();
        let fresh = Beside::start(sidecar.deployment.connect().await).await;
        let told = fresh.send("GET", &at("t"), json!({})).await;
        refused(&told, 500, "InternalServerError");
        refused(&fresh.send("POST", &at("t"), set("k", "w")).await, 500, "InternalServerError");
    }
    objects.delete(key).await.unwrap();
    let fresh = Beside::start(sidecar.deployment.connect().await).await;
    refused(&fresh.send("GET", &at("t"), json!({})).await, 500, "InternalServerError");
    let before = at("t").replace("lake@main", "lake@main~1");
    assert_eq!(fresh.send("GET", &before, json!({})).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_for_a_moment_fails_nobody() {
    let (sidecar, store) = over_faulty_storage().await;
    let made = create(&sidecar, "t").await;
    store.fail_next_at(Op::Create, "/log/", 1, Fault::LostReply);
    assert_eq!(sidecar.send("POST", &at("t"), append(&made, 1)).await.0, StatusCode::OK);
    let known = load(&sidecar, "t").await;
    store.fail_next_at(Op::Create, "/log/", 1, Fault::Delay(Duration::from_millis(300)));
    assert_eq!(sidecar.send("POST", &at("t"), append(&known, 2)).await.0, StatusCode::OK);
    assert_eq!(snapshots(&load(&sidecar, "t").await), [1, 2]);
}
