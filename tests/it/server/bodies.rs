//! Bodies: how they are told to be, and whether they are what their sender says.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use onward::internals::objects::{Checksum, Hasher};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::objects::{READ, UPLOAD, staged, uploads};
use super::{LAKE, MAIN};
use crate::support::sidecar::{Sidecar, told};

fn md5(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(Checksum::Md5);
    hasher.update(bytes);
    let hex = hasher.finish();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    STANDARD.encode((0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_and_codings_have_no_case() {
    let sidecar = Sidecar::start().await;
    let form = "--Bo\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nabc\r\n--Bo--\r\n";
    for kind in [
        "Multipart/Form-Data; boundary=Bo",
        "MULTIPART/FORM-DATA;Boundary=\"Bo\"",
        "multipart/form-data ; boundary=Bo",
    ] {
        let upload = sidecar.request("POST", &format!("{UPLOAD}?path=form"));
        let (status, said) = told(upload.header("Content-Type", kind).body(form)).await;
        assert_eq!(
            (status, &said["size_bytes"]),
            (StatusCode::CREATED, &json!(3)),
            "{kind}: {said}"
        );
        assert_eq!(sidecar.get(&format!("{READ}?path=form")).await.1, "abc", "{kind}");
    }
    // What only begins like one is none.
    let upload = sidecar.request("POST", &format!("{UPLOAD}?path=other"));
    let (_, said) = told(upload.header("Content-Type", "multipart/form-data-2").body(form)).await;
    assert_eq!(said["size_bytes"], form.len(), "{said}");
    for (n, (kind, coding)) in [
        ("Application/JSONL", None),
        ("application/x-ndjson; charset=UTF-8", Some("GZIP")),
        ("application/JSON-lines", Some("x-gzip")),
        ("application/jsonl", Some("Identity")),
    ]
    .into_iter()
    .enumerate()
    {
        let put = |path: &str| {
            let put =
                json!({"path": path, "address": "mem://x", "checksum": n.to_string(), "size": 1});
            json!({"put": put}).to_string()
        };
        let lines = [put("a"), put("b")].join("\n");
        let request =
            sidecar.request("POST", &format!("{MAIN}/changes")).header("Content-Type", kind);
        let request = match coding {
            Some(coding @ "Identity") => {
                request.header("Content-Encoding", coding).body(lines.clone())
            }
            Some(coding) => {
                request.header("Content-Encoding", coding).body(packed(lines.as_bytes()))
            }
            None => request.body(lines.clone()),
        };
        let (status, said) = told(request).await;
        assert_eq!(status, StatusCode::CREATED, "{kind} {coding:?}: {said}");
    }
    let (id, secret) = crate::support::sidecar::ADMIN;
    let login = STANDARD.encode(format!("{id}:{secret}"));
    for scheme in ["basic", "BASIC"] {
        let request =
            sidecar.plain("GET", LAKE).header("Authorization", format!("{scheme} {login}"));
        assert_eq!(told(request).await.0, StatusCode::OK, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_is_refused_where_nobody_unpacks_it() {
    let sidecar = Sidecar::start().await;
    for (method, path) in [
        ("POST", format!("{UPLOAD}?path=a")),
        ("POST", format!("{LAKE}/branches")),
        ("PUT", format!("{LAKE}/settings/branch_protection")),
        ("POST", format!("{MAIN}/merge")),
    ] {
        for coding in ["gzip", "br", "identity, deflate"] {
            let request = sidecar.request(method, &path).header("Content-Encoding", coding);
            let (status, said) = told(request.body(packed(b"{}"))).await;
            assert_eq!(
                status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{method} {path} {coding}: {said}"
            );
            assert_eq!(said["code"], "not_supported", "{said}");
        }
    }
    assert_eq!((staged(&sidecar).await, uploads(&sidecar).await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_its_sender_says_changes_nothing() {
    let sidecar = Sidecar::start().await;
    // One that goes in parts, too.
    let large = vec![b'x'; 20 << 20];
    let form = |bytes: &[u8], said: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("Content-MD5", said.parse().unwrap());
        Form::new().part("content", Part::bytes(bytes.to_vec()).headers(headers))
    };
    for bytes in [b"some".as_slice(), b"", &large] {
        for (said, status) in [
            (md5(b"other"), StatusCode::BAD_REQUEST),
            ("AAAA".to_owned(), StatusCode::BAD_REQUEST),
            ("?".to_owned(), StatusCode::BAD_REQUEST),
            (md5(bytes), StatusCode::CREATED),
        ] {
            // What is refused at once is not read to its end.
            if said.len() < 5 && bytes.len() == large.len() {
                continue;
            }
            let upload = || sidecar.request("POST", &format!("{UPLOAD}?path=a"));
            let raw = upload().header("Content-MD5", &said).body(bytes.to_vec());
            for request in [raw, upload().multipart(form(bytes, &said))] {
                let kept = (staged(&sidecar).await, uploads(&sidecar).await);
                let (told, answer) = told(request).await;
                assert_eq!(told, status, "{said}: {answer}");
                if status == StatusCode::BAD_REQUEST {
                    assert!(
                        answer["message"].as_str().unwrap().contains("Content-MD5"),
                        "{answer}"
                    );
                    assert_eq!((staged(&sidecar).await, uploads(&sidecar).await), kept);
                }
            }
        }
    }
    let whole =
        sidecar.request("POST", &format!("{UPLOAD}?path=a")).header("Content-MD5", md5(b"x"));
    let (status, said) = told(whole.multipart(Form::new().text("content", "x"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_request_in_json_is_compared_too() {
    let sidecar = Sidecar::start().await;
    let (json, lines) = ("application/json", "application/jsonl");
    let (changes, branches) = (format!("{MAIN}/changes"), format!("{LAKE}/branches"));
    let change = r#"{"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}}"#;
    let set = format!(r#"{{"changes": [{change}]}}"#);
    let branch = r#"{"name": "dev", "source": "main"}"#;
    for (path, kind, plain) in
        [(&branches, json, branch), (&changes, json, &set), (&changes, lines, change)]
    {
        for is_packed in [false, true] {
            if is_packed && path != &changes {
                continue;
            }
            let body = if is_packed { packed(plain.as_bytes()) } else { plain.into() };
            let send = |said: String| {
                let request = sidecar.request("POST", path).header("Content-Type", kind);
                let request = match is_packed {
                    true => request.header("Content-Encoding", "gzip"),
                    false => request,
                };
                told(request.header("Content-MD5", said).body(body.clone()))
            };
            let before = sidecar.get(&format!("{LAKE}/refs/main/commits")).await;
            let (status, said) = send(md5(b"other")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {kind} {is_packed}: {said}");
            assert!(said["message"].as_str().unwrap().contains("Content-MD5"), "{said}");
            assert_eq!(sidecar.get(&format!("{LAKE}/refs/main/commits")).await, before);
            let (status, said) = send(md5(&body)).await;
            assert!(status.is_success(), "{path} {kind} {is_packed}: {said}");
        }
    }
}
