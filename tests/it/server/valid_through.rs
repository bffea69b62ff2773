//! Waiting until a branch has everything up to a time: over HTTP, and by the command.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::MAIN;
use crate::cli::Desk;
use crate::support::sidecar::Sidecar;

async fn commit(sidecar: &Sidecar, number: u64, metadata: Value) -> Value {
    let put = json!({"path": format!("p{number}"), "address": "mem://x", "checksum": "c", "size": number});
    let body = json!({"changes": [{"put": put}], "metadata": metadata});
    let (status, told) = sidecar.send("POST", &format!("{MAIN}/changes"), body).await;
    assert_eq!(status, StatusCode::CREATED);
    told["commit"].clone()
}

fn through(time: &str, group: &str) -> Value {
    json!({"onward.kafka.valid-through": time, "onward.kafka.group": group})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_commit_that_says_so_counts() {
    let sidecar = Sidecar::start().await;
    let asked = |query: &str| {
        let (sidecar, path) = (&sidecar, format!("{MAIN}/valid_through{query}"));
        async move { sidecar.get(&path).await }
    };
    let (status, told) = asked("").await;
    assert_eq!((status, &told["valid_through"]), (StatusCode::OK, &Value::Null));
    assert_eq!(asked("?at=2026-11-28T09:00:00Z").await.0, StatusCode::ACCEPTED);

    let first = commit(&sidecar, 1, through("2026-11-28T09:00:00Z", "a")).await;
    let second = commit(&sidecar, 2, through("2026-11-28T11:00:00+01:00", "b")).await;
    // Others' commits, and what is no time, say nothing.
    commit(&sidecar, 3, json!({})).await;
    commit(&sidecar, 4, through("soon", "b")).await;
    let (_, told) = asked("").await;
    assert_eq!(told, json!({"valid_through": "2026-11-28T10:00:00Z", "commit": second}));
    let (_, told) = asked("?group=a").await;
    assert_eq!(told, json!({"valid_through": "2026-11-28T09:00:00Z", "commit": first}));
    for (query, status) in [
        ("?at=2026-11-28T10:00:00Z", StatusCode::OK),
        ("?at=2026-11-28T10:00:00.001Z", StatusCode::ACCEPTED),
        ("?at=2026-11-28T10:00:00Z&group=a", StatusCode::ACCEPTED),
        ("?at=yesterday", StatusCode::BAD_REQUEST),
        ("?until=2026-11-28T10:00:00Z", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(asked(query).await.0, status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_when_it_is_there() {
    let sidecar = Sidecar::start().await;
    commit(&sidecar, 1, through("2026-11-28T09:00:00Z", "g")).await;
    let path = format!("{MAIN}/valid_through?at=2026-11-28T10:00:00Z&wait_ms=300000");
    let waiting = sidecar.get(&path);
    let coming = async {
        commit(&sidecar, 2, through("2026-11-28T09:59:59Z", "g")).await;
        commit(&sidecar, 3, through("2026-11-28T10:00:00Z", "g")).await
    };
    let ((status, told), commit) = tokio::join!(waiting, coming);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told, json!({"valid_through": "2026-11-28T10:00:00Z", "commit": commit}));
}

#[test]
fn the_command_waits_too_and_says_what_is_there_when_the_time_is_over() {
    let desk = Desk::lake();
    let said = desk
        .fails(8, "wait-until lake/main --valid-through 2026-11-28T09:00:00Z --timeout 0s --json");
    assert_eq!(said.json(), json!({"valid_through": null, "commit": null}));
    let put = br#"{"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}}"#;
    let line =
        "commit lake/main -m m --changes - --meta onward.kafka.valid-through=2026-11-28T09:30:00Z";
    assert_eq!(desk.fed(line, put).code, 0);
    let said = desk.done("wait-until lake/main --valid-through 2026-11-28T09:00:00Z --json");
    assert_eq!(said.json()["valid_through"], "2026-11-28T09:30:00Z");
    desk.fails(
        8,
        "wait-until lake/main --valid-through 2026-11-28T09:00:00Z --group g --timeout 0s",
    );
    desk.fails(2, "wait-until lake/main --valid-through noon");
    desk.fails(4, "wait-until lake/nowhere --valid-through 2026-11-28T09:00:00Z");
}
