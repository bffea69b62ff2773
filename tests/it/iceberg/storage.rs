//! Where tables lie, and who leaves them alone.

use std::time::Duration;

use futures::TryStreamExt;
use onward::admin::GcOptions;
use serde_json::json;

use super::{append, at, catalog, create, load};

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
