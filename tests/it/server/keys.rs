//! Requests with an `Idempotency-Key`: made once, recognised, and told from others under the same key.

use onward::RefExpr;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{LAKE, MAIN};
use crate::support::branch::{Ghost, keys};
use crate::support::sidecar::Sidecar;

const REPLAYED: &str = "idempotency-replayed";

fn put(path: &str) -> Value {
    json!({"put": {"path": path, "address": format!("mem://{path}"), "checksum": path, "size": 1}})
}

/// Sends a request with a key: the status, whether it is said to be a repetition, and the body.
async fn keyed(sidecar: &Sidecar, url: &str, kind: &str, body: &str) -> (StatusCode, bool, Value) {
    let request = sidecar.request("POST", url).header("Idempotency-Key", "k");
    let answer = request.header("Content-Type", kind).body(body.to_owned()).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let replayed = headers.get(REPLAYED).is_some_and(|value| value == "true");
    let body = answer.text().await.unwrap();
    (status, replayed, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// How many commits `main` has.
async fn commits(sidecar: &Sidecar) -> usize {
    let (_, page) = sidecar.get(&format!("{LAKE}/refs/main/commits?amount=1000")).await;
    page["results"].as_array().unwrap().len()
}

/// Every request that takes a key, each in two bodies that are not the same.
fn requests() -> Vec<(String, &'static str, String, String)> {
    let (json, lines) = ("application/json", "application/jsonl");
    let set = |path: &str| json!({"changes": [put(path)]}).to_string();
    let merged = |squash: bool| json!({"source": "one", "squash": squash}).to_string();
    let words = |text: &str| json!({"message": text, "allow_empty": true}).to_string();
    let revert = |empty: bool| json!({"ref": "main", "allow_empty": empty}).to_string();
    let pick =
        |text: &str| json!({"ref": "one", "commit_overrides": {"message": text}}).to_string();
    vec![
        (format!("{MAIN}/changes"), json, set("a"), set("b")),
        (format!("{MAIN}/changes"), lines, put("c").to_string(), put("d").to_string()),
        (format!("{MAIN}/merge"), json, merged(false), merged(true)),
        (
            format!("{MAIN}/merge"),
            json,
            json!({"source": "one"}).to_string(),
            json!({"source": "two"}).to_string(),
        ),
        (format!("{LAKE}/branches/main/commits"), json, words("a"), words("b")),
        (format!("{LAKE}/refs/two/merge/main"), json, words("a"), words("b")),
        (format!("{LAKE}/branches/main/revert"), json, revert(false), revert(true)),
        (format!("{LAKE}/branches/main/cherry-pick"), json, pick("a"), pick("b")),
    ]
}

/// A sidecar whose `lake` has branches `one` and `two`, each with a commit that `main` has not.
async fn lake() -> Sidecar {
    let sidecar = Sidecar::start().await;
    let base = json!({"changes": [put("base")]});
    assert!(sidecar.send("POST", &format!("{MAIN}/changes"), base).await.0.is_success());
    for name in ["one", "two"] {
        let branch = sidecar.onward.repo("lake").branch(name);
        branch.create(&RefExpr::plain("main")).await.unwrap();
        let url = format!("/onward/v1/repositories/lake/branches/{name}/changes");
        let (status, said) = sidecar.send("POST", &url, json!({"changes": [put(name)]})).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
    }
    sidecar
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_a_key_is_refused_and_the_same_one_is_told_its_outcome() {
    for (url, kind, body, other) in requests() {
        let sidecar = lake().await;
        let (status, replayed, first) = keyed(&sidecar, &url, kind, &body).await;
        assert!(status.is_success() && !replayed, "{url}: {first}");
        let made = commits(&sidecar).await;
        let again = keyed(&sidecar, &url, kind, &body).await;
        assert_eq!((again.0, again.1), (status, true), "{url}: {}", again.2);
        for field in ["id", "commit", "op_id", "reference"] {
            assert_eq!(again.2[field], first[field], "{url}");
        }
        let (status, replayed, said) = keyed(&sidecar, &url, kind, &other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {said}");
        assert_eq!((replayed, &said["code"]), (false, &json!("key_reused")), "{url}: {said}");
        assert_eq!(commits(&sidecar).await, made, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_a_key_is_refused_while_the_first_waits() {
    for (url, kind, body, other) in requests() {
        if !url.starts_with("/onward") {
            continue;
        }
        let sidecar = lake().await;
        let branch = keys(&sidecar.deployment.objects, "main").await;
        let ghost = Ghost::haunt(&sidecar.deployment.redis, &branch);
        let url = format!("{url}?wait=false");
        let (status, _, first) = keyed(&sidecar, &url, kind, &body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{url}: {first}");
        let (status, _, again) = keyed(&sidecar, &url, kind, &body).await;
        assert_eq!((status, &again["ticket"]), (StatusCode::ACCEPTED, &first["ticket"]), "{url}");
        let (status, _, said) = keyed(&sidecar, &url, kind, &other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {said}");
        drop(ghost);
        let ticket = format!("{MAIN}/tickets/{}?wait_ms=60000", first["op_id"].as_str().unwrap());
        let (status, told) = sidecar.get(&ticket).await;
        assert_eq!((status, &told["outcome"]), (StatusCode::OK, &json!("committed")), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_from_others_by_the_log_alone() {
    let sidecar = lake().await;
    let (url, kind) = (format!("{MAIN}/changes"), "application/json");
    let set = |path: &str| json!({"changes": [put(path)]}).to_string();
    let (_, _, first) = keyed(&sidecar, &url, kind, &set("a")).await;
    redis::cmd("FLUSHALL").exec(&mut sidecar.deployment.redis.connect()).unwrap();
    let (status, _, said) = keyed(&sidecar, &url, kind, &set("b")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
    let (status, replayed, again) = keyed(&sidecar, &url, kind, &set("a")).await;
    assert_eq!((status, replayed, &again["commit"]), (StatusCode::CREATED, true, &first["commit"]));
}
