//! Imports over the lakeFS API: what they show of their source, and being called off.

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

/// Waits for the end of an import, and gives its status.
async fn ended(sidecar: &Sidecar, import: &str) -> Value {
    until_async("the import ends", || async {
        let (_, status) = sidecar.get(import).await;
        status["completed"] == true || status.get("error").is_some()
    })
    .await;
    sidecar.get(import).await.1
}

fn object(path: &str) -> String {
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("path", path).finish();
    format!("{LAKE}/refs/main/objects?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_destination_shows_the_source_as_it_is() {
    let (sidecar, dir, root) = sidecar().await;
    std::fs::write(dir.path().join("b"), "gone soon").unwrap();
    let main = sidecar.onward.repo("lake").branch("main");
    for path in ["in/stays-not", "in.csv", "inner/x"] {
        main.change().put(path, crate::support::lake::entry(1)).commit().await.unwrap();
    }
    let listed = async || {
        let (_, page) = sidecar.get(&format!("{LAKE}/refs/main@/objects/ls")).await;
        let items = page["results"].as_array().unwrap().iter();
        items.map(|item| item["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    // With or without a slash at its end, a destination is a folder.
    for (destination, shown) in [("in", "in.csv in/a in/b inner/x"), ("in/", "in.csv in/a inner/x")]
    {
        let location = json!({"type": "common_prefix", "path": root, "destination": destination});
        let body = json!({"paths": [location], "commit": {"message": "imported"}});
        let (_, begun) = sidecar.send("POST", IMPORT, body).await;
        let told = ended(&sidecar, &format!("{IMPORT}?id={}", begun["id"].as_str().unwrap())).await;
        assert_eq!(told["completed"], true, "{told}");
        assert_eq!(listed().await, shown);
        let _ = std::fs::remove_file(dir.path().join("b"));
    }
    // A single object replaces itself and nothing else.
    let location = json!({"type": "object", "path": format!("{root}/a"), "destination": "inner/y"});
    let body = json!({"paths": [location], "commit": {"message": "imported"}});
    let (_, begun) = sidecar.send("POST", IMPORT, body).await;
    ended(&sidecar, &format!("{IMPORT}?id={}", begun["id"].as_str().unwrap())).await;
    assert_eq!(listed().await, "in.csv in/a inner/x inner/y");
    let (_, noted) = sidecar.get(&format!("{LAKE}/metadata")).await;
    let at = noted[".lakefs.last.import.timestamp"].as_str().unwrap().parse::<i64>().unwrap();
    let commit = sidecar.get(&format!("{LAKE}/commits/main")).await.1;
    assert!(at >= commit["creation_date"].as_i64().unwrap(), "{noted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_odd_names_are_imported_linked_and_read() {
    let (sidecar, dir, root) = sidecar().await;
    let names = ["#7", "a b", "issue#12", "new\nline", "tab\there", "x%2Fy", "é?"];
    for name in names {
        std::fs::write(dir.path().join(name), name).unwrap();
    }
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let told = ended(&sidecar, &begin(&sidecar, &root).await).await;
    // A pipe has no content to be missed.
    assert_eq!(
        (&told["completed"], &told["ingested_objects"]),
        (&json!(true), &json!(8)),
        "{told}"
    );
    for name in names {
        let (status, text) = sidecar.get(&object(name)).await;
        assert_eq!((status, text), (StatusCode::OK, json!(name)));
    }
    // What is linked and is no file, or has another size, or lies outside, is never waited for; and an
    // object of no bytes is asked about like any other.
    std::fs::write(dir.path().join("empty"), "").unwrap();
    for (address, size, status) in [
        (format!("{root}/pipe"), 0, StatusCode::GONE),
        (format!("{root}/pipe"), 3, StatusCode::GONE),
        (format!("{root}/empty"), 0, StatusCode::OK),
        (format!("{root}/a"), 0, StatusCode::GONE),
        (format!("{root}/none"), 0, StatusCode::GONE),
        (format!("{root}/{}", "x".repeat(300)), 0, StatusCode::GONE),
        (format!("{root}/issue#12"), 5, StatusCode::FORBIDDEN),
        (format!("{root}/x/..%2f..%2f..%2fetc/passwd"), 0, StatusCode::FORBIDDEN),
        ("file:///etc/passwd".to_owned(), 0, StatusCode::FORBIDDEN),
    ] {
        let stage = json!({"physical_address": address, "checksum": "c", "size_bytes": size});
        let path = format!("{LAKE}/branches/main/objects?path=s");
        assert_eq!(sidecar.send("PUT", &path, stage).await.0, StatusCode::CREATED);
        assert_eq!(sidecar.get(&object("s")).await.0, status, "{address} {size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_source_is_a_path_of_this_machine_where_that_is_allowed() {
    let (sidecar, dir, root) = sidecar().await;
    let local = root.replace("file://", "local://");
    // A URL would read one folder in two, leave out the tab, and end at the blank.
    for name in ["50% #1", "a\\b", "a\tb", "a?b", "ends "] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("b"), "x").unwrap();
        let sources =
            [format!("{local}/{name}/"), format!("{}/{name}", local.replace("///", "//"))];
        for source in sources {
            let told = ended(&sidecar, &begin(&sidecar, &source).await).await;
            let expected = (&true.into(), &1.into());
            assert_eq!(
                (&told["completed"], &told["ingested_objects"]),
                expected,
                "{source:?}: {told}"
            );
            let id = told["metarange_id"].as_str().unwrap();
            assert!(id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        }
    }
    for source in ["local:///etc", "local://", &format!("{local}/../")] {
        let location = json!({"type": "common_prefix", "path": source, "destination": ""});
        let body = json!({"paths": [location], "commit": {"message": "imported"}});
        let (status, said) = sidecar.send("POST", IMPORT, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{source}: {said}");
    }
    let (_, config) = sidecar.get("/api/v1/config").await;
    let pattern = config["storage_config"]["import_validity_regex"].as_str().unwrap();
    assert!(pattern.contains("local"), "{pattern}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_take_everything_says_which_and_takes_nothing() {
    use std::os::unix::ffi::OsStrExt;

    let (sidecar, dir, root) = sidecar().await;
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    let told = ended(&sidecar, &begin(&sidecar, &root).await).await;
    let why = told["error"]["message"].as_str().unwrap();
    assert!(why.contains("bad\u{fffd}") && why.contains("nothing was imported"), "{why}");
    assert!(!is_in_the_log(&sidecar).await);
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
