//! The Iceberg REST catalog of the sidecar, over real connections.

mod access;
mod branches;
mod checked;
#[cfg(feature = "aws")]
mod delegation;
mod doors;
mod fates;
mod faults;
mod garbage;
mod merges;
mod namesakes;
mod namespaces;
mod parts;
mod sharing;
mod storage;
mod stragglers;
mod tables;
mod transactions;
mod trimming;

use futures::TryStreamExt;
use onward::Onward;
use onward::history::{CommitInfo, LogRequest};
use onward_server::{Listen, Server, ServerConfig};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::sidecar::{ADMIN, Sidecar, told};

/// The catalog of the branch `main` of `lake`.
const MAIN: &str = "/iceberg/v1/lake@main";

/// A status and a body.
type Told = (StatusCode, Value);

/// A sidecar with a namespace `a`.
async fn catalog() -> Sidecar {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let made =
        sidecar.send("POST", &format!("{MAIN}/namespaces"), json!({"namespace": ["a"]})).await;
    assert_eq!(made.0, StatusCode::OK, "{made:?}");
    sidecar
}

/// What a table is made of.
fn new_table(name: &str) -> Value {
    let id = json!({"id": 1, "name": "id", "type": "long", "required": false});
    json!({"name": name, "schema": {"type": "struct", "schema-id": 0, "fields": [id]}})
}

/// Makes the table `a.NAME` and gives its metadata.
async fn create(sidecar: &Sidecar, name: &str) -> Value {
    let url = format!("{MAIN}/namespaces/a/tables");
    let (status, told) = sidecar.send("POST", &url, new_table(name)).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told["metadata"].clone()
}

/// The URL of the table `a.NAME`.
fn at(name: &str) -> String {
    format!("{MAIN}/namespaces/a/tables/{name}")
}

/// The metadata of `a.NAME` as it is now.
async fn load(sidecar: &Sidecar, name: &str) -> Value {
    let (status, told) = sidecar.get(&at(name)).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told["metadata"].clone()
}

/// The id of the present snapshot.
fn current(metadata: &Value) -> Option<i64> {
    metadata["current-snapshot-id"].as_i64().filter(|id| *id != -1)
}

/// An append of snapshot `id` by somebody who knows the table as `metadata`.
fn append(metadata: &Value, id: i64) -> Value {
    let (parent, location) = (current(metadata), metadata["location"].as_str().unwrap());
    let mut snapshot = json!({
        "snapshot-id": id,
        "sequence-number": metadata["last-sequence-number"].as_i64().unwrap() + 1,
        "timestamp-ms": metadata["last-updated-ms"],
        "manifest-list": format!("{location}/metadata/snap-{id}.avro"),
        "summary": {"operation": "append", "added-records": "1", "total-records": "1"},
        "schema-id": 0,
    });
    if let Some(parent) = parent {
        snapshot["parent-snapshot-id"] = parent.into();
    }
    json!({
        "requirements": [
            {"type": "assert-table-uuid", "uuid": metadata["table-uuid"]},
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": parent},
        ],
        "updates": [
            {"action": "add-snapshot", "snapshot": snapshot},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id},
        ],
    })
}

/// A change of a property, whatever the table is like.
fn set(key: &str, value: &str) -> Value {
    json!({"requirements": [], "updates": [{"action": "set-properties", "updates": {key: value}}]})
}

/// The ids of all snapshots, in order of their sequence numbers.
fn snapshots(metadata: &Value) -> Vec<i64> {
    let snapshots = metadata["snapshots"].as_array().cloned().unwrap_or_default();
    snapshots.iter().map(|snapshot| snapshot["snapshot-id"].as_i64().unwrap()).collect()
}

/// Fails unless an answer is an error of this status and type, in the specification's model.
#[track_caller]
fn refused(told: &Told, status: u16, name: &str) {
    let (at, body) = told;
    assert_eq!(at.as_u16(), status, "{body}");
    assert_eq!(body["error"]["type"], name, "{body}");
    assert_eq!(body["error"]["code"], status, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
}

/// Sends a body with a header.
async fn send_with(sidecar: &Sidecar, url: &str, header: (&str, &str), body: &Value) -> Told {
    told(sidecar.request("POST", url).header(header.0, header.1).json(body)).await
}

/// The commits of `main`, newest first.
async fn log(sidecar: &Sidecar) -> Vec<CommitInfo> {
    let repo = sidecar.onward.repo("lake");
    let log = repo.log(&"main".parse().unwrap(), &LogRequest::default()).await;
    log.unwrap().try_collect().await.unwrap()
}

/// One more sidecar of a deployment.
struct Beside(String);

impl Beside {
    async fn start(onward: Onward) -> Self {
        let config = ServerConfig::new("127.0.0.1:0".parse::<Listen>().unwrap());
        let server = Server::bind(onward, config).await.unwrap();
        let url = server.url();
        drop(tokio::spawn(server.serve()));
        Self(url)
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Told {
        let method = method.parse::<reqwest::Method>().unwrap();
        let client = reqwest::Client::new();
        let request = client.request(method, format!("{}{path}", self.0));
        told(request.basic_auth(ADMIN.0, Some(ADMIN.1)).json(&body)).await
    }
}
