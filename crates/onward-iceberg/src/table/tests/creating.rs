//! New tables.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::table::{Commit, CreateTable, Metadata, create};

const UUID: Uuid = Uuid::from_u128(7);

fn request() -> Value {
    json!({
        "name": "orders",
        "schema": {"type": "struct", "schema-id": 9, "identifier-field-ids": [40], "fields": [
            {"id": 10, "name": "who", "required": false, "type": {"type": "struct", "fields": [
                {"id": 11, "name": "name", "required": true, "type": "string"}]}},
            {"id": 20, "name": "tags", "required": false, "type":
                {"type": "list", "element-id": 21, "element-required": false, "element": "string"}},
            {"id": 30, "name": "by", "required": false, "type": {"type": "map", "key-id": 31,
                "key": "string", "value-id": 32, "value-required": false, "value": "long"}},
            {"id": 40, "name": "id", "required": true, "type": "long"}]},
        "partition-spec": {"spec-id": 3, "fields": [
            {"source-id": 40, "field-id": 2000, "name": "bucket", "transform": "bucket[16]"}]},
        "write-order": {"order-id": 7, "fields": [{"source-id": 11, "transform": "identity",
            "direction": "asc", "null-order": "nulls-first"}]},
        "properties": {"format-version": "2", "a": "b"},
    })
}

fn made(request: &Value) -> Metadata {
    let request = CreateTable::from_json(request).unwrap();
    create(&request, UUID, "file:///lake/orders", 1000).unwrap()
}

#[test]
fn a_new_table_has_fresh_ids_those_of_a_struct_before_those_within_its_fields() {
    let json = made(&request()).json().clone();
    let fields = &json["schemas"][0]["fields"];
    let ids: Vec<_> = fields.as_array().unwrap().iter().map(|field| &field["id"]).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(fields[0]["type"]["fields"][0]["id"], 5);
    assert_eq!(fields[1]["type"]["element-id"], 6);
    assert_eq!([&fields[2]["type"]["key-id"], &fields[2]["type"]["value-id"]], [7, 8]);
    assert_eq!(json["schemas"][0]["identifier-field-ids"], json!([4]));
    assert_eq!([&json["last-column-id"], &json["current-schema-id"]], [8, 0]);
    let spec = json!([{"spec-id": 0, "fields": [
        {"source-id": 4, "field-id": 1000, "name": "bucket", "transform": "bucket[16]"}]}]);
    assert_eq!(json["partition-specs"], spec);
    assert_eq!([&json["last-partition-id"], &json["default-spec-id"]], [1000, 0]);
    assert_eq!(json["sort-orders"][0]["fields"][0]["source-id"], 5);
    assert_eq!([&json["default-sort-order-id"], &json["sort-orders"][0]["order-id"]], [1, 1]);
    assert_eq!(json["properties"], json!({"a": "b"}));
    assert_eq!([&json["last-updated-ms"], &json["last-sequence-number"]], [1000, 0]);
    assert_eq!(json.get("current-snapshot-id"), None);
}

#[test]
fn a_new_table_has_the_version_of_the_format_that_it_asks_for() {
    for version in ["1", "2", "3"] {
        let mut request = request();
        request["properties"]["format-version"] = version.into();
        let table = made(&request);
        assert_eq!(table.format_version().to_string(), version);
        assert_eq!(table.json().get("next-row-id").is_some(), version == "3");
        assert_eq!(table.json().get("schema").is_some(), version == "1");
        assert_eq!(Metadata::parse(&table.to_bytes()).unwrap().json(), table.json());
    }
}

#[test]
fn what_is_no_table_is_refused_and_says_why() {
    let cases = [
        ("/schema/fields/0/type", json!("money"), "unknown type 'money'"),
        ("/schema/fields/1/id", json!(10), "the same id 10"),
        ("/schema/fields/1/name", json!("who"), "two fields 'who'"),
        ("/schema/fields/3/type", json!("timestamp_ns"), "takes format version 3"),
        ("/schema/identifier-field-ids", json!([99]), "identifier's id 99"),
        ("/partition-spec/fields/0/source-id", json!(99), "no column has the id 99"),
        ("/write-order/fields/0/direction", json!("up"), "'asc' or 'desc'"),
        ("/properties/format-version", json!("4"), "none of 1, 2 and 3"),
        ("/properties/a", json!(1), "not a string"),
        ("/name", json!(null), "no 'name'"),
        ("/schema", json!(null), "no 'schema'"),
    ];
    for (path, value, says) in cases {
        let mut request = request();
        *request.pointer_mut(path).unwrap() = value;
        let made = CreateTable::from_json(&request)
            .and_then(|request| create(&request, UUID, "file:///lake/orders", 1000));
        let error = made.unwrap_err();
        assert!(error.message().contains(says), "{path}: {error}");
    }
}

#[test]
fn a_staged_table_is_made_by_the_updates_of_its_commit() {
    let staged = made(&request());
    let json = staged.json();
    let commit = json!({"requirements": [{"type": "assert-create"}], "updates": [
        {"action": "assign-uuid", "uuid": json["table-uuid"]},
        {"action": "upgrade-format-version", "format-version": 2},
        {"action": "add-schema", "schema": json["schemas"][0], "last-column-id": 8},
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": json["partition-specs"][0]},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": json["sort-orders"][0]},
        {"action": "set-default-sort-order", "sort-order-id": -1},
        {"action": "set-location", "location": json["location"]},
        {"action": "set-properties", "updates": json["properties"]},
    ]});
    let commit = Commit::from_json(&commit).unwrap();
    assert_eq!(commit.apply(None, 1000, None).unwrap().json(), json);
    assert!(commit.apply(Some(&staged), 1000, None).is_err(), "there is one already");
}
