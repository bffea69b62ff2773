//! Objects over the lakeFS API: what is sent is what is read, whole or not at all.

use std::time::Duration;

use futures::TryStreamExt;
use onward::internals::objects::layout;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::LAKE;
use crate::support::sidecar::{ADMIN, Sidecar, told};
use crate::support::until::until_async;

pub const UPLOAD: &str = "/api/v1/repositories/lake/branches/main/objects";
pub const READ: &str = "/api/v1/repositories/lake/refs/main/objects";

/// Keys of uploads in the storage.
pub async fn uploads(sidecar: &Sidecar) -> Vec<String> {
    let objects = &sidecar.deployment.objects;
    let dir = layout::data_dir(&"lake".parse().unwrap());
    objects.list(&dir, None).map_ok(|listed| listed.key).try_collect().await.unwrap()
}

/// How many changes are staged.
pub async fn staged(sidecar: &Sidecar) -> usize {
    sidecar.onward.repo("lake").branch("main").status("", None, 1000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_raw_or_in_a_form_is_read_whole_and_in_parts() {
    let sidecar = Sidecar::start().await;
    // More than one part of an upload.
    let content: Vec<u8> = (0..40_000_000u32).map(|n| (n % 251) as u8).collect();
    let raw = sidecar
        .request("POST", &format!("{UPLOAD}?path=a+b%2Fraw"))
        .header("Content-Type", "text/plain")
        .header("X-Lakefs-Meta-Owner", "me")
        .body(content.clone());
    let (status, stats) = told(raw).await;
    assert_eq!(status, StatusCode::CREATED, "{stats}");
    assert_eq!((&stats["path"], &stats["size_bytes"]), (&json!("a b/raw"), &json!(content.len())));
    assert_eq!(
        (&stats["content_type"], &stats["metadata"]["owner"]),
        (&json!("text/plain"), &json!("me"))
    );
    let part = Part::bytes(content.clone()).file_name("x.bin").mime_str("image/png").unwrap();
    let form = Form::new().text("note", "not this").part("content", part);
    let (status, from_form) =
        told(sidecar.request("POST", &format!("{UPLOAD}?path=form")).multipart(form)).await;
    assert_eq!(status, StatusCode::CREATED, "{from_form}");
    assert_eq!(from_form["checksum"], stats["checksum"]);
    assert_eq!(from_form["content_type"], "image/png");
    for (path, range, expected) in [
        ("a%20b/raw", None, 0..content.len()),
        ("form", None, 0..content.len()),
        ("form", Some("bytes=0-0"), 0..1),
        ("form", Some("bytes=17000000-33000000"), 17_000_000..33_000_001),
        ("form", Some("bytes=-5"), content.len() - 5..content.len()),
        ("form", Some("bytes=39999999-99999999999"), 39_999_999..content.len()),
    ] {
        let mut request = sidecar.request("GET", &format!("{READ}?path={path}"));
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let response = request.send().await.unwrap();
        let partial = range.map(|_| StatusCode::PARTIAL_CONTENT).unwrap_or(StatusCode::OK);
        assert_eq!(response.status(), partial);
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(etag, format!("\"{}\"", stats["checksum"].as_str().unwrap()));
        assert!(response.bytes().await.unwrap() == content[expected], "{path} {range:?}");
        let other = sidecar.request("GET", &format!("{READ}?path={path}"));
        let other = other.header("Range", "bytes=0-1").header("If-Range", "\"another\"");
        assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);
        // Of strong and weak tags alike.
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", W/{etag}")] {
            let read = sidecar.request("GET", &format!("{READ}?path={path}"));
            let read = read.header("If-None-Match", &known);
            assert_eq!(read.send().await.unwrap().status(), StatusCode::NOT_MODIFIED, "{known}");
        }
    }
    let behind =
        sidecar.request("GET", &format!("{READ}?path=form")).header("Range", "bytes=40000000-");
    let behind = behind.send().await.unwrap();
    assert_eq!(behind.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(behind.headers()["content-range"], "bytes */40000000");
    let head = sidecar.request("HEAD", &format!("{READ}?path=form")).send().await.unwrap();
    assert_eq!(
        (head.status(), &head.headers()["content-length"]),
        (StatusCode::OK, &"40000000".parse().unwrap())
    );
    let absent = sidecar.request("HEAD", &format!("{READ}?path=nothing")).send().await.unwrap();
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);
}

