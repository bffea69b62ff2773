//! Sinks over HTTP and at the prompt: made, shown without their secrets, tried, refused where they lead nowhere.

use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use crate::cli::Desk;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

const SINKS: &str = "/onward/v1/repositories/lake/sinks";

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_made_tried_shown_and_removed_over_http_and_its_secret_is_shown_once() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.0/8".into()]).await;
    let receiver = Receiver::start().await;
    let body =
        json!({"id": "audit", "url": receiver.url, "branches": ["ma?n"], "events": ["commit"]});
    let (status, made) = sidecar.send("POST", SINKS, body.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(sidecar.send("POST", SINKS, body).await.0, StatusCode::CONFLICT);
    let (status, tried) = sidecar.send("POST", &format!("{SINKS}/audit/test"), json!({})).await;
    assert_eq!(
        (status, &tried),
        (StatusCode::OK, &json!({"taken": true, "status": 204, "reason": null}))
    );
    sidecar.onward.repo("lake").branch("main").change().allow_empty(true).commit().await.unwrap();
    let got = receiver.until_events(2).await;
    assert!(got.iter().all(|got| got.is_signed_with(secret)));
    until_async("what was delivered is noted", || async {
        let (_, listed) = sidecar.get(SINKS).await;
        let text = listed.to_string();
        assert!(!text.contains(secret) && !text.contains("of-this-receiver"), "{text}");
        listed["sinks"][0]["delivered"] == 1 && listed["sinks"][0]["state"] == "live"
    })
    .await;
    let (_, sinks) = sidecar.onward.repo("lake").sinks().await.unwrap();
    for object in ["lake/sinks", &format!("lake/sink-progress/{}", sinks[0].own_name())] {
        let stored = sidecar.deployment.objects.get(object).await.unwrap().unwrap();
        let key = secret.as_bytes();
        assert!(!stored.windows(key.len()).any(|bytes| bytes == key), "{object}");
    }
    let metrics = sidecar.plain("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("onward_sink_dead{repo=\"lake\",sink=\"audit\"} 0"), "{metrics}");
    let gone = |path: &str| told(sidecar.request("DELETE", &format!("{SINKS}/{path}")));
    assert_eq!(gone("audit").await.0, StatusCode::NO_CONTENT);
    assert_eq!(gone("audit").await.0, StatusCode::NOT_FOUND);
    assert_eq!(sidecar.get(SINKS).await.1, json!({"sinks": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_cannot_be_are_refused_and_nobody_but_an_administrator_makes_one() {
    let sidecar = Sidecar::start().await;
    let url = "https://hooks.example.com/";
    for (body, status) in [
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "stream": {}}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "events": ["tag"]}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "branches": ["a/b"]}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "id": "A"}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "secret": "short"}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "timeout_ms": 60_001}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "start": "now", "after": 3}), StatusCode::BAD_REQUEST),
        (json!({"url": url, "retries": 3}), StatusCode::BAD_REQUEST),
        (json!({"url": "http://127.0.0.1:1/"}), StatusCode::FORBIDDEN),
        (json!({"url": "https://169.254.169.254/latest"}), StatusCode::FORBIDDEN),
        (json!({"url": "http://hooks.example.com/"}), StatusCode::FORBIDDEN),
        (json!({"stream": {"redis": "redis://127.0.0.1"}}), StatusCode::FORBIDDEN),
        (json!({"stream": {"key": "of-another"}}), StatusCode::BAD_REQUEST),
    ] {
        let (got, said) = sidecar.send("POST", SINKS, body.clone()).await;
        assert_eq!(got, status, "{body}: {said}");
    }
    // A name that stands for this machine leads nowhere, whenever that is found out.
    let made = json!({"id": "local", "url": "https://localhost:1/"});
    assert_eq!(sidecar.send("POST", SINKS, made).await.0, StatusCode::CREATED);
    let (_, tried) = sidecar.send("POST", &format!("{SINKS}/local/test"), json!({})).await;
    assert!(
        tried["reason"].as_str().unwrap().contains("stands for an address that no event may go to"),
        "{tried}"
    );
    let (id, secret) = sidecar.key(Role::Write).await;
    let as_writer = |method: &str, body: Value| {
        let request = sidecar.plain(method, SINKS).basic_auth(&id, Some(&secret));
        told(if method == "GET" { request } else { request.json(&body) })
    };
    assert_eq!(as_writer("GET", json!({})).await.0, StatusCode::OK);
    assert_eq!(as_writer("POST", json!({"url": url})).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_makes_lists_tries_and_removes_sinks() {
    let receiver = Receiver::start().await;
    let url = receiver.url.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let desk = Desk::lake();
        let add = format!("sink add lake {url} --id audit --branch main --event commit,merge");
        desk.fails(3, &add);
        let made = desk.done(&format!("{add} --allow-sink 127.0.0.1 --json")).json();
        assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
        desk.fails(3, &format!("{add} --allow-sink 127.0.0.1"));
        let stream = desk.done("sink add lake --stream --id stream --from-start --json").json();
        assert!(stream["stream"].as_str().unwrap().starts_with("onward:{lake}:sink:stream-"));
        let listed = desk.done("sink list lake").stdout;
        assert!(listed.starts_with("audit\tlive\thttp://127.0.0.1:"), "{listed}");
        assert!(listed.contains("/…\tmain\t0\n") && !listed.contains("hook"), "{listed}");
        let tried = desk.done("sink test lake audit --allow-sink 127.0.0.1");
        assert_eq!(tried.stdout, "taken, with status 204\n");
        desk.fails(1, "sink test lake audit");
        let rotated = desk.done("sink rotate lake audit --json").json();
        assert_ne!(rotated["secret"], made["secret"]);
        desk.fails(2, "sink rotate lake stream");
        desk.done("sink revive lake audit");
        desk.fails(4, "sink revive lake other");
        desk.fails(2, "sink remove lake audit");
        desk.done("sink remove lake audit --yes");
        desk.fails(4, "sink remove lake audit --yes");
        desk.fails(2, "sink add lake https://a.example/ --event tag");
        desk.fails(4, "sink list pond");
    });
    ended.await.unwrap();
    receiver.answers(|_| Reply::Status(200));
    assert_eq!(receiver.got().len(), 1);
}
