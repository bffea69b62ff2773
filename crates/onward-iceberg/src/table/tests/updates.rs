//! What updates make of a table.

use serde_json::{Value, json};

use super::fixture::newest;
use crate::table::{Commit, Metadata, NotApplied};

fn apply(base: &Metadata, updates: Value) -> Result<Metadata, NotApplied> {
    let now = base.last_updated_ms() + 1;
    let commit = Commit::from_json(&json!({"updates": updates})).unwrap();
    commit.apply(Some(base), now, Some("file:///lake/t/metadata/before.json"))
}

fn refused(base: &Metadata, updates: Value, says: &str) {
    match apply(base, updates).unwrap_err() {
        NotApplied::Invalid(invalid) => assert!(invalid.message().contains(says), "{invalid}"),
        NotApplied::Stale(failed) => panic!("stale, and not invalid: {failed}"),
    }
}

fn snapshot(base: &Metadata, id: i64) -> Value {
    json!({"snapshot-id": id, "parent-snapshot-id": base.current_snapshot_id(),
        "sequence-number": base.last_sequence_number() + 1, "schema-id": 0,
        "timestamp-ms": base.last_updated_ms() + 5, "manifest-list": "file:///lake/t/metadata/l.avro",
        "summary": {"operation": "append"}})
}

fn add(snapshot: &Value) -> Value {
    json!({"action": "add-snapshot", "snapshot": snapshot})
}

fn main_to(id: i64) -> Value {
    json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id})
}

#[test]
fn schemas_specs_and_orders_that_say_the_same_are_the_same() {
    let base = newest("v2");
    let schema = base.json()["schemas"][0].clone();
    let mut wider = schema.clone();
    let field = json!({"id": 4, "name": "more", "required": false, "type": "string"});
    wider["fields"].as_array_mut().unwrap().push(field);
    let spec = json!({"spec-id": 5, "fields": [
        {"source-id": 4, "name": "more", "transform": "truncate[4]"}]});
    let order = json!({"order-id": 5, "fields": [{"source-id": 4, "transform": "identity",
        "direction": "desc", "null-order": "nulls-last"}]});
    let updates = json!([
        {"action": "add-schema", "schema": schema}, {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-schema", "schema": wider}, {"action": "add-schema", "schema": wider},
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": spec}, {"action": "add-spec", "spec": spec},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": order},
        {"action": "set-default-sort-order", "sort-order-id": -1},
    ]);
    let made = apply(&base, updates).unwrap();
    let json = made.json();
    assert_eq!(json["schemas"].as_array().unwrap().len(), 2);
    assert_eq!([&json["current-schema-id"], &json["last-column-id"]], [1, 4]);
    assert_eq!(json["partition-specs"].as_array().unwrap().len(), 2);
    assert_eq!([&json["default-spec-id"], &json["last-partition-id"]], [1, 1001]);
    assert_eq!([&json["default-sort-order-id"], &json["sort-orders"][1]["order-id"]], [1, 1]);
    refused(&made, json!([{"action": "remove-schemas", "schema-ids": [1]}]), "in use");
    refused(&made, json!([{"action": "remove-partition-specs", "spec-ids": [1]}]), "in use");
    let fewer = apply(
        &made,
        json!([{"action": "remove-schemas", "schema-ids": [0]},
        {"action": "remove-partition-specs", "spec-ids": [0]}]),
    );
    assert_eq!(fewer.unwrap().json()["schemas"].as_array().unwrap().len(), 1);
    refused(&base, json!([{"action": "set-current-schema", "schema-id": 7}]), "no 7 in 'schemas'");
    refused(&base, json!([{"action": "set-current-schema", "schema-id": -1}]), "none was");
}

#[test]
fn a_snapshot_becomes_the_head_and_leaves_lines_in_the_logs() {
    let base = newest("v2");
    let new = snapshot(&base, 77);
    let made = apply(&base, json!([add(&new), main_to(77)])).unwrap();
    assert_eq!(made.current_snapshot_id(), Some(77));
    assert_eq!(made.last_sequence_number(), base.last_sequence_number() + 1);
    assert_eq!(made.last_updated_ms(), base.last_updated_ms() + 5);
    let log = made.json()["snapshot-log"].as_array().unwrap().last().unwrap();
    assert_eq!(log["snapshot-id"], 77);
    let log = made.json()["metadata-log"].as_array().unwrap().last().unwrap();
    assert_eq!(log["metadata-file"], "file:///lake/t/metadata/before.json");
    assert_eq!(log["timestamp-ms"], base.last_updated_ms());
    refused(&made, json!([add(&new)]), "is there already");
    refused(&base, json!([main_to(77)]), "names 77, which is not there");
}

#[test]
fn a_sequence_number_given_for_an_older_state_is_stale_and_not_wrong() {
    let base = newest("v2");
    let mut late = snapshot(&base, 77);
    late["sequence-number"] = base.last_sequence_number().into();
    let error = apply(&base, json!([add(&late)])).unwrap_err();
    assert!(matches!(error, NotApplied::Stale(_)), "{error}");
}

#[test]
fn heads_that_one_commit_passes_are_no_lines_of_the_log() {
    let base = newest("v2");
    let mut second = snapshot(&base, 78);
    second["parent-snapshot-id"] = 77.into();
    second["sequence-number"] = (base.last_sequence_number() + 2).into();
    let first = snapshot(&base, 77);
    let updates = json!([add(&first), main_to(77), add(&second), main_to(78)]);
    let made = apply(&base, updates).unwrap();
    let lines = |of: &Metadata| of.json()["snapshot-log"].as_array().unwrap().len();
    assert_eq!(lines(&made), lines(&base) + 1);
}

