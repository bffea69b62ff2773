//! Names and texts in URLs and headers: what is kept is what was sent, or it is refused.

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::objects::{READ, UPLOAD, staged, uploads};
use super::{LAKE, MAIN};
use crate::support::sidecar::{Sidecar, told};

#[tokio::test(flavor = "multi_thread")]
async fn different_names_are_never_one_object() {
    let sidecar = Sidecar::start().await;
    for name in ["caf%e9.csv", "caf%e8.csv", "caf%C3", "%ED%A0%80", "100%.csv", "100%zz"] {
        for (method, url) in
            [("POST", UPLOAD), ("PUT", UPLOAD), ("DELETE", UPLOAD), ("GET", READ), ("HEAD", READ)]
        {
            let (status, said) = told(sidecar.request(method, &format!("{url}?path={name}"))).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {name}: {said}");
            let names_it = method == "HEAD" || said["message"].as_str().unwrap().contains("'path'");
            assert!(names_it, "{said}");
        }
    }
    assert_eq!((staged(&sidecar).await, uploads(&sidecar).await.len()), (0, 0));
    let upload = sidecar.request("POST", &format!("{UPLOAD}?path=caf%C3%A9+100%25")).body("x");
    let (status, stats) = told(upload).await;
    assert_eq!((status, &stats["path"]), (StatusCode::CREATED, &json!("café 100%")));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_takes_a_url_that_is_not_text() {
    let sidecar = Sidecar::start().await;
    let branch = format!("{LAKE}/branches/main");
    for path in [
        "/api/v1/repositories".to_owned(),
        "/api/v1/auth/login".into(),
        LAKE.into(),
        format!("{LAKE}/metadata"),
        format!("{LAKE}/settings/branch_protection"),
        format!("{LAKE}/branches"),
        branch.clone(),
        format!("{branch}/diff"),
        format!("{branch}/hard_reset"),
        format!("{branch}/commits"),
        format!("{branch}/objects"),
        format!("{branch}/objects/copy"),
        format!("{branch}/objects/delete"),
        format!("{branch}/objects/stat/user_metadata"),
        format!("{branch}/staging/backing"),
        format!("{branch}/import"),
        format!("{branch}/revert"),
        format!("{branch}/cherry-pick"),
        format!("{LAKE}/refs/main/objects"),
        format!("{LAKE}/refs/main/objects/ls"),
        format!("{LAKE}/refs/main/objects/stat"),
        format!("{LAKE}/refs/main/commits"),
        format!("{LAKE}/refs/main/diff/main"),
        format!("{LAKE}/refs/main/merge/main"),
        format!("{LAKE}/refs/dump"),
        format!("{LAKE}/refs/restore"),
        format!("{LAKE}/dump"),
        format!("{LAKE}/restore"),
        format!("{LAKE}/commits/main"),
        format!("{LAKE}/tags"),
        format!("{LAKE}/tags/v1"),
        format!("{MAIN}/changes"),
        format!("{MAIN}/merge"),
        format!("{MAIN}/queue"),
        format!("{MAIN}/events"),
        format!("{MAIN}/tickets/x"),
        format!("{MAIN}/producers/p"),
        "/healthz".into(),
        "/nowhere".into(),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for bad in [
                format!("{path}?a=1&odd=%ff"),
                format!("{path}?%ff"),
                format!("{path}%ff"),
                format!("{path}%4"),
            ] {
                let (status, said) = told(sidecar.request(method, &bad)).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {bad}: {said}");
                assert_eq!(said["code"], "invalid", "{method} {bad}: {said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_in_headers_is_kept_as_it_was_sent() {
    let sidecar = Sidecar::start().await;
    let kept = async |value: &[u8]| -> Value {
        let url = format!("{UPLOAD}?path=a");
        let value = HeaderValue::from_bytes(value).unwrap();
        let upload = sidecar.request("POST", &url).header("X-Lakefs-Meta-Name", value).body("x");
        let (status, said) = told(upload).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        let (_, stats) = sidecar.get(&format!("{READ}/stat?path=a")).await;
        stats["metadata"]["name"].clone()
    };
    assert_eq!(kept(b"plain").await, "plain");
    assert_eq!(kept(b"caf\xe9").await, "café");
    assert_eq!(kept("café 日本".as_bytes()).await, "café 日本");
    let twice = sidecar.request("POST", &format!("{UPLOAD}?path=a")).body("y");
    let twice = twice.header("X-Lakefs-Meta-Name", "1").header("X-Lakefs-Meta-Name", "2");
    let (status, said) = told(twice).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said["message"].as_str().unwrap().contains("x-lakefs-meta-name"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cannot_be_read_is_refused_by_its_name() {
    let sidecar = Sidecar::start().await;
    told(sidecar.request("POST", &format!("{UPLOAD}?path=a")).body("x")).await;
    let kept = uploads(&sidecar).await;
    let upload = format!("{UPLOAD}?path=b");
    let (read, changes) = (format!("{READ}?path=a"), format!("{MAIN}/changes"));
    let (events, commits) = (format!("{MAIN}/events"), format!("{LAKE}/branches/main/commits"));
    for (method, path, name) in [
        ("POST", &upload, "Content-Type"),
        ("POST", &upload, "Content-MD5"),
        ("POST", &upload, "Content-Encoding"),
        ("POST", &upload, "If-None-Match"),
        ("POST", &upload, "Sec-Fetch-Site"),
        ("POST", &upload, "Origin"),
        ("GET", &read, "Range"),
        ("GET", &read, "If-Range"),
        ("GET", &read, "If-Modified-Since"),
        ("POST", &changes, "Content-Type"),
        ("POST", &changes, "Idempotency-Key"),
        ("POST", &commits, "Idempotency-Key"),
        ("GET", &events, "Last-Event-ID"),
    ] {
        let odd = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        let (status, said) = told(sidecar.request(method, path).header(name, odd)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {path} {name}: {said}");
        let message = said["message"].as_str().unwrap();
        assert!(message.contains(&name.to_lowercase()), "{method} {path} {name}: {said}");
    }
    assert_eq!((staged(&sidecar).await, uploads(&sidecar).await), (1, kept));
    // Nor is one of two chosen.
    let twice = sidecar.request("GET", &read).header("Range", "bytes=0-0");
    let (status, _) = told(twice.header("Range", "bytes=0-0")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
