//! Tables that come to the name of another: what landed in one of them is never told as landed, or not landed, in the
//! other.

use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{CatalogError, Kind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::parts::{Part, commuting, commuting_from, rows, table, written};
use super::{MAIN, append, at, load, log, refused, snapshots};
use crate::support::sidecar::Sidecar;

/// Takes `a.t` off the branch.
pub async fn drop_table(sidecar: &Sidecar) {
    assert_eq!(sidecar.send("DELETE", &at("t"), json!({})).await.0, StatusCode::NO_CONTENT);
}

async fn rename(sidecar: &Sidecar, from: &str, to: &str) {
    let name = |name: &str| json!({"namespace": ["a"], "name": name});
    let body = json!({"source": name(from), "destination": name(to)});
    let told = sidecar.send("POST", &format!("{MAIN}/tables/rename"), body).await;
    assert_eq!(told.0, StatusCode::NO_CONTENT, "{}", told.1);
}

async fn register(sidecar: &Sidecar, location: &Value) {
    let body = json!({"name": "t", "metadata-location": location});
    let (status, told) = sidecar.send("POST", &format!("{MAIN}/namespaces/a/register"), body).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

/// The same commit, for the table of this metadata and no other.
pub fn of(metadata: &Value, body: &Value) -> Value {
    let mut body = body.clone();
    let uuid = json!({"type": "assert-table-uuid", "uuid": metadata["table-uuid"]});
    body["requirements"].as_array_mut().unwrap().push(uuid);
    body
}

/// A sidecar that has just started, and remembers nothing.
async fn fresh(sidecar: &Sidecar, made: &Value) -> Part {
    Part::of(sidecar, Faults::default(), made).await
}

/// What such a one says of a commit that it does not take.
pub async fn refusal(sidecar: &Sidecar, made: &Value, body: &Value) -> CatalogError {
    fresh(sidecar, made).await.commit(body).await.unwrap_err()
}

/// How a table that had the name loses it.
#[derive(Clone, Copy)]
enum Goes {
    Dropped,
    Renamed,
}

impl Goes {
    async fn go(self, sidecar: &Sidecar) {
        match self {
            Self::Dropped => drop_table(sidecar).await,
            Self::Renamed => rename(sidecar, "t", "u").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_landed_in_a_table_is_not_told_of_the_next_of_its_name() {
    for goes in [Goes::Dropped, Goes::Renamed] {
        let (sidecar, first) = &table().await;
        let part = fresh(sidecar, first).await;
        let landed = written(sidecar, &part.location, 2, Some(1)).await;
        part.commit(&landed).await.unwrap();
        let not_landed = written(sidecar, &part.location, 3, Some(1)).await;
        goes.go(sidecar).await;
        // There is none of the name.
        let before = log(sidecar).await.len();
        for body in [&landed, &of(first, &landed)] {
            let told = refusal(sidecar, first, body).await;
            assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
            assert!(
                told.message.contains("landed") || told.message.contains("committed"),
                "{told}"
            );
        }
        for body in [&not_landed, &of(first, &not_landed)] {
            let told = refusal(sidecar, first, body).await;
            assert_eq!(told.kind, Kind::NoSuchTable, "{told}");
        }
        assert_eq!(log(sidecar).await.len(), before, "nothing was done");
        // There is another one.
        let second = commuting_from(sidecar, "t", 10).await;
        fresh(sidecar, &second).await.append(sidecar, 11, 10).await.unwrap();
        let before = load(sidecar, "t").await;
        for body in [&landed, &of(first, &landed)] {
            let of_this_one = part.commit(body).await.unwrap_err();
            for told in [of_this_one, refusal(sidecar, first, body).await] {
                assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
            }
        }
        let told = refusal(sidecar, first, &of(first, &not_landed)).await;
        assert_eq!(told.kind, Kind::CommitFailed, "{told}");
        assert_eq!(load(sidecar, "t").await, before, "nothing was done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_on_another_table_of_the_name_is_not_brought_onto_this_one() {
    let (sidecar, first) = &table().await;
    let part = fresh(sidecar, first).await;
    part.append(sidecar, 2, 1).await.unwrap();
    let stale = written(sidecar, &part.location, 3, Some(2)).await;
    drop_table(sidecar).await;
    commuting_from(sidecar, "t", 10).await;
    let told = refusal(sidecar, first, &stale).await;
    assert_eq!(told.kind, Kind::CommitFailed, "{told}");
    assert!(told.message.contains("another table"), "{told}");
    assert_eq!(snapshots(&load(sidecar, "t").await), [10]);
}

/// Trims all but the newest snapshot of `a.t` by a commit.
async fn trim(sidecar: &Sidecar) {
    let mut ids = snapshots(&load(sidecar, "t").await);
    ids.pop();
    let body = json!({"requirements": [], "updates": [{"action": "remove-snapshots", "snapshot-ids": ids}]});
    let (status, told) = sidecar.send("POST", &at("t"), body).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_back_to_its_name_still_knows_what_landed_there() {
    let (sidecar, made) = &table().await;
    let part = fresh(sidecar, made).await;
    let landed = written(sidecar, &part.location, 2, Some(1)).await;
    part.commit(&landed).await.unwrap();
    part.append(sidecar, 3, 2).await.unwrap();
    trim(sidecar).await;
    let before = log(sidecar).await.len();
    // Another name, another table between, and back.
    rename(sidecar, "t", "u").await;
    commuting_from(sidecar, "t", 10).await;
    drop_table(sidecar).await;
    rename(sidecar, "u", "t").await;
    let known = fresh(sidecar, made).await.commit(&landed).await.unwrap();
    assert_eq!(rows(known.metadata.json()), "3");
    // Dropped, and taken over again.
    let (_, told) = sidecar.get(&at("t")).await;
    drop_table(sidecar).await;
    register(sidecar, &told["metadata-location"]).await;
    let known = fresh(sidecar, made).await.commit(&landed).await.unwrap();
    assert_eq!(rows(known.metadata.json()), "3");
    assert_eq!(log(sidecar).await.len(), before + 7, "it is not made again");
    // What was made on a snapshot that is gone, and has not landed, still does.
    let new = written(sidecar, &part.location, 4, Some(1)).await;
    let told = fresh(sidecar, made).await.commit(&new).await.unwrap();
    assert_eq!(rows(told.metadata.json()), "4");
}

/// A commit that makes a staged table, with a snapshot.
async fn staged(sidecar: &Sidecar) -> (Value, Value) {
    let mut wanted = super::new_table("t");
    wanted["stage-create"] = true.into();
    let (status, told) = sidecar.send("POST", &format!("{MAIN}/namespaces/a/tables"), wanted).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let table = &told["metadata"];
    let schema = &table["schemas"][0];
    let body = json!({"requirements": [{"type": "assert-create"}], "updates": [
        {"action": "assign-uuid", "uuid": table["table-uuid"]},
        {"action": "upgrade-format-version", "format-version": 2},
        {"action": "add-schema", "schema": schema, "last-column-id": 1},
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": {"spec-id": 0, "fields": []}},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}},
        {"action": "set-default-sort-order", "sort-order-id": -1},
        {"action": "set-location", "location": table["location"]},
    ]});
    (table.clone(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_made_and_has_lost_its_name_is_not_made_again() {
    for goes in [Goes::Dropped, Goes::Renamed] {
        let (sidecar, _) = &table().await;
        drop_table(sidecar).await;
        let (made, body) = staged(sidecar).await;
        assert_eq!(sidecar.send("POST", &at("t"), body.clone()).await.0, StatusCode::OK);
        goes.go(sidecar).await;
        let told = refusal(sidecar, &made, &body).await;
        assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
        assert_eq!(sidecar.get(&at("t")).await.0, StatusCode::NOT_FOUND);
        // Under the next of its name it is not told that it was never made.
        commuting(sidecar, "t").await;
        let told = refusal(sidecar, &made, &body).await;
        assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
        // One that was not made before is told so.
        let (_, other) = staged_beside(sidecar).await;
        refused(&sidecar.send("POST", &at("t"), other).await, 409, "AlreadyExistsException");
    }
}

/// The same, where the name is taken: staged under another, and sent to this.
async fn staged_beside(sidecar: &Sidecar) -> (Value, Value) {
    rename(sidecar, "t", "v").await;
    let staged = staged(sidecar).await;
    rename(sidecar, "v", "t").await;
    staged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_landed_is_known_behind_its_tables() {
    let (sidecar, made) = &table().await;
    let other = &commuting(sidecar, "u").await;
    let change = |name: &str, metadata: &Value, id: i64| {
        let mut body = append(metadata, id);
        body["identifier"] = json!({"namespace": ["a"], "name": name});
        body
    };
    let body = json!({"table-changes": [change("t", made, 2), change("u", other, 2)]});
    let url = format!("{MAIN}/transactions/commit");
    assert_eq!(sidecar.send("POST", &url, body.clone()).await.0, StatusCode::NO_CONTENT);
    // What is left of it in one table says nothing of the other, whose snapshot is gone.
    sidecar.send("POST", &at("t"), append(&load(sidecar, "t").await, 3)).await;
    trim(sidecar).await;
    let beside = super::Beside::start(sidecar.deployment.connect().await).await;
    let before = log(sidecar).await.len();
    let told = beside.send("POST", &url, body).await;
    assert_eq!(told.0, StatusCode::NO_CONTENT, "{}", told.1);
    assert_eq!(log(sidecar).await.len(), before);
}
