//! Branches whose records are damaged: they keep no other from being followed, and are taken in once they are mended.

use bytes::Bytes;
use onward::internals::objects::Objects;
use onward::{Branch, Repository};
use onward_server::sinks::NewSink;
use reqwest::StatusCode;
use serde_json::json;

use super::receiver::{Got, Receiver, distinct, in_order};
use super::{Deliverer, commit, lake, webhook};
use crate::support::lake::Deployment;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// Damages the record of a branch, and gives what there was.
async fn damage(objects: &Objects, name: &str) -> (String, Bytes) {
    let listed = objects.list_sorted(&format!("lake/branches/{name}"), None, 10).await.unwrap();
    let key = listed[0].key.clone();
    let whole = objects.get(&key).await.unwrap().unwrap();
    objects.put(&key, Bytes::from_static(b"no record")).await.unwrap();
    (key, whole)
}

async fn branch(lake: &Repository, name: &str) -> Branch {
    let branch = lake.branch(name);
    branch.create(&"main".parse().unwrap()).await.unwrap();
    branch
}

/// The tickets of a branch that came.
fn tickets(got: &[Got], of: &str) -> Vec<u64> {
    let of_branch = distinct(got).into_iter().map(|got| got.place());
    of_branch.filter(|(name, _)| name == of).filter_map(|(_, ticket)| ticket).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_made_without_branches_whose_records_are_damaged_and_follows_them_once_mended() {
    let (deployment, onward) = Deployment::lake().await;
    let (repo, receiver) = (onward.repo("lake"), Receiver::start().await);
    for n in 0..20 {
        branch(&repo, &format!("b{n}")).await;
    }
    let hurt = repo.branch("b7");
    for n in 0..3 {
        commit(&hurt, n).await;
    }
    let (key, whole) = damage(&deployment.objects, "b7").await;
    let deliverer = Deliverer::start(&onward);
    let made = deliverer.add(webhook(&receiver.url)).await;
    assert_eq!(made.left_out, ["b7"]);
    let left_out = async || deliverer.sinks.list(&lake()).await.unwrap().remove(0).left_out;
    assert_eq!(left_out().await, ["b7"]);
    commit(&repo.branch("b6"), 0).await;
    // Who knows the branch already goes on there: that is to come, too.
    commit(&hurt, 3).await;
    receiver.until_events(1).await;
    assert!(tickets(&receiver.got(), "b7").is_empty());
    deployment.objects.put(&key, whole).await.unwrap();
    // What makes whoever delivers look at the names of branches.
    branch(&repo, "news").await;
    until_async("it is taken in", || async { left_out().await.is_empty() }).await;
    commit(&hurt, 4).await;
    let got = receiver.until("both came", |got| tickets(got, "b7").len() >= 2).await;
    in_order(&got);
    assert_eq!(tickets(&got, "b7"), [4, 5], "and nothing from before the sink was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_say_how_far_a_damaged_branch_was_all_of_it_is_delivered() {
    let (deployment, onward) = Deployment::lake().await;
    let (repo, receiver) = (onward.repo("lake"), Receiver::start().await);
    let hurt = branch(&repo, "hurt").await;
    for n in 0..3 {
        commit(&hurt, n).await;
    }
    let (key, whole) = damage(&deployment.objects, "hurt").await;
    deployment.redis.command::<String>(&["FLUSHALL"]);
    let fresh = deployment.connect().await;
    let deliverer = Deliverer::start(&fresh);
    let branches = vec!["hurt".to_owned()];
    let made = deliverer.add(NewSink { branches, ..webhook(&receiver.url) }).await;
    assert_eq!(made.left_out, ["hurt"]);
    deployment.objects.put(&key, whole).await.unwrap();
    deliverer.end().await;
    let _next = Deliverer::start(&fresh);
    let got = receiver.until("all came", |got| tickets(got, "hurt").len() >= 3).await;
    in_order(&got);
    assert_eq!(tickets(&got, "hurt"), [1, 2, 3]);
    let sink = fresh.repo("lake").sinks().await.unwrap();
    assert_eq!(sink.1.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_from_the_start_has_the_whole_of_a_mended_branch_and_http_names_what_is_left_out() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let (repo, receiver) = (sidecar.onward.repo("lake"), Receiver::start().await);
    let hurt = branch(&repo, "hurt").await;
    commit(&hurt, 0).await;
    let (key, whole) = damage(&sidecar.deployment.objects, "hurt").await;
    let sinks = "/onward/v1/repositories/lake/sinks";
    let body = json!({"id": "audit", "url": receiver.url, "start": "start"});
    let (status, made) = sidecar.send("POST", sinks, body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["left_out"], json!(["hurt"]));
    assert_eq!(sidecar.get(sinks).await.1["sinks"][0]["left_out"], json!(["hurt"]));
    sidecar.deployment.objects.put(&key, whole).await.unwrap();
    branch(&repo, "news").await;
    let is_whole = |got: &[Got]| {
        let of_hurt = got.iter().filter(|got| got.place().0 == "hurt");
        of_hurt.map(|got| got.event["type"].as_str().unwrap()).collect::<Vec<_>>()
            == ["onward.branch.created", "onward.commit"]
    };
    receiver.until("all of it came", |got| is_whole(&distinct(got))).await;
    until_async("nothing is left out", || async {
        sidecar.get(sinks).await.1["sinks"][0].get("left_out").is_none()
    })
    .await;
}
