//! Requests at the edges of what is taken: each is answered with what is wrong and what to do.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::objects::{READ, UPLOAD};
use super::{LAKE, MAIN};
use crate::support::sidecar::{Sidecar, told};

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_refused_by_name() {
    let sidecar = Sidecar::start().await;
    let list = format!("{READ}/ls");
    for (path, name) in [
        (format!("{list}?amount=many"), "amount"),
        (format!("{list}?amount=99999999999999999999"), "amount"),
        (format!("{list}?amount=1.5"), "amount"),
        (format!("{list}?amount=1&amount=2"), "amount"),
        (format!("{list}?presign=maybe"), "presign"),
        (format!("{READ}/stat?path=a&path=b"), "path"),
        (format!("{READ}/stat"), "path"),
        (format!("{MAIN}/queue?limit=-1"), "limit"),
        (format!("{MAIN}/queue?limit=1&limit=2"), "limit"),
        (format!("{MAIN}/queue?limti=1"), "limti"),
        (format!("{MAIN}/events?after=-1"), "after"),
        (format!("{MAIN}/events?after=99999999999999999999"), "after"),
        (format!("{MAIN}/tickets/00000000-0000-4000-8000-000000000000?wait=1"), "wait"),
        (format!("{MAIN}/producers/p?wiat=1"), "wiat"),
    ] {
        let (status, said) = sidecar.get(&path).await;
        assert_eq!((status, &said["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")), "{path}");
        assert!(said["message"].as_str().unwrap().contains(name), "{path}: {said}");
    }
    let cancel = format!("{MAIN}/tickets/00000000-0000-4000-8000-000000000000?force=1");
    assert_eq!(told(sidecar.request("DELETE", &cancel)).await.0, StatusCode::BAD_REQUEST);
    // lakeFS's clients send what is newer, and mean the default by these.
    for query in ["amount=-1", "amount=0", "amount=", "amount=5&newer=1", "presign=&delimiter="] {
        let (status, said) = sidecar.get(&format!("{list}?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_there_twice_is_told_so() {
    let sidecar = Sidecar::start().await;
    for (path, name) in [
        (format!("{READ}/ls?amount=1&amount=2"), "'amount'"),
        (format!("{READ}/stat?path=a&path=b"), "'path'"),
        (format!("{MAIN}/queue?limit=1&limit=2"), "'limit'"),
    ] {
        let (status, said) = sidecar.get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let message = said["message"].as_str().unwrap();
        assert!(message.contains(name) && message.contains("more than once"), "{path}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_packed_on_its_way_is_not_stored_as_it_comes() {
    let sidecar = Sidecar::start().await;
    let (id, secret) = crate::support::sidecar::ADMIN;
    let basic = base64(&format!("{id}:{secret}"));
    for (coding, status) in [("gzip, chunked", "501"), ("chunked", "201")] {
        let mut socket = TcpStream::connect(sidecar.address()).await.unwrap();
        let head = format!(
            "POST {UPLOAD}?path=a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\nTransfer-Encoding: {coding}\r\nConnection: close\r\n\r\n"
        );
        socket.write_all(format!("{head}3\r\nabc\r\n0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{coding}: {answer}");
        let there = sidecar.get(&format!("{READ}/stat?path=a")).await.0;
        assert_eq!(there == StatusCode::OK, status == "201", "{coding}");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_route_would_pass_over_is_refused_and_says_what_to_do() {
    let sidecar = Sidecar::start().await;
    let key = |request: reqwest::RequestBuilder| request.header("Idempotency-Key", "k");
    let branch = json!({"name": "dev", "source": "main"});
    let tag = json!({"id": "v1", "ref": "main"});
    for (what, request) in [
        ("branch", sidecar.request("POST", &format!("{LAKE}/branches")).json(&branch)),
        ("tag", sidecar.request("POST", &format!("{LAKE}/tags")).json(&tag)),
        ("upload", sidecar.request("POST", &format!("{UPLOAD}?path=a")).body("x")),
        ("delete", sidecar.request("DELETE", &format!("{LAKE}/branches/main"))),
    ] {
        let (status, said) = told(key(request)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {said}");
        let message = said["message"].as_str().unwrap();
        assert!(message.contains("Idempotency-Key") && message.contains("without"), "{message}");
    }
    for path in
        [format!("{LAKE}/branches/dev"), format!("{LAKE}/tags/v1"), format!("{READ}/stat?path=a")]
    {
        assert_eq!(sidecar.get(&path).await.0, StatusCode::NOT_FOUND, "nothing was done: {path}");
    }
    let read = told(key(sidecar.request("GET", LAKE))).await;
    assert_eq!(read.0, StatusCode::OK, "what only reads needs none: {}", read.1);
    let commit = |value: &str| {
        let body = json!({"message": "m", "allow_empty": true});
        let request = sidecar.request("POST", &format!("{LAKE}/branches/main/commits"));
        told(request.header("Idempotency-Key", value).json(&body))
    };
    assert_eq!(commit("k").await.0, StatusCode::CREATED);
    for blank in ["a b", "a\tb"] {
        let (status, said) = commit(blank).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert!(said["message"].as_str().unwrap().contains("blanks"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_metadata_without_a_name_is_refused_and_others_are_kept_as_they_are() {
    let sidecar = Sidecar::start().await;
    let upload = sidecar.request("POST", &format!("{UPLOAD}?path=a")).body("x");
    assert_eq!(told(upload).await.0, StatusCode::CREATED);
    let set = format!("{UPLOAD}/stat/user_metadata?path=a");
    let (status, said) = sidecar.send("PUT", &set, json!({"set": {"": "v"}})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said["message"].as_str().unwrap().contains("metadata"), "{said}");
    let (status, said) = sidecar.send("PUT", &set, json!({"set": {"Owner": "me"}})).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    let (_, stat) = sidecar.get(&format!("{READ}/stat?path=a")).await;
    assert_eq!(stat["metadata"], json!({"Owner": "me"}), "names in JSON have their case");
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths_that_are_not_taken_are_told_what_is() {
    let sidecar = Sidecar::start().await;
    for (method, path, allowed) in [
        ("PATCH", LAKE, "GET,HEAD,DELETE"),
        ("POST", &format!("{LAKE}/branches/main"), "GET,HEAD,DELETE,PUT"),
        ("GET", &format!("{MAIN}/changes"), "POST"),
        ("OPTIONS", &format!("{MAIN}/queue"), "GET,HEAD"),
        ("PUT", "/healthz", "GET,HEAD"),
    ] {
        let answer = sidecar.request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let mut told: Vec<&str> = answer.headers()["allow"].to_str().unwrap().split(',').collect();
        let mut allowed: Vec<&str> = allowed.split(',').collect();
        told.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(told, allowed, "{method} {path}");
        let said: Value = answer.json().await.unwrap();
        assert_eq!(said["code"], "method_not_allowed");
    }
    for path in [&format!("{LAKE}/"), "/api/v1/nothing", "/onward/v1", "/nothing"] {
        let (status, said) = sidecar.get(path).await;
        assert_eq!((status, &said["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{path}");
    }
    // Where there is something to get, its head is there, too.
    for path in [LAKE, &format!("{READ}/ls"), &format!("{MAIN}/queue"), "/healthz"] {
        let answer = sidecar.request("HEAD", path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_objects_are_what_http_calls_them() {
    let sidecar = Sidecar::start().await;
    for (path, content) in [("ten", "0123456789"), ("none", "")] {
        let upload = sidecar.request("POST", &format!("{UPLOAD}?path={path}")).body(content);
        assert_eq!(told(upload).await.0, StatusCode::CREATED);
    }
    for (path, range, status, body, part) in [
        ("ten", "BYTES=2-3", 206, "23", Some("bytes 2-3/10")),
        ("ten", "bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("ten", "bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("ten", "bytes=10-", 416, "", Some("bytes */10")),
        ("none", "bytes=0-0", 416, "", Some("bytes */0")),
        // Not understood, or more than one: all of it (RFC 9110, 14.2).
        ("ten", "bytes=0-1,4-5", 200, "0123456789", None),
        ("ten", "lines=0-1", 200, "0123456789", None),
        ("ten", "bytes=5-2", 200, "0123456789", None),
        ("ten", "bytes", 200, "0123456789", None),
    ] {
        let request = sidecar.request("GET", &format!("{READ}?path={path}")).header("Range", range);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{range}");
        let told =
            answer.headers().get("content-range").map(|part| part.to_str().unwrap().to_owned());
        assert_eq!(told.as_deref(), part, "{range}");
        if status != 416 {
            assert_eq!(answer.text().await.unwrap(), body, "{range}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_is_told_the_limit() {
    let sidecar = Sidecar::with(|config| config.limits.json_len = 5000).await;
    let long = " ".repeat(5001);
    for (method, path, limit) in [
        ("POST", format!("{LAKE}/branches"), 5000),
        ("PUT", format!("{LAKE}/settings/branch_protection"), 5000),
        ("POST", format!("{MAIN}/changes"), 5000),
        ("POST", format!("{MAIN}/merge"), 5000),
        ("POST", "/api/v1/auth/login".to_owned(), 4096),
    ] {
        let (status, said) = told(sidecar.request(method, &path).body(long.clone())).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: {said}");
        assert_eq!(said["code"], "too_large");
        assert!(said["message"].as_str().unwrap().contains(&limit.to_string()), "{path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_json_is_taken_by_what_is_in_it() {
    let sidecar = Sidecar::start().await;
    let branches = format!("{LAKE}/branches");
    for (n, kind) in [
        None,
        Some("application/json; charset=utf-8"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = sidecar.request("POST", &branches);
        let request =
            kind.into_iter().fold(request, |request, kind| request.header("Content-Type", kind));
        let body = json!({"name": format!("b{n}"), "source": "main"}).to_string();
        let (status, said) = told(request.body(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{kind:?}: {said}");
    }
    for (path, body, word) in [
        (&branches, "", "name"),
        (&branches, "[]", "object"),
        (&branches, "{\"name\": \"b\", \"source\": \"main\", \"soruce\": 1}", "soruce"),
        (&branches, "{\"name\": \"b\", \"source\": \"main\"} {}", "trailing"),
        (&branches, "{\"name\": \"b\", \"name\": \"c\", \"source\": \"main\"}", "duplicate"),
        (&format!("{MAIN}/changes"), "{\"chnages\": []}", "chnages"),
        (
            &format!("{MAIN}/changes"),
            "{\"changes\": [{\"put\": {\"path\": \"a\", \"adress\": \"x\"}}]}",
            "adress",
        ),
        (&format!("{MAIN}/changes"), "{\"message\": \"a\", \"message\": \"b\"}", "message"),
        (&format!("{MAIN}/merge"), "{\"source\": \"main\", \"squahs\": true}", "squahs"),
        (&format!("{MAIN}/merge"), "\"main\"", "object"),
    ] {
        let (status, said) = told(sidecar.request("POST", path).body(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {said}");
        assert!(said["message"].as_str().unwrap().contains(word), "{path} {body}: {said}");
    }
    let latin = sidecar
        .request("POST", &branches)
        .body(b"{\"name\": \"caf\xe9\", \"source\": \"main\"}".to_vec());
    assert_eq!(told(latin).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_told_so() {
    let sidecar = Sidecar::start().await;
    for head in [format!("A: {}\r\n", "x".repeat(1 << 20)), "A: x\r\n".repeat(200)] {
        let mut socket = TcpStream::connect(sidecar.address()).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{head}\r\n");
        // The other side may stop reading.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 431");
    }
}
