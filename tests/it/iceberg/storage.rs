//! Where tables lie, and who leaves them alone.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::TryStreamExt;
use onward::admin::GcOptions;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Beside, MAIN, append, at, catalog, create, load, refused, set, snapshots};
use crate::support::sidecar::Sidecar;

#[tokio::test(flavor = "multi_thread")]
async fn garbage_collection_removes_nothing_of_tables() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let (objects, location) = (&sidecar.deployment.objects, made["location"].as_str().unwrap());
    let key = objects.key_of(location).unwrap().to_owned();
    assert!(key.starts_with("_iceberg/lake/"), "{key}");
    // What an engine writes, named by nothing yet.
    objects.put(&format!("{key}/data/part-0.parquet"), "rows".into()).await.unwrap();
    sidecar.send("POST", &at("t"), append(&made, 1)).await;
    sidecar.send("DELETE", &at("t"), json!({})).await;
    let files = || async {
        let listed = objects.list(&key, None).map_ok(|listed| listed.key);
        let mut files: Vec<String> = listed.try_collect().await.unwrap();
        files.sort();
        files
    };
    let before = files().await;
    assert_eq!(before.len(), 3, "{before:?}");
    let options = GcOptions {
        exclusive: true,
        grace: Duration::ZERO,
        now_ms: Some(i64::MAX / 2),
        ..GcOptions::default()
    };
    sidecar.onward.repo("lake").gc(&options, &mut |_| {}).await.unwrap();
    assert_eq!(files().await, before);
}

/// Where the metadata of `a.t` lies, and the bytes that lie there.
async fn file(sidecar: &Sidecar) -> (String, Bytes) {
    let (_, told) = sidecar.get(&at("t")).await;
    let location = told["metadata-location"].as_str().unwrap().to_owned();
    let objects = &sidecar.deployment.objects;
    let key = objects.key_of(&location).unwrap();
    let bytes = objects.get(key).await.unwrap().unwrap();
    (location, bytes)
}

fn unpacked(bytes: &[u8]) -> Value {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_compressed_where_its_table_says_so_and_read_whatever_its_name() {
    const CODEC: &str = "write.metadata.compression-codec";
    let sidecar = &catalog().await;
    let made = create(sidecar, "t").await;
    assert!(!file(sidecar).await.0.contains(".gz"), "a table that says nothing");
    sidecar.send("POST", &at("t"), append(&made, 1)).await;
    assert_eq!(sidecar.send("POST", &at("t"), set(CODEC, "gzip")).await.0, StatusCode::OK);
    let table = load(sidecar, "t").await;
    let (location, bytes) = file(sidecar).await;
    assert!(location.ends_with(".gz.metadata.json"), "{location}");
    assert_eq!(unpacked(&bytes), table);
    let fresh = Beside::start(sidecar.deployment.connect().await).await;
    let (status, told) = fresh.send("GET", &at("t"), json!({})).await;
    assert_eq!((status, &told["metadata"]), (StatusCode::OK, &table));
    // As programs name it that came before the specification did.
    let objects = &sidecar.deployment.objects;
    let odd = location.replace(".gz.metadata.json", ".metadata.json.gz");
    objects.put(objects.key_of(&odd).unwrap(), bytes).await.unwrap();
    let register = json!({"name": "u", "metadata-location": odd});
    let url = format!("{MAIN}/namespaces/a/register");
    let (status, told) = fresh.send("POST", &url, register).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![1]), "{told}");
    // Who says nothing, or none, has it plain.
    for body in [
        set(CODEC, "none"),
        json!({"requirements": [], "updates": [{"action": "remove-properties", "removals": [CODEC]}]}),
    ] {
        assert_eq!(sidecar.send("POST", &at("t"), body).await.0, StatusCode::OK);
        let (location, bytes) = file(sidecar).await;
        assert!(!location.contains(".gz"), "{location}");
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), load(sidecar, "t").await);
    }
    assert_eq!(sidecar.send("POST", &at("t"), set(CODEC, "GZIP")).await.0, StatusCode::OK);
    let (location, bytes) = file(sidecar).await;
    // What is damaged is not served.
    let key = objects.key_of(&location).unwrap();
    objects.put(key, bytes.slice(..bytes.len() / 2)).await.unwrap();
    let fresh = Beside::start(sidecar.deployment.connect().await).await;
    refused(&fresh.send("GET", &at("t"), json!({})).await, 500, "InternalServerError");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_deleted_leaves_no_table_to_the_next_of_its_name() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    let lake = sidecar.onward.repo("lake");
    lake.delete().await.unwrap();
    super::refused(&sidecar.get(&at("t")).await, 404, "NoSuchWarehouseException");
    lake.create(&"main".parse().unwrap()).await.unwrap();
    super::refused(&sidecar.get(&at("t")).await, 404, "NoSuchTableException");
    let spaces = format!("{}/namespaces", super::MAIN);
    sidecar.send("POST", &spaces, json!({"namespace": ["a"]})).await;
    create(&sidecar, "t").await;
    load(&sidecar, "t").await;
}
