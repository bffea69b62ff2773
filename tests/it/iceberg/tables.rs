//! Tables: made, loaded, changed, renamed, dropped, taken over.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    MAIN, append, at, catalog, create, current, load, log, new_table, refused, send_with, set,
    snapshots,
};
use crate::support::sidecar::told;

const TABLES: &str = "/iceberg/v1/lake@main/namespaces/a/tables";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_once_and_says_what_engines_are_to_do() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    assert_eq!(made["format-version"], 2);
    let said = json!({"gc.enabled": "false", "commit.retry.min-wait-ms": "10"});
    assert_eq!(made["properties"], said);
    assert_eq!(load(&sidecar, "t").await, made);
    refused(&sidecar.send("POST", TABLES, new_table("t")).await, 409, "AlreadyExistsException");
    let mut own = new_table("u");
    own["properties"] = json!({"gc.enabled": "true", "commit.retry.min-wait-ms": "100"});
    let (_, told) = sidecar.send("POST", TABLES, own.clone()).await;
    assert_eq!(told["metadata"]["properties"], own["properties"], "its owner says otherwise");
    for (body, why) in [
        (json!({"name": "v"}), "no schema"),
        (json!({"schema": {}}), "no name"),
        (new_table(""), "an empty name"),
        (json!([]), "no object"),
    ] {
        let told = sidecar.send("POST", TABLES, body).await;
        assert_eq!(told.0, StatusCode::BAD_REQUEST, "{why}: {}", told.1);
        refused(&told, 400, "BadRequestException");
    }
    let many =
        futures::future::join_all((0..6).map(|_| sidecar.send("POST", TABLES, new_table("w"))))
            .await;
    let made = many.iter().filter(|told| told.0 == StatusCode::OK).count();
    assert_eq!(made, 1, "{many:?}");
    many.iter()
        .filter(|told| told.0 != StatusCode::OK)
        .for_each(|told| refused(told, 409, "AlreadyExistsException"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_table_is_made_by_its_first_commit() {
    let sidecar = catalog().await;
    let mut asked = new_table("t");
    asked["stage-create"] = true.into();
    let (status, staged) = sidecar.send("POST", TABLES, asked).await;
    assert_eq!(status, StatusCode::OK, "{staged}");
    assert!(staged["metadata-location"].is_null());
    refused(&sidecar.get(&at("t")).await, 404, "NoSuchTableException");
    let metadata = &staged["metadata"];
    let commit = json!({
        "requirements": [{"type": "assert-create"}],
        "updates": [
            {"action": "assign-uuid", "uuid": metadata["table-uuid"]},
            {"action": "upgrade-format-version", "format-version": 2},
            {"action": "add-schema", "schema": metadata["schemas"][0], "last-column-id": 1},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "add-spec", "spec": metadata["partition-specs"][0]},
            {"action": "set-default-spec", "spec-id": -1},
            {"action": "add-sort-order", "sort-order": metadata["sort-orders"][0]},
            {"action": "set-default-sort-order", "sort-order-id": -1},
            {"action": "set-location", "location": metadata["location"]},
            {"action": "set-properties", "updates": metadata["properties"]},
        ],
    });
    let (status, made) = sidecar.send("POST", &at("t"), commit.clone()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!(made["metadata"]["table-uuid"], metadata["table-uuid"]);
    // Its reply was lost: the same once more is the same.
    assert_eq!(sidecar.send("POST", &at("t"), commit.clone()).await, (status, made));
    let mut other = commit;
    other["updates"][0]["uuid"] = "11111111-2222-4333-8444-555555555555".into();
    refused(&sidecar.send("POST", &at("t"), other).await, 409, "AlreadyExistsException");
    refused(&sidecar.send("POST", &at("none"), set("k", "v")).await, 404, "NoSuchTableException");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_table_already_is_told_so_and_who_wants_few_snapshots_gets_few() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let (_, first) = sidecar.send("POST", &at("t"), append(&made, 1)).await;
    sidecar.send("POST", &at("t"), append(&first["metadata"], 2)).await;
    let get = |query: &str| sidecar.request("GET", &format!("{}{query}", at("t")));
    let all = get("").send().await.unwrap();
    let refs = get("?snapshots=refs").send().await.unwrap();
    let tags = [&all, &refs].map(|answer| answer.headers()["etag"].to_str().unwrap().to_owned());
    assert_ne!(tags[0], tags[1]);
    let (all, refs): (Value, Value) = (all.json().await.unwrap(), refs.json().await.unwrap());
    assert_eq!((snapshots(&all["metadata"]), snapshots(&refs["metadata"])), (vec![1, 2], vec![2]));
    let status = async |query: &str, tag: &str| {
        get(query).header("If-None-Match", tag).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("", &tags[0]).await, 304);
    assert_eq!(status("?snapshots=refs", &tags[1]).await, 304);
    assert_eq!(status("?snapshots=refs", &tags[0]).await, 200);
    sidecar.send("POST", &at("t"), set("k", "v")).await;
    assert_eq!(status("", &tags[0]).await, 200);
    refused(&sidecar.get(&format!("{}?snapshots=some", at("t"))).await, 400, "BadRequestException");
    let head = |name: &str| sidecar.request("HEAD", &at(name)).send();
    assert_eq!(head("t").await.unwrap().status().as_u16(), 204);
    assert_eq!(head("u").await.unwrap().status().as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_or_lies_elsewhere_is_refused_and_nothing_is_done() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let mut elsewhere = append(&made, 1);
    elsewhere["updates"][0]["snapshot"]["manifest-list"] = "file:///etc/passwd".into();
    let mut above = append(&made, 1);
    let outside = format!("{}/../../../_onward/token-key", made["location"].as_str().unwrap());
    above["updates"][0]["snapshot"]["manifest-list"] = outside.into();
    for (commit, why) in [
        (
            json!({"requirements": [{"type": "assert-odd"}], "updates": []}),
            "an unknown requirement",
        ),
        (json!({"requirements": [], "updates": [{"action": "odd"}]}), "an unknown update"),
        (json!({"requirements": [], "updates": [{"action": "add-view-version"}]}), "of a view"),
        (
            json!({"requirements": [], "updates": [{"action": "set-location", "location": "file:///etc"}]}),
            "a location",
        ),
        (elsewhere, "a manifest list"),
        (above, "a manifest list that climbs"),
        (
            json!({"requirements": [], "updates": [{"action": "set-current-schema", "schema-id": 9}]}),
            "no such schema",
        ),
        (json!([]), "no object"),
    ] {
        let told = sidecar.send("POST", &at("t"), commit).await;
        assert_eq!(told.0, StatusCode::BAD_REQUEST, "{why}: {}", told.1);
        refused(&told, 400, "BadRequestException");
    }
    let mut asked = new_table("u");
    asked["location"] = "file:///tmp/elsewhere".into();
    refused(&sidecar.send("POST", TABLES, asked).await, 400, "BadRequestException");
    let body =
        sidecar.request("POST", &at("t")).body("{").header("Content-Type", "application/json");
    refused(&told(body).await, 400, "BadRequestException");
    assert_eq!(load(&sidecar, "t").await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_gets_another_name_and_goes_and_a_purge_is_refused() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    create(&sidecar, "taken").await;
    let rename = |from: &str, levels: Value, to: &str| {
        let body = json!({
            "source": {"namespace": ["a"], "name": from},
            "destination": {"namespace": levels, "name": to},
        });
        let url = format!("{MAIN}/tables/rename");
        let sidecar = &sidecar;
        async move { sidecar.send("POST", &url, body).await }
    };
    refused(&rename("none", json!(["a"]), "u").await, 404, "NoSuchTableException");
    refused(&rename("t", json!(["a"]), "taken").await, 409, "AlreadyExistsException");
    refused(&rename("t", json!(["none"]), "u").await, 404, "NoSuchNamespaceException");
    assert_eq!(rename("t", json!(["a"]), "u v").await.0, StatusCode::NO_CONTENT);
    refused(&sidecar.get(&at("t")).await, 404, "NoSuchTableException");
    assert_eq!(load(&sidecar, "u+v").await, made);
    let purge =
        sidecar.send("DELETE", &format!("{}?purgeRequested=true", at("u%20v")), json!({})).await;
    refused(&purge, 406, "UnsupportedOperationException");
    assert!(purge.1["error"]["message"].as_str().unwrap().contains("without purge"));
    let gone =
        sidecar.send("DELETE", &format!("{}?purgeRequested=false", at("u%20v")), json!({})).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    refused(&sidecar.send("DELETE", &at("u%20v"), json!({})).await, 404, "NoSuchTableException");
    // Made anew under the name it is another table.
    let again = create(&sidecar, "t").await;
    assert_ne!(again["table-uuid"], made["table-uuid"]);
    let stale = sidecar.send("POST", &at("t"), append(&made, 1)).await;
    refused(&stale, 409, "CommitFailedException");
    assert_eq!(load(&sidecar, "t").await, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_dropped_is_taken_over_again() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    sidecar.send("POST", &at("t"), append(&made, 1)).await;
    let (_, kept) = sidecar.get(&at("t")).await;
    sidecar.send("DELETE", &at("t"), json!({})).await;
    let register = |body: Value| {
        let url = format!("{MAIN}/namespaces/a/register");
        let sidecar = &sidecar;
        async move { sidecar.send("POST", &url, body).await }
    };
    let body = json!({"name": "t2", "metadata-location": kept["metadata-location"]});
    assert_eq!(register(body.clone()).await, (StatusCode::OK, kept.clone()));
    assert_eq!(current(&load(&sidecar, "t2").await), Some(1));
    refused(&register(body.clone()).await, 409, "AlreadyExistsException");
    let mut over = body;
    over["overwrite"] = true.into();
    assert_eq!(register(over).await.0, StatusCode::OK);
    let nowhere = kept["metadata-location"].as_str().unwrap().replace("00001-", "00009-");
    for location in [&nowhere, "file:///etc/passwd", ""] {
        let told = register(json!({"name": "u", "metadata-location": location})).await;
        refused(&told, 400, "BadRequestException");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_not_made_to_delete_what_history_names() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    let key = "write.metadata.delete-after-commit.enabled";
    let (_, told) = sidecar.send("POST", &at("t"), set(key, "true")).await;
    assert_eq!(told["metadata"]["properties"][key], "false");
    for query in ["", "?snapshots=refs"] {
        let (_, told) = sidecar.get(&format!("{}{query}", at("t"))).await;
        assert_eq!(told["metadata"]["properties"][key], "false");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_is_carried_out_once() {
    let sidecar = catalog().await;
    let key = ("Idempotency-Key", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    let first = send_with(&sidecar, TABLES, key, &new_table("t")).await;
    let again = send_with(&sidecar, TABLES, key, &new_table("t")).await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.1);
    assert_eq!(first, again);
    let other = ("Idempotency-Key", "017f22e2-79b0-7cc3-98c4-dc0c0c073990");
    for _ in 0..2 {
        let told = send_with(&sidecar, TABLES, other, &new_table("t")).await;
        refused(&told, 409, "AlreadyExistsException");
    }
    let drop = || {
        let request = sidecar.request("DELETE", &at("t")).header(key.0, key.1);
        told(request)
    };
    assert_eq!(drop().await.0, StatusCode::NO_CONTENT);
    assert_eq!(drop().await.0, StatusCode::NO_CONTENT, "what became of it, and not of the table");
    let bad = send_with(&sidecar, TABLES, ("Idempotency-Key", "a b"), &new_table("u")).await;
    refused(&bad, 400, "BadRequestException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_changes_nothing_is_no_commit_of_the_branch() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    assert_eq!(sidecar.send("POST", &at("t"), set("k", "v")).await.0, StatusCode::OK);
    let (before, commits) = (sidecar.get(&at("t")).await.1, log(sidecar).await.len());
    let (status, told) = sidecar.send("POST", &at("t"), set("k", "v")).await;
    assert_eq!((status, &told), (StatusCode::OK, &before));
    assert_eq!(log(sidecar).await.len(), commits);
}
