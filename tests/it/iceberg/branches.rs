//! A branch is a catalog: tables are on it, at its tags and commits, and go through merges and reverts.

use onward::{Outcome, RefExpr};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{append, at, catalog, create, load, log, new_table, refused, set, snapshots};
use crate::support::sidecar::Sidecar;

async fn snapshots_at(sidecar: &Sidecar, reference: &str) -> Vec<i64> {
    let url = at("t").replace("lake@main", &format!("lake@{reference}"));
    let (status, told) = sidecar.get(&url).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    snapshots(&told["metadata"])
}

async fn append_at(sidecar: &Sidecar, branch: &str, id: i64) {
    let url = at("t").replace("lake@main", &format!("lake@{branch}"));
    let (_, known) = sidecar.get(&url).await;
    let (status, told) = sidecar.send("POST", &url, append(&known["metadata"], id)).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_at_tags_and_commits_and_changed_on_branches_only() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    append_at(&sidecar, "main", 1).await;
    let lake = sidecar.onward.repo("lake");
    let tag = lake.create_tag(&"v1".parse().unwrap(), &"main".parse().unwrap()).await.unwrap();
    append_at(&sidecar, "main", 2).await;
    let commit = tag.commit.to_string();
    for (reference, expected) in [
        ("main", vec![1, 2]),
        ("v1", vec![1]),
        ("main~1", vec![1]),
        ("v1~1", vec![]),
        (&commit, vec![1]),
    ] {
        assert_eq!(snapshots_at(&sidecar, reference).await, expected, "{reference}");
        let listed = format!("/iceberg/v1/lake@{reference}/namespaces/a/tables");
        let (_, told) = sidecar.get(&listed).await;
        assert_eq!(told["identifiers"].as_array().unwrap().len(), 1, "{reference}");
    }
    let v1 = |path: &str| format!("/iceberg/v1/lake@v1/{path}");
    for (method, path, body) in [
        ("POST", v1("namespaces/a/tables/t"), set("k", "v")),
        ("POST", v1("namespaces/a/tables"), new_table("u")),
        ("DELETE", v1("namespaces/a/tables/t"), json!({})),
        ("POST", v1("namespaces"), json!({"namespace": ["b"]})),
    ] {
        let told = sidecar.send(method, &path, body).await;
        match told.0.as_u16() {
            // A tag can have the name of a branch that is not there.
            404 => refused(&told, 404, "NoSuchWarehouseException"),
            _ => refused(&told, 403, "ForbiddenException"),
        }
    }
    assert_eq!(snapshots_at(&sidecar, "v1").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_one_side_changed_is_merged_and_one_that_both_did_is_named() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    let lake = sidecar.onward.repo("lake");
    let main: RefExpr = "main".parse().unwrap();
    lake.branch("try").create(&main).await.unwrap();
    append_at(&sidecar, "try", 1).await;
    assert_eq!(snapshots_at(&sidecar, "main").await, [] as [i64; 0]);
    let merge =
        || async { lake.branch("main").merge("try".parse().unwrap()).commit().await.unwrap() };
    assert!(merge().await.commit().is_some());
    assert_eq!(snapshots_at(&sidecar, "main").await, [1]);
    append_at(&sidecar, "try", 2).await;
    append_at(&sidecar, "main", 3).await;
    let Outcome::Conflict { paths, .. } = merge().await else { panic!("both changed it") };
    assert_eq!(paths[0].path.as_str(), "iceberg/a/t.table");
    assert_eq!(snapshots_at(&sidecar, "main").await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_takes_back_what_a_commit_did_to_a_table() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    append_at(&sidecar, "main", 1).await;
    let newest = log(&sidecar).await.remove(0);
    assert_eq!(newest.commit.metadata["iceberg.table"], "a.t");
    assert_eq!(newest.commit.metadata["iceberg.changes"], "append 1");
    assert!(newest.commit.message.contains("append 1"), "{}", newest.commit.message);
    let main = sidecar.onward.repo("lake").branch("main");
    let done = main.revert(newest.id.to_string().parse().unwrap(), None).commit().await.unwrap();
    assert!(done.commit().is_some(), "{done:?}");
    assert_eq!(load(&sidecar, "t").await, made);
    append_at(&sidecar, "main", 2).await;
    assert_eq!(snapshots_at(&sidecar, "main").await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_takes_no_commit_of_a_table() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let rule = onward::admin::Rule::new("main");
    sidecar.onward.repo("lake").protect(rule).await.unwrap();
    let told: (StatusCode, Value) = sidecar.send("POST", &at("t"), append(&made, 1)).await;
    refused(&told, 403, "ForbiddenException");
    assert_eq!(load(&sidecar, "t").await, made);
}
