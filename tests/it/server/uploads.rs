//! Uploads that are refused, cut off, or never end: what they cost, and what they leave behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onward::internals::objects::Objects;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use walkdir::WalkDir;

use super::objects::{UPLOAD, begin, uploads};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

/// What the sidecar answers, to its end.
async fn answer(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    // However the connection ends.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_refused_whose_content_does_not_begin() {
    // One byte more than may come before it.
    const SENT: usize = 64 * 1024 + 1;
    let sidecar = Sidecar::start().await;
    for start in [
        // A header without an end, a field without an end, and no boundary at all.
        "--b\r\nA: ",
        "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n",
        "",
    ] {
        let headers = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999\r\nConnection: close";
        let body = [start.as_bytes(), &vec![b'x'; SENT - start.len()]].concat();
        let answer = answer(begin(&sidecar, headers, &body).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{start}: {answer}");
        assert!(answer.contains("before its field 'content'"), "{start}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_before_the_content_of_a_form_are_passed_over() {
    let sidecar = Sidecar::start().await;
    let content = vec![b'x'; 3 << 20];
    let notes = (0..200).fold(Form::new(), |form, n| form.text(format!("note{n}"), "not this"));
    let form = notes.part("content", Part::bytes(content.clone()));
    let request = sidecar.request("POST", &format!("{UPLOAD}?path=a"));
    let (status, stats) = told(request.multipart(form)).await;
    assert_eq!(status, StatusCode::CREATED, "{stats}");
    assert_eq!(stats["size_bytes"], content.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_asked_before_the_body_and_leaves_nothing() {
    let sidecar = Sidecar::start().await;
    let url = format!("{UPLOAD}?path=half");
    assert_eq!(told(sidecar.request("POST", &url).body("x")).await.0, StatusCode::CREATED);
    let headers =
        "Content-Length: 1000000\r\nIf-None-Match: *\r\nExpect: 100-continue\r\nConnection: close";
    let answer = answer(begin(&sidecar, headers, b"").await).await;
    assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
    assert_eq!(uploads(&sidecar).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_whose_condition_no_longer_holds_at_its_end() {
    let sidecar = Sidecar::start().await;
    let headers = "Content-Length: 4\r\nIf-None-Match: *\r\nConnection: close";
    let mut slow = begin(&sidecar, headers, b"sl").await;
    until_async("its condition was asked", || async {
        let (_, metrics) = told(sidecar.plain("GET", "/metrics")).await;
        metrics.as_str().unwrap().contains("onward_http_in_flight 2\n")
    })
    .await;
    let url = format!("{UPLOAD}?path=half");
    assert_eq!(told(sidecar.request("POST", &url).body("fast")).await.0, StatusCode::CREATED);
    let there = uploads(&sidecar).await;
    slow.write_all(b"ow").await.unwrap();
    let answer = answer(slow).await;
    assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
    assert_eq!(uploads(&sidecar).await, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_links_more_bytes_than_clients_can_count() {
    let sidecar = Sidecar::start().await;
    let changes = format!("{}/changes", super::MAIN);
    let backing = format!("{}/branches/main/staging/backing?path=a", super::LAKE);
    for (size, fits) in [(i64::MAX as u64, true), (i64::MAX as u64 + 1, false)] {
        let put = json!({"path": "a", "address": "mem://x", "checksum": "c", "size": size});
        let stage = json!({"physical_address": "mem://x", "checksum": "c", "size_bytes": size});
        let link = json!({"staging": {"physical_address": "mem://x"}, "checksum": "c", "size_bytes": size});
        let request = sidecar.request("POST", &changes).header("Content-Type", "application/jsonl");
        let line = json!({"put": put}).to_string();
        assert_eq!(told(request.body(line)).await.0.is_success(), fits, "{size}");
        for (method, url, body) in [
            ("POST", &changes, json!({"changes": [{"put": put}]})),
            ("PUT", &format!("{UPLOAD}?path=a"), stage),
            ("PUT", &backing, link),
        ] {
            let (status, said) = sidecar.send(method, url, body).await;
            assert_eq!(status.is_success(), fits, "{url} {size}: {said}");
            assert!(fits || said["code"] == "invalid", "{url} {size}: {said}");
        }
    }
}

/// Files below a folder that are not finished.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    files.map(|file| file.into_path()).filter(|path| path.to_str().unwrap().contains('#')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_does_not_end_before_its_sidecar_is_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    // All of it is kept for uploads to withdraw.
    let grace = |config: &mut onward_server::ServerConfig| {
        config.limits.grace = Duration::from_secs(5);
    };
    let mut sidecar = Sidecar::over(deployment, onward, grace).await;
    // More than one part of an upload.
    let half = vec![b'x'; 20 << 20];
    let socket = begin(&sidecar, "Content-Length: 41943040", &half).await;
    until_async("a part is written", || async { !unfinished(dir.path()).is_empty() }).await;
    sidecar.stopper.cancel();
    let answer = answer(socket).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!((&mut sidecar.serving).await.unwrap(), "it ended in time");
    assert_eq!(unfinished(dir.path()), Vec::<PathBuf>::new());
}
