//! The same over HTTP: what an answer says of itself, and what its reader sees where it breaks off.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward_export::Format;
use reqwest::StatusCode;

use super::{lines, long_history, put};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::{ADMIN, Sidecar, told};
use crate::support::until::until_async;

const REFS: &str = "/onward/v1/repositories/lake/refs";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_the_format_that_it_asks_for() {
    let sidecar = Sidecar::start().await;
    put(&sidecar.onward, "main", &["a", "b"], 1).await;
    let answer = async |path: &str, accept: Option<&str>| {
        let mut request = sidecar.request("GET", &format!("{REFS}/{path}"));
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let (media_type, name) = (header("content-type"), header("content-disposition"));
        (media_type, name, response.bytes().await.unwrap().to_vec())
    };
    let (media_type, name, file) = answer("main/objects", None).await;
    assert_eq!((media_type.as_str(), lines(&file).len()), ("application/jsonl", 2));
    assert_eq!(name, "attachment; filename=\"objects.jsonl\"");
    let (media_type, name, file) = answer("main/commits?first_parent=true", Some("text/csv")).await;
    assert!(media_type.starts_with("text/csv"), "{media_type}");
    assert_eq!(name, "attachment; filename=\"commits.csv\"");
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 3);
    // The query counts, whatever else is accepted.
    let diff = "main~1/diff/main?format=parquet&two_dot=true";
    let (media_type, name, file) = answer(diff, Some("text/csv")).await;
    assert_eq!(media_type, "application/vnd.apache.parquet");
    assert_eq!(name, "attachment; filename=\"changes.parquet\"");
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    let refused = async |path: &str, accept: &str| {
        let request = sidecar.request("GET", &format!("{REFS}/{path}"));
        told(request.header("Accept", accept)).await.0
    };
    assert_eq!(refused("main/objects", "text/html").await, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(refused("main/objects?format=xlsx", "*/*").await, StatusCode::BAD_REQUEST);
    assert_eq!(refused("main/objects?delimiter=/", "*/*").await, StatusCode::BAD_REQUEST);
    assert_eq!(refused("main/commits?since=today", "*/*").await, StatusCode::BAD_REQUEST);
    assert_eq!(refused("nothing/objects", "*/*").await, StatusCode::NOT_FOUND);
    let stranger = sidecar.plain("GET", &format!("{REFS}/main/objects"));
    assert_eq!(told(stranger).await.0, StatusCode::UNAUTHORIZED);
}

/// A sidecar over a history of 300 commits, whose log cannot be read to its end.
async fn over_a_damaged_history() -> Sidecar {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let first = deployment.connect().await;
    first.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    long_history(&deployment, 300).await;
    let onward = deployment.connect().await;
    Sidecar::over(deployment, onward, |_| {
        store.fail_next_at(Op::Get, &format!("{:020}", 5), 10_000, Fault::Outage)
    })
    .await
}

/// All that comes over a connection in answer to a request, as it is sent.
fn raw(sidecar: &Sidecar, path: &str, version: &str) -> Vec<u8> {
    use base64::Engine;
    let login = format!("{}:{}", ADMIN.0, ADMIN.1);
    let login = base64::engine::general_purpose::STANDARD.encode(login);
    let mut connection = TcpStream::connect(sidecar.address()).unwrap();
    let request = format!(
        "GET {path} HTTP/{version}\r\nHost: x\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset ends it as well.
    let _ = connection.read_to_end(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_told_from_a_whole_one() {
    let sidecar = over_a_damaged_history().await;
    for format in Format::ALL {
        let path = format!("{REFS}/main/commits?format={}", format.name());
        let answer = raw(&sidecar, &path, "1.1");
        assert!(!answer.ends_with(b"0\r\n\r\n"), "the last chunk says that it was all");
        if format == Format::Parquet {
            assert!(answer.len() < 1024, "it has its beginning at most: all rows are of one group");
            continue;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{format:?}");
        // What was still on its way when it broke off is lost with the connection: some pieces of 64 KiB.
        assert!(answer.len() > 1 << 20, "it breaks off behind much of it: {} bytes", answer.len());
        let response = sidecar.request("GET", &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap_err();
        // There the end of the connection is the end of the answer.
        let old = String::from_utf8(raw(&sidecar, &path, "1.0")).unwrap();
        assert!(old.starts_with("HTTP/1.0 426 ") || old.starts_with("HTTP/1.1 426 "), "{old}");
    }
    // The commits that can be read are a whole file.
    let path = format!("{REFS}/main/commits?format=parquet&amount=200");
    let whole = sidecar.request("GET", &path).send().await.unwrap();
    assert!(whole.bytes().await.unwrap().ends_with(b"PAR1"));
    // What fails before the first row is an error like any other.
    let path = format!("{REFS}/main~299/commits?format=parquet");
    let (status, problem) = told(sidecar.request("GET", &path)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_files_are_written_at_once_as_may_be() {
    let sidecar = Sidecar::with(|config| config.limits.exports = 1).await;
    long_history(&sidecar.deployment, 1500).await;
    let path = format!("{REFS}/main/commits");
    // More than connections hold of it: it is not written to its end before somebody reads.
    let unread = sidecar.request("GET", &path).send().await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let refused = sidecar.request("GET", &path).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    // Before it is looked at what is asked for.
    let nothing = sidecar.request("GET", &format!("{REFS}/nothing/diff/main"));
    assert_eq!(told(nothing).await.0, StatusCode::TOO_MANY_REQUESTS);
    drop(unread);
    until_async("the place is given back", || async {
        let response = sidecar.request("GET", &path).send().await.unwrap();
        response.status() == StatusCode::OK && response.bytes().await.unwrap().len() > 12_000_000
    })
    .await;
    let sidecar = Sidecar::with(|config| config.limits.exports_per_key = 0).await;
    let (status, problem) = told(sidecar.request("GET", &path)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");
}
