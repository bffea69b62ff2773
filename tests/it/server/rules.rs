//! Rules of protected branches over the lakeFS API.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::protection::{Action, Rule};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::LAKE;
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::{Sidecar, told};

const RULES: &str = "/api/v1/repositories/lake/settings/branch_protection";

fn patterns(names: &[&str]) -> Value {
    names.iter().map(|pattern| json!({"pattern": pattern})).collect()
}

/// The rules that clients see, and their ETag.
async fn shown(sidecar: &Sidecar) -> (Value, String) {
    let response = sidecar.request("GET", RULES).send().await.unwrap();
    let etag = response.headers()["etag"].to_str().unwrap().to_owned();
    (response.json().await.unwrap(), etag)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_set_all_or_none() {
    let sidecar = Sidecar::start().await;
    let both = patterns(&["main", "rel-*"]);
    assert_eq!(sidecar.send("PUT", RULES, both.clone()).await.0, StatusCode::NO_CONTENT);
    for refused in [patterns(&["release/*"]), patterns(&["main", "dev", "[a"])] {
        let (status, said) = sidecar.send("PUT", RULES, refused).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert_eq!(shown(&sidecar).await.0, both);
    }
    let many: Vec<String> = (0..1001).map(|n| format!("b{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(sidecar.send("PUT", RULES, patterns(&many)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(shown(&sidecar).await.0, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_set_on_the_condition_that_they_are_those_that_were_read() {
    let sidecar = Sidecar::start().await;
    sidecar.send("PUT", RULES, patterns(&["main"])).await;
    let (_, read) = shown(&sidecar).await;
    let set = |tags: Vec<String>, rule: &'static str| {
        let request = sidecar.request("PUT", RULES).json(&patterns(&[rule]));
        told(tags.into_iter().fold(request, |request, tag| request.header("If-Match", tag)))
    };
    for (tags, status) in [
        (vec!["\"another\"".to_owned()], StatusCode::PRECONDITION_FAILED),
        (vec!["\u{ff}".to_owned()], StatusCode::BAD_REQUEST),
        (vec![format!("W/{read}"), "\"another\"".to_owned()], StatusCode::PRECONDITION_FAILED),
        (vec![format!("{read} {read}")], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(set(tags.clone(), "dev").await.0, status, "{tags:?}");
        assert_eq!(shown(&sidecar).await, (patterns(&["main"]), read.clone()));
    }
    let known = sidecar.request("GET", RULES).header("If-None-Match", &read);
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    // Lines of a list are one list.
    let lines = vec!["\"another\"".to_owned(), read.clone()];
    assert_eq!(set(lines, "dev").await.0, StatusCode::NO_CONTENT);
    assert_eq!(set(vec![read], "main").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(shown(&sidecar).await.0, patterns(&["dev"]));
    // Any at all.
    assert_eq!(set(vec!["*".to_owned()], "main").await.0, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_set_blocks_everything_and_others_stay() {
    let sidecar = Sidecar::start().await;
    let lake = sidecar.onward.repo("lake");
    let stays = Rule::new("keep-*").only([Action::Delete]);
    for rule in [Rule::new("main").only([Action::Commit]), stays.clone()] {
        lake.protect(rule).await.unwrap();
    }
    assert_eq!(shown(&sidecar).await.0, patterns(&["main"]));
    let upload = || {
        let url = format!("{LAKE}/branches/main/objects?path=a");
        told(sidecar.request("POST", &url).body("x"))
    };
    assert_eq!(upload().await.0, StatusCode::CREATED);
    let set = || sidecar.send("PUT", RULES, patterns(&["main", "main"]));
    assert_eq!(set().await.0, StatusCode::NO_CONTENT);
    assert_eq!(upload().await.0, StatusCode::FORBIDDEN);
    assert_eq!(lake.protection().await.unwrap(), [Rule::new("main"), stays.clone()]);
    let none = sidecar.send("PUT", RULES, patterns(&[])).await;
    assert_eq!(none.0, StatusCode::NO_CONTENT);
    assert_eq!(lake.protection().await.unwrap(), [stays]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_added_at_the_same_moment_are_all_there() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let lake = &deployment.connect().await.repo("lake");
    lake.create(&"main".parse().unwrap()).await.unwrap();
    // Who reads meanwhile reads what was there before.
    store.fail_all(Op::Put, Fault::Delay(Duration::from_millis(20)));
    let add = |n: usize| async move { lake.protect(Rule::new(format!("b{n}"))).await.unwrap() };
    futures::future::join_all((0..20).map(add)).await;
    assert_eq!(lake.protection().await.unwrap().len(), 20);
    // Nor is one of another process lost, which may win each time for as long as it has some.
    let other = &deployment.connect().await.repo("lake");
    let adders = (0..6).map(|n| async move {
        let repo = if n % 2 == 0 { lake } else { other };
        repo.protect(Rule::new(format!("c{n}"))).await.unwrap();
    });
    futures::future::join_all(adders).await;
    assert_eq!(lake.protection().await.unwrap().len(), 26);
}
