//! The stream of outcomes.

use futures::StreamExt;
use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::MAIN;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// The events of a stream, up to the one that `is_last`.
async fn events(
    response: reqwest::Response,
    mut is_last: impl FnMut(&str, &Value) -> bool,
) -> Vec<(String, Value)> {
    let mut pieces = response.bytes_stream();
    let (mut text, mut seen) = (String::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        text += std::str::from_utf8(&piece.unwrap()).unwrap();
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let Some(kind) = field("event:") else { continue };
            let data: Value = serde_json::from_str(field("data:").unwrap()).unwrap();
            seen.push((kind.to_owned(), data));
            let (kind, data) = seen.last().unwrap();
            if is_last(kind, data) {
                return seen;
            }
        }
    }
    seen
}

async fn commit(sidecar: &Sidecar, n: usize) -> Value {
    let change =
        json!({"put": {"path": format!("p{n}"), "address": "mem://x", "checksum": "c", "size": n}});
    let (status, body) =
        sidecar.send("POST", &format!("{MAIN}/changes"), json!({"changes": [change]})).await;
    assert_eq!(status, StatusCode::CREATED);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_come_in_order_and_a_listener_goes_on_where_it_was() {
    let sidecar = Sidecar::start().await;
    let listen = || sidecar.request("GET", &format!("{MAIN}/events"));
    let now = listen().send().await.unwrap();
    assert_eq!(now.headers()["content-type"], "text/event-stream");
    let mut committed = Vec::new();
    for n in 0..20 {
        committed.push(commit(&sidecar, n).await);
    }
    let last = committed.last().unwrap()["ticket"].clone();
    let is_last = |_: &str, data: &Value| data["ticket"] == last;
    let heard = events(now, is_last).await;
    let expected: Vec<(String, Value)> = committed
        .iter()
        .map(|body| {
            let told = json!({
                "ticket": body["ticket"], "op_id": body["op_id"],
                "outcome": "committed", "commit": body["commit"],
            });
            ("outcome".to_owned(), told)
        })
        .collect();
    assert_eq!(heard, expected);
    let from = committed[9]["ticket"].to_string();
    let later = listen().header("Last-Event-ID", from).send().await.unwrap();
    assert_eq!(events(later, is_last).await, expected[10..]);
    let wrong = listen().header("Last-Event-ID", "x").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_no_longer_keeps_is_told_as_a_gap() {
    let sidecar = Sidecar::start().await;
    for n in 0..5 {
        commit(&sidecar, n).await;
    }
    let mut redis = sidecar.deployment.redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*outcomes").query(&mut redis).unwrap();
    let _: i64 = redis::cmd("XTRIM").arg(&keys[0]).arg("MAXLEN").arg(2).query(&mut redis).unwrap();
    let after_one = sidecar.request("GET", &format!("{MAIN}/events?after=1")).send().await.unwrap();
    let heard = events(after_one, |_, data| data["ticket"] == 6).await;
    assert_eq!(heard[0], ("gap".to_owned(), json!({"from": 2, "to": 4})));
    assert_eq!((heard[1].1["ticket"].clone(), heard.len()), (json!(5), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_says_why_and_not_that_its_branch_was_deleted() {
    let sidecar = Sidecar::start().await;
    let last = commit(&sidecar, 0).await["ticket"].as_u64().unwrap();
    let listening = sidecar.request("GET", &format!("{MAIN}/events")).send().await.unwrap();
    let mut redis = sidecar.deployment.redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*outcomes").query(&mut redis).unwrap();
    let damaged = format!("{}-0", last + 1);
    let mut write = redis::cmd("XADD");
    write.arg(&keys[0]).arg(damaged).arg("o").arg("no op id").arg("r").arg("no record");
    write.exec(&mut redis).unwrap();
    let heard = events(listening, |_, _| false).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].0, "error");
    assert!(heard[0].1["message"].as_str().unwrap().contains("damaged"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_branch_and_with_the_sidecar() {
    let mut sidecar = Sidecar::with(|config| config.limits.streams = 2).await;
    sidecar
        .send(
            "POST",
            &format!("{}/branches", super::LAKE),
            json!({"name": "dev", "source": "main"}),
        )
        .await;
    let dev = "/onward/v1/repositories/lake/branches/dev/events";
    let on_dev = sidecar.request("GET", dev).send().await.unwrap();
    let on_main = sidecar.request("GET", &format!("{MAIN}/events")).send().await.unwrap();
    let third = sidecar.request("GET", dev).send().await.unwrap();
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    sidecar.onward.repo("lake").branch("dev").delete().await.unwrap();
    let heard = events(on_dev, |_, _| false).await;
    assert_eq!(heard.last().unwrap().0, "end");
    sidecar.stopper.cancel();
    // The branch is still there: the listener is to come back.
    assert_eq!(events(on_main, |_, _| false).await, []);
    assert!((&mut sidecar.serving).await.unwrap(), "every request was finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_take_the_streams_of_all() {
    let sidecar = Sidecar::with(|config| config.limits.streams_per_key = 1).await;
    let events = format!("{MAIN}/events");
    let first = sidecar.request("GET", &events).send().await.unwrap();
    let second = sidecar.request("GET", &events).send().await.unwrap();
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(second.headers().contains_key("retry-after"));
    assert!(second.text().await.unwrap().contains("1 event streams of this access key"));
    let (id, secret) = sidecar.key(Role::Read).await;
    let other = sidecar.plain("GET", &events).basic_auth(id, Some(secret)).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    drop(first);
    until_async("the place is given back", || async {
        let again = sidecar.request("GET", &events).send().await.unwrap();
        again.status() == StatusCode::OK
    })
    .await;
}
