//! Imports over the lakeFS API, called off.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{LAKE, MAIN};
use crate::support::branch::{Ghost, keys};
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

const IMPORT: &str = "/api/v1/repositories/lake/branches/main/import";

/// A sidecar that may import from a folder with one file.
async fn sidecar() -> (Sidecar, tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "hello").unwrap();
    let root = format!("file://{}", dir.path().display());
    let allowed = root.clone();
    (Sidecar::with(move |config| config.sources = vec![allowed]).await, dir, root)
}

/// Begins an import; returns the path of its status.
async fn begin(sidecar: &Sidecar, root: &str) -> String {
    let location = json!({"type": "common_prefix", "path": root, "destination": ""});
    let body = json!({"paths": [location], "commit": {"message": "imported"}});
    let (status, begun) = sidecar.send("POST", IMPORT, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    format!("{IMPORT}?id={}", begun["id"].as_str().unwrap())
}

async fn is_in_the_log(sidecar: &Sidecar) -> bool {
    let (_, log) = sidecar.get(&format!("{LAKE}/refs/main/commits")).await;
    log["results"].as_array().unwrap().iter().any(|commit| commit["message"] == "imported")
}

async fn queue(sidecar: &Sidecar) -> Value {
    sidecar.get(&format!("{MAIN}/queue")).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_called_off_in_the_queue_is_not_committed() {
    let (sidecar, _dir, root) = sidecar().await;
    let keys = keys(&sidecar.deployment.objects, "main").await;
    let ghost = Ghost::haunt(&sidecar.deployment.redis, &keys);
    let import = begin(&sidecar, &root).await;
    until_async("it is accepted", || async { queue(&sidecar).await["depth"] == 1 }).await;
    let calling_off = tokio::spawn(told(sidecar.request("DELETE", &import)));
    until_async("its op is marked", || async {
        let mut redis = sidecar.deployment.redis.connect();
        let ops: Vec<Vec<u8>> =
            redis::cmd("LRANGE").arg(&keys.queue).arg(0).arg(-1).query(&mut redis).unwrap();
        // Behind the 36 characters of the op's id.
        ops.first().is_some_and(|op| op.get(36) == Some(&b'C')) || calling_off.is_finished()
    })
    .await;
    drop(ghost);
    let (status, said) = calling_off.await.unwrap();
    assert_eq!(status, StatusCode::NO_CONTENT, "{said}");
    until_async("it is decided", || async { queue(&sidecar).await["depth"] == 0 }).await;
    assert!(!is_in_the_log(&sidecar).await);
    let (_, ended) = sidecar.get(&import).await;
    assert_eq!(ended["error"]["message"], "it was cancelled", "{ended}");
    assert_eq!(told(sidecar.request("DELETE", &import)).await.0, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_an_import_that_was_called_off_is_what_the_log_says() {
    for _ in 0..10 {
        let (sidecar, _dir, root) = sidecar().await;
        let import = begin(&sidecar, &root).await;
        let (status, said) = told(sidecar.request("DELETE", &import)).await;
        let (_, ended) = sidecar.get(&import).await;
        until_async("nothing waits", || async { queue(&sidecar).await["depth"] == 0 }).await;
        match is_in_the_log(&sidecar).await {
            true => {
                assert_eq!(status, StatusCode::CONFLICT, "{said}");
                assert_eq!(ended["completed"], true, "{ended}");
            }
            false => assert_eq!(status, StatusCode::NO_CONTENT, "{said}"),
        }
    }
}