/// Begins a request over a socket of its own, and sends a part of its body.
pub async fn begin(sidecar: &Sidecar, headers: &str, body: &[u8]) -> TcpStream {
    use base64::Engine;
    let login =
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", ADMIN.0, ADMIN.1));
    let mut socket = TcpStream::connect(sidecar.address()).await.unwrap();
    let head = format!(
        "POST {UPLOAD}?path=half HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n{headers}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let sidecar = Sidecar::start().await;
    let half = vec![b'x'; 20 << 20];
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"content\"; filename=\"x\"\r\n\r\n"
            .as_slice(),
        &half,
    ]
    .concat();
    let chunk = [b"1400000\r\n".as_slice(), &half, b"\r\n"].concat();
    for (headers, body) in [
        ("Content-Length: 41943040", half.as_slice()),
        ("Transfer-Encoding: chunked", chunk.as_slice()),
        (
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 41943040",
            form.as_slice(),
        ),
    ] {
        let socket = begin(&sidecar, headers, body).await;
        drop(socket);
    }
    // A connection is counted until its request is over.
    until_async("all three are over", || async {
        let (_, metrics) = told(sidecar.plain("GET", "/metrics")).await;
        metrics.as_str().unwrap().contains("onward_http_in_flight 1\n")
            && sidecar.deployment.objects.counters().gets > 0
    })
    .await;
    until_async("what was written is withdrawn", || async { uploads(&sidecar).await.is_empty() })
        .await;
    assert_eq!(staged(&sidecar).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_not_waited_for() {
    let sidecar =
        Sidecar::with(|config| config.limits.piece_timeout = Duration::from_millis(300)).await;
    let mut socket = begin(&sidecar, "Content-Length: 1000", b"some").await;
    let mut answer = String::new();
    use tokio::io::AsyncReadExt;
    let mut bytes = [0; 4096];
    let read = socket.read(&mut bytes).await.unwrap();
    answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!((staged(&sidecar).await, uploads(&sidecar).await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_page_by_page_whatever_is_asked_for() {
    let sidecar = Sidecar::start().await;
    let main = sidecar.onward.repo("lake").branch("main");
    let mut change = main.change();
    for n in 0..2500 {
        let path = format!("d{}/{n:05}", n % 3);
        change = change.put(path, crate::support::lake::entry(n));
    }
    change.commit().await.unwrap();
    let (status, page) = sidecar.get(&format!("{READ}/ls?amount=100000")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(page["results"].as_array().unwrap().len(), 1000);
    assert_eq!(page["pagination"]["has_more"], true);
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let (_, page) = sidecar.get(&format!("{READ}/ls?amount=2&delimiter=/&after={after}")).await;
        seen.extend(page["results"].as_array().unwrap().iter().map(|r| r["path"].clone()));
        after = page["pagination"]["next_offset"].as_str().unwrap().to_owned();
        if page["pagination"]["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, [json!("d0/"), json!("d1/"), json!("d2/")]);
    let (status, said) = sidecar.get(&format!("{READ}/ls?amount=many")).await;
    assert_eq!((status, &said["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_address_is_for_one_path_of_one_branch() {
    let sidecar = Sidecar::start().await;
    sidecar
        .send("POST", &format!("{LAKE}/branches"), json!({"name": "dev", "source": "main"}))
        .await;
    let backing =
        |branch: &str, path: &str| format!("{LAKE}/branches/{branch}/staging/backing?path={path}");
    let (status, place) = sidecar.get(&backing("main", "a")).await;
    assert_eq!(status, StatusCode::OK, "{place}");
    let link = |address: &Value| json!({"staging": {"physical_address": address}, "checksum": "c", "size_bytes": 1});
    let address = &place["physical_address"];
    for (branch, path) in [("main", "b"), ("dev", "a")] {
        let (status, said) = sidecar.send("PUT", &backing(branch, path), link(address)).await;
        assert_eq!(
            (status, &said["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid")),
            "{branch} {path}"
        );
    }
    let forged = format!("{}0", address.as_str().unwrap().strip_suffix(|_: char| true).unwrap());
    if forged != address.as_str().unwrap() {
        let (status, _) = sidecar.send("PUT", &backing("main", "a"), link(&json!(forged))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let (status, said) = sidecar.send("PUT", &backing("main", "a"), link(address)).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(staged(&sidecar).await, 1);
    // Linked, and never uploaded.
    assert_eq!(sidecar.get(&format!("{READ}?path=a")).await.0, StatusCode::GONE);
    // What somebody has linked from elsewhere, or from what is not an upload, is never read for him.
    let url = sidecar.deployment.objects.url();
    for (status, secret) in [
        (StatusCode::FORBIDDEN, format!("{url}/_onward/token-key")),
        (StatusCode::FORBIDDEN, format!("{url}/lake/repo")),
        (StatusCode::FORBIDDEN, "file:///etc/passwd".to_owned()),
    ] {
        let stage = json!({"physical_address": secret, "checksum": "c", "size_bytes": 32});
        let (staged, said) = sidecar.send("PUT", &format!("{UPLOAD}?path=s"), stage).await;
        assert_eq!(staged, StatusCode::CREATED, "{said}");
        assert_eq!(sidecar.get(&format!("{READ}?path=s")).await.0, status, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_objects_are_read_where_the_operator_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a b.txt"), "hello").unwrap();
    let root = format!("file://{}", dir.path().display());
    let allowed = root.clone();
    let sidecar = Sidecar::with(move |config| config.sources = vec![allowed]).await;
    let import = |path: String| {
        let location = json!({"type": "common_prefix", "path": path, "destination": "in/"});
        json!({"paths": [location], "commit": {"message": "imported"}})
    };
    let url = format!("{LAKE}/branches/main/import");
    assert_eq!(
        sidecar.send("POST", &url, import("file:///etc".into())).await.0,
        StatusCode::FORBIDDEN
    );
    let (status, begun) = sidecar.send("POST", &url, import(format!("{root}/"))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    let state = format!("{url}?id={}", begun["id"].as_str().unwrap());
    until_async("it is imported", || async { sidecar.get(&state).await.1["completed"] == true })
        .await;
    let (_, ended) = sidecar.get(&state).await;
    assert_eq!(
        (&ended["ingested_objects"], &ended["commit"]["message"]),
        (&json!(1), &json!("imported"))
    );
    let (status, text) = sidecar.get(&format!("{READ}?path=in/a%20b.txt")).await;
    assert_eq!((status, text), (StatusCode::OK, json!("hello")));
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_try_to_lead_elsewhere_are_names_like_others_or_refused() {
    let sidecar = Sidecar::start().await;
    for path in ["../../etc/passwd", "a/../b", "/etc/passwd", "a//b", "{lake}", "a\nb", "%2e%2e/x"]
    {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("path", path).finish();
        let (status, body) =
            told(sidecar.request("POST", &format!("{UPLOAD}?{query}")).body("x")).await;
        match status {
            StatusCode::CREATED => {
                assert_eq!(body["path"], path);
                assert_eq!(sidecar.get(&format!("{READ}?{query}")).await.1, "x", "{path}");
            }
            _ => assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}"),
        }
    }
    for name in ["..%2F..", "lake%0a", "%7Blake%7D", "lake%00", "LAKE", "_onward"] {
        let (status, body) = sidecar.get(&format!("/api/v1/repositories/{name}")).await;
        assert!(status == 400 || status == 404, "{name}: {status} {body}");
        let (status, _) = sidecar.get(&format!("{LAKE}/branches/{name}")).await;
        assert!(status == 400 || status == 404, "{name}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_set_undoes_no_upload() {
    let sidecar = &Sidecar::start().await;
    let upload = |n: usize| async move {
        let request = sidecar.request("POST", &format!("{UPLOAD}?path=o")).body(format!("{n}"));
        let (status, stats) = told(request).await;
        assert_eq!(status, StatusCode::CREATED);
        let (_, now) = sidecar.get(&format!("{READ}/stat?path=o")).await;
        assert_eq!(now["checksum"], stats["checksum"], "upload {n} was undone");
    };
    upload(0).await;
    let url = &format!("{UPLOAD}/stat/user_metadata?path=o");
    let set = || async move {
        for n in 0..40 {
            let body = json!({"set": {"n": n.to_string()}});
            let (status, _) = sidecar.send("PUT", url, body).await;
            assert!(status == 201 || status == 503, "{status}");
        }
    };
    let uploads = async {
        for n in 1..40 {
            upload(n).await;
        }
    };
    futures::join!(set(), set(), uploads);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_what_is_not_there_leaves_nothing_staged() {
    let sidecar = Sidecar::start().await;
    let upload = async |path: &str| {
        let request = sidecar.request("POST", &format!("{UPLOAD}?path={path}")).body("bytes");
        assert_eq!(told(request).await.0, StatusCode::CREATED);
    };
    let delete_all = async |paths: &[&str]| {
        let url = format!("{UPLOAD}/delete");
        let (status, told) = sidecar.send("POST", &url, json!({"paths": paths})).await;
        assert_eq!((status, &told["errors"]), (StatusCode::OK, &json!([])));
    };
    upload("kept").await;
    let main = sidecar.onward.repo("lake").branch("main");
    main.commit_staged().message("kept").commit().await.unwrap();
    upload("new").await;
    upload("newer").await;
    delete_all(&["never", "new", "nor this"]).await;
    let request = sidecar.request("DELETE", &format!("{UPLOAD}?path=newer"));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(staged(&sidecar).await, 0);
    // Nothing is uncommitted, so nothing forbids a hard reset.
    let reset = format!("{LAKE}/branches/main/hard_reset?ref=main");
    assert_eq!(sidecar.request("PUT", &reset).send().await.unwrap().status(), 204);
    delete_all(&["kept", "never"]).await;
    assert_eq!(staged(&sidecar).await, 1, "a tombstone of what is committed");
}
