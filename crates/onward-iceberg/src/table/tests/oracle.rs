//! What PyIceberg made of a commit, we make of it too.

use serde_json::{Value, json};

use super::fixture::{TABLES, versions};
use crate::table::{Commit, Metadata};

#[test]
fn metadata_of_pyiceberg_is_read_and_written_again_without_a_loss() {
    for table in TABLES {
        for written in versions(table) {
            let read = Metadata::from_json(written.clone()).unwrap();
            let again = Metadata::parse(&read.to_bytes()).unwrap();
            assert_eq!(read.json(), again.json());
            for (key, value) in written.as_object().unwrap() {
                let none = key == "current-snapshot-id" && value == &json!(-1);
                assert!(none || value.is_null() || &read.json()[key] == value, "{table}: {key}");
            }
        }
    }
}

/// The updates that lead from one metadata to the next, as its client would have sent them.
fn sent(before: &Value, after: &Value) -> Value {
    let known = |snapshot: &Value| {
        let all = before["snapshots"].as_array().unwrap();
        all.iter().any(|one| one["snapshot-id"] == snapshot["snapshot-id"])
    };
    let mut updates = Vec::new();
    for snapshot in after["snapshots"].as_array().unwrap().iter().filter(|one| !known(one)) {
        updates.push(json!({"action": "add-snapshot", "snapshot": snapshot}));
    }
    for (name, reference) in after["refs"].as_object().unwrap() {
        if before["refs"].get(name) != Some(reference) {
            let mut update = reference.clone();
            update["action"] = "set-snapshot-ref".into();
            update["ref-name"] = name.as_str().into();
            updates.push(update);
        }
    }
    if before["properties"] != after["properties"] {
        updates.push(json!({"action": "set-properties", "updates": after["properties"]}));
    }
    json!({"requirements": [{"type": "assert-table-uuid", "uuid": before["table-uuid"]}],
           "updates": updates})
}

#[test]
fn commits_lead_from_each_metadata_of_pyiceberg_to_its_next() {
    let mut steps = 0;
    for table in TABLES {
        let all = versions(table);
        for (before, after) in all.iter().zip(&all[1..]) {
            let base = Metadata::from_json(before.clone()).unwrap();
            let commit = Commit::from_json(&sent(before, after)).unwrap();
            let now = after["last-updated-ms"].as_i64().unwrap();
            let place = after["metadata-log"].as_array().unwrap().last().unwrap();
            let place = place["metadata-file"].as_str();
            let made = commit.apply(Some(&base), now, place).unwrap();
            let expected = Metadata::from_json(after.clone()).unwrap();
            let mut expected = expected.json().clone();
            // Of a lone schema and spec PyIceberg writes less than the reference implementation.
            expected["schema"] = made.json()["schema"].clone();
            expected["partition-spec"] = made.json()["partition-spec"].clone();
            let mut found = made.json().clone();
            found["schema"] = expected["schema"].clone();
            found["partition-spec"] = expected["partition-spec"].clone();
            assert_eq!(without_nulls(found), without_nulls(expected), "{table}");
            steps += 1;
        }
    }
    assert!(steps > 15);
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let all = all.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(all.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(all) => all.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
