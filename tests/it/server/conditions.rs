//! Conditions of requests: judged as HTTP says, in one step with what they are about, or refused.

use futures::future::join_all;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::objects::{READ, UPLOAD, uploads};
use super::{LAKE, MAIN};
use crate::support::sidecar::{Sidecar, told};

/// The ETags of objects with these bytes.
const X: &str = "\"9dd4e461268c8034f5c8564e155c67a6\"";
const Y: &str = "\"415290769594460e2e485922904f345d\"";

async fn upload(sidecar: &Sidecar, path: &str, content: &str) {
    let request = sidecar.request("POST", &format!("{UPLOAD}?path={path}"));
    let (status, said) = told(request.body(content.to_owned())).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
}

/// What is there by that name, with its user metadata; `null` for nothing.
async fn there(sidecar: &Sidecar, path: &str) -> Value {
    let (status, stats) = sidecar.get(&format!("{READ}/stat?path={path}")).await;
    match status {
        StatusCode::OK => json!([stats["checksum"], stats["metadata"]]),
        StatusCode::NOT_FOUND => Value::Null,
        other => panic!("{other}: {stats}"),
    }
}

/// Every way to write the object `a`, each with what it answers when it is done.
fn writes(sidecar: &Sidecar) -> Vec<(&'static str, RequestBuilder, StatusCode)> {
    let to = |method: &str, path: &str| sidecar.request(method, &format!("{UPLOAD}{path}"));
    let linked = json!({"physical_address": "mem://elsewhere", "checksum": "c", "size_bytes": 1});
    let backing = format!("{LAKE}/branches/main/staging/backing?path=a");
    let staged = json!({"staging": {"physical_address": "mem://elsewhere"}, "checksum": "c", "size_bytes": 1});
    vec![
        ("upload", to("POST", "?path=a").body("y"), StatusCode::CREATED),
        ("stage", to("PUT", "?path=a").json(&linked), StatusCode::CREATED),
        ("link", sidecar.request("PUT", &backing).json(&staged), StatusCode::OK),
        ("delete", to("DELETE", "?path=a"), StatusCode::NO_CONTENT),
        (
            "copy",
            to("POST", "/copy?dest_path=a").json(&json!({"src_path": "b"})),
            StatusCode::CREATED,
        ),
        (
            "metadata",
            to("PUT", "/stat/user_metadata?path=a").json(&json!({"set": {"k": "v"}})),
            StatusCode::CREATED,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_goes_past_a_condition_that_does_not_hold() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "b", "b").await;
    for (name, value) in [
        ("If-Match", "\"other\"".to_owned()),
        ("If-Match", format!("W/{X}")),
        ("If-None-Match", "*".to_owned()),
        ("If-None-Match", format!("\"other\", W/{X}")),
    ] {
        upload(&sidecar, "a", "x").await;
        let (before, kept) = (there(&sidecar, "a").await, uploads(&sidecar).await);
        for (what, request, _) in writes(&sidecar) {
            let (status, said) = told(request.header(name, &value)).await;
            assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{what} {name}: {value}: {said}");
            assert_eq!(said["code"], "condition_not_met", "{what}");
            assert!(said["message"].as_str().unwrap().contains(name), "{said}");
            assert_eq!(there(&sidecar, "a").await, before, "{what}");
        }
        assert_eq!(uploads(&sidecar).await, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_takes_a_condition_that_holds() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "b", "b").await;
    let bare = X.trim_matches('"');
    for (name, value) in [
        ("If-Match", X.to_owned()),
        ("If-Match", format!("\"other\", {X}")),
        ("If-Match", "*".to_owned()),
        // As clients send checksums.
        ("If-Match", bare.to_owned()),
        ("If-None-Match", "\"other\"".to_owned()),
    ] {
        for (what, request, done) in writes(&sidecar) {
            upload(&sidecar, "a", "x").await;
            let before = there(&sidecar, "a").await;
            let (status, said) = told(request.header(name, &value)).await;
            assert_eq!(status, done, "{what} {name}: {value}: {said}");
            assert_ne!(there(&sidecar, "a").await, before, "{what}");
        }
    }
    // Nothing is there: then no tag is its, and none is what it must not have.
    for (name, value, refused) in [
        ("If-Match", "*", true),
        ("If-Match", X, true),
        ("If-None-Match", "*", false),
        ("If-None-Match", X, false),
    ] {
        for (what, request, done) in
            writes(&sidecar).into_iter().filter(|(what, ..)| *what != "metadata")
        {
            sidecar.request("DELETE", &format!("{UPLOAD}?path=a")).send().await.unwrap();
            let expected = if refused { StatusCode::PRECONDITION_FAILED } else { done };
            let (status, said) = told(request.header(name, value)).await;
            assert_eq!(status, expected, "{what} {name}: {value}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_cannot_be_read_is_refused_by_its_name() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "a", "x").await;
    upload(&sidecar, "b", "b").await;
    for (name, value) in [
        ("If-Match", b"\"a\" \"b\"".as_slice()),
        ("If-Match", b"*, \"a\""),
        ("If-Match", b"\"\xff\""),
        ("If-None-Match", b"\"a"),
        ("If-None-Match", b""),
        ("If-Unmodified-Since", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Modified-Since", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Range", b"\"a\""),
    ] {
        for (what, request, _) in writes(&sidecar) {
            let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
            let (status, said) = told(request.header(name, value)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{what} {name}: {said}");
            let message = said["message"].as_str().unwrap().to_lowercase();
            assert!(message.contains(&name.to_lowercase()), "{what} {name}: {said}");
        }
    }
    assert_eq!(there(&sidecar, "a").await[0], X.trim_matches('"'));
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_judged_before_anything_is_sent() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "a", "x").await;
    let read = async |method: &str, headers: &[(&str, &str)]| {
        let request = sidecar.request(method, &format!("{READ}?path=a"));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    };
    let plain = read("GET", &[]).await;
    let modified = plain.headers()["last-modified"].to_str().unwrap().to_owned();
    let (past, future) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 06 Nov 2094 08:49:37 GMT");
    for (headers, whole, ranged) in [
        (vec![], 200, 206),
        (vec![("If-Match", X)], 200, 206),
        (vec![("If-Match", "\"other\"")], 412, 412),
        (vec![("If-Match", "\"other\""), ("If-None-Match", X)], 412, 412),
        (vec![("If-Match", "*")], 200, 206),
        (vec![("If-Unmodified-Since", past)], 412, 412),
        (vec![("If-Unmodified-Since", &modified)], 200, 206),
        (vec![("If-Match", X), ("If-Unmodified-Since", past)], 200, 206),
        (vec![("If-None-Match", X)], 304, 304),
        (vec![("If-None-Match", "*")], 304, 304),
        (vec![("If-None-Match", Y)], 200, 206),
        (vec![("If-Modified-Since", &modified)], 304, 304),
        (vec![("If-Modified-Since", future)], 304, 304),
        (vec![("If-Modified-Since", past)], 200, 206),
        (vec![("If-None-Match", Y), ("If-Modified-Since", future)], 200, 206),
        (vec![("If-Range", X)], 200, 206),
        (vec![("If-Range", Y)], 200, 200),
        (vec![("If-Range", &format!("W/{X}"))], 200, 200),
        (vec![("If-Range", &modified)], 200, 200),
    ] {
        for method in ["GET", "HEAD"] {
            let ranges = [headers.as_slice(), &[("Range", "Bytes=0-0")]].concat();
            for (headers, expected) in [(headers.clone(), whole), (ranges, ranged)] {
                let answer = read(method, &headers).await;
                assert_eq!(answer.status().as_u16(), expected, "{method} {headers:?}");
                if matches!(expected, 200 | 206 | 304) {
                    assert_eq!(answer.headers()["etag"], X, "{method} {headers:?}");
                }
            }
        }
    }
    let unreadable = read("GET", &[("If-Unmodified-Since", "yesterday")]).await;
    assert_eq!(unreadable.status(), StatusCode::BAD_REQUEST);
    // What is not there is told as that, whatever is asked of it.
    let nothing = sidecar.request("GET", &format!("{READ}?path=nothing")).header("If-Match", X);
    assert_eq!(told(nothing).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_condition_is_offered_each_is_refused_by_its_name() {
    let sidecar = Sidecar::start().await;
    let branch = format!("{LAKE}/branches/main");
    let before = sidecar.get(&format!("{LAKE}/branches")).await;
    for (method, path) in [
        ("POST", "/api/v1/repositories".to_owned()),
        ("DELETE", LAKE.to_owned()),
        ("GET", LAKE.to_owned()),
        ("GET", format!("{LAKE}/refs/main/objects/ls")),
        ("GET", format!("{LAKE}/refs/main/objects/stat?path=a")),
        ("POST", format!("{LAKE}/branches")),
        ("DELETE", format!("{LAKE}/branches/dev")),
        ("PUT", branch.clone()),
        ("PUT", format!("{branch}/hard_reset?ref=main")),
        ("POST", format!("{branch}/commits")),
        ("POST", format!("{branch}/objects/delete")),
        ("POST", format!("{branch}/revert")),
        ("POST", format!("{branch}/cherry-pick")),
        ("POST", format!("{branch}/import")),
        ("GET", format!("{branch}/staging/backing?path=a")),
        ("POST", format!("{LAKE}/refs/dev/merge/main")),
        ("POST", format!("{LAKE}/tags")),
        ("DELETE", format!("{LAKE}/tags/v1")),
        ("POST", format!("{LAKE}/metadata")),
        ("POST", format!("{MAIN}/changes")),
        ("POST", format!("{MAIN}/merge")),
        ("GET", format!("{MAIN}/queue")),
        ("DELETE", format!("{MAIN}/tickets/00000000-0000-4000-8000-000000000000")),
    ] {
        for name in
            ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"]
        {
            let (status, said) = told(sidecar.request(method, &path).header(name, X)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {path} {name}: {said}");
            let message = said["message"].as_str().unwrap();
            assert!(message.contains(name), "{method} {path} {name}: {said}");
        }
    }
    assert_eq!(sidecar.get(&format!("{LAKE}/branches")).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_the_same_version_one_does() {
    let sidecar = &Sidecar::start().await;
    upload(sidecar, "from", "from").await;
    for round in 0..10 {
        let first = format!("first {round}");
        upload(sidecar, "a", &first).await;
        let response = sidecar.request("GET", &format!("{READ}?path=a")).send().await.unwrap();
        let etag = response.headers()["etag"].clone();
        let writers = (0..12).map(|n| {
            let url = format!("{UPLOAD}?path=a");
            let request = match n % 3 {
                0 => sidecar.request("DELETE", &url),
                1 => sidecar.request("POST", &url).body(format!("{round} {n}")),
                _ => {
                    let copy = sidecar.request("POST", &format!("{UPLOAD}/copy?dest_path=a"));
                    copy.json(&json!({"src_path": "from"}))
                }
            };
            told(request.header("If-Match", etag.clone()))
        });
        let answers = join_all(writers).await;
        let done = answers.iter().filter(|(status, _)| status.is_success()).count();
        assert_eq!(done, 1, "{answers:?}");
        let missed = StatusCode::PRECONDITION_FAILED;
        assert_eq!(answers.iter().filter(|(status, _)| *status == missed).count(), 11);
    }
}