#[test]
fn removed_snapshots_take_along_what_names_them() {
    let base = newest("v2");
    let first = base.reference("first").unwrap().snapshot_id;
    let made =
        apply(&base, json!([{"action": "remove-snapshots", "snapshot-ids": [first]}])).unwrap();
    assert!(made.reference("first").is_none() && made.snapshot(first).is_none());
    assert_eq!(made.current_snapshot_id(), base.current_snapshot_id());
    let head = base.current_snapshot_id().unwrap();
    let made =
        apply(&base, json!([{"action": "remove-snapshots", "snapshot-ids": [head]}])).unwrap();
    assert_eq!((made.current_snapshot_id(), made.reference("main")), (None, None));
    let made =
        apply(&base, json!([{"action": "remove-snapshot-ref", "ref-name": "main"}])).unwrap();
    assert_eq!(made.current_snapshot_id(), None);
    assert!(made.snapshot(head).is_some());
}

#[test]
fn versions_of_the_format_rise_and_do_not_fall() {
    let to =
        |version: i64| json!([{"action": "upgrade-format-version", "format-version": version}]);
    let second = apply(&newest("v1"), to(2)).unwrap();
    assert_eq!(second.json().get("schema"), None);
    let third = apply(&second, to(3)).unwrap();
    assert_eq!(third.json()["next-row-id"], 0);
    refused(&third, to(2), "does not become one of 2");
    refused(&third, to(4), "none of 1, 2 and 3");
    let mut new = snapshot(&third, 77);
    refused(&third, json!([add(&new)]), "no 'first-row-id'");
    new["first-row-id"] = 0.into();
    new["added-rows"] = 10.into();
    let made = apply(&third, json!([add(&new), main_to(77)])).unwrap();
    assert_eq!(made.json()["next-row-id"], 10);
}

#[test]
fn statistics_properties_and_keys_come_and_go() {
    let base = newest("v2");
    let head = base.current_snapshot_id().unwrap();
    let files = json!({"snapshot-id": head, "statistics-path": "s", "file-size-in-bytes": 1,
        "file-footer-size-in-bytes": 1, "blob-metadata": []});
    let parts = json!({"snapshot-id": head, "statistics-path": "p", "file-size-in-bytes": 1});
    let with = apply(
        &base,
        json!([
            {"action": "set-statistics", "snapshot-id": head, "statistics": files},
            {"action": "set-statistics", "statistics": files},
            {"action": "set-partition-statistics", "partition-statistics": parts},
            {"action": "set-properties", "updates": {"write.metadata.previous-versions-max": "1"}},
            {"action": "remove-properties", "removals": ["onward.appends"]},
        ]),
    );
    let with = with.unwrap();
    assert_eq!(with.json()["statistics"], json!([files]));
    assert_eq!(with.json()["partition-statistics"], json!([parts]));
    assert_eq!(with.json()["metadata-log"].as_array().unwrap().len(), 1);
    assert!(base.appends_commute() && !with.appends_commute());
    let without = apply(
        &with,
        json!([
            {"action": "remove-statistics", "snapshot-id": head},
            {"action": "remove-partition-statistics", "snapshot-id": head},
        ]),
    );
    assert_eq!(without.unwrap().json()["statistics"], json!([]));
    let key = json!({"key-id": "k", "encrypted-key-metadata": "AA=="});
    refused(&base, json!([{"action": "add-encryption-key", "encryption-key": key}]), "version 3");
    let updates = json!([{"action": "upgrade-format-version", "format-version": 3},
        {"action": "add-encryption-key", "encryption-key": key}]);
    let keyed = apply(&base, updates).unwrap();
    let gone = apply(&keyed, json!([{"action": "remove-encryption-key", "key-id": "k"}])).unwrap();
    assert_eq!(keyed.json()["encryption-keys"], json!([key]));
    assert_eq!(gone.json()["encryption-keys"], json!([]));
}

#[test]
fn statistics_of_an_engines_own_kind_stay_as_they_came_and_can_be_taken_out() {
    let base = newest("v2");
    let head = base.current_snapshot_id().unwrap();
    let blob = json!({"type": "presto-sum-data-size-bytes-v1", "snapshot-id": head, "sequence-number": 1, "fields": [1],
        "properties": {"data_size": "12"}});
    let files = json!({"snapshot-id": head, "statistics-path": "s", "file-size-in-bytes": 1,
        "file-footer-size-in-bytes": 1, "blob-metadata": [blob]});
    let with = apply(&base, json!([{"action": "set-statistics", "statistics": files}])).unwrap();
    assert_eq!(with.json()["statistics"], json!([files]));
    let without =
        apply(&with, json!([{"action": "remove-statistics", "snapshot-id": head}])).unwrap();
    assert_eq!(without.json()["statistics"], json!([]));
}

#[test]
fn a_commit_that_changes_nothing_leaves_the_metadata_as_it_was() {
    let base = newest("v2");
    let head = base.current_snapshot_id().unwrap();
    let made = apply(&base, json!([main_to(head)])).unwrap();
    assert_eq!(made.json(), base.json());
}
