//! Metadata and updates of strangers: refused, or as sound as what we write ourselves.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{TABLES, newest, versions};
use crate::table::avro::container;
use crate::table::avro::list::List;
use crate::table::avro::manifest::Manifest;
use crate::table::{Commit, Metadata};

#[test]
fn metadata_that_is_not_consistent_is_refused_and_says_why() {
    let cases = [
        ("/format-version", json!(4), "1, 2 and 3"),
        ("/table-uuid", json!("x"), "no uuid"),
        ("/location", json!(""), "'location' is empty"),
        ("/current-schema-id", json!(9), "'current-schema-id' 9"),
        ("/default-spec-id", json!(9), "'default-spec-id' 9"),
        ("/default-sort-order-id", json!(9), "'default-sort-order-id' 9"),
        ("/last-column-id", json!(1), "above 'last-column-id'"),
        ("/last-partition-id", json!(999), "above 'last-partition-id'"),
        ("/last-sequence-number", json!(1), "above the last"),
        ("/current-snapshot-id", json!(5), "not what 'main' names"),
        ("/current-snapshot-id", json!(null), "not what 'main' names"),
        ("/refs/main/snapshot-id", json!(5), "names a snapshot that is not there"),
        ("/refs/main/type", json!("tag"), "a tag 'main'"),
        ("/snapshots/1/manifest-list", json!(null), "no 'manifest-list'"),
        ("/snapshots/1/summary", json!({}), "append, replace, overwrite or delete"),
        ("/snapshots/1/snapshot-id", json!(-5), "not negative"),
        ("/snapshot-log/0/timestamp-ms", json!(i64::MAX), "not in order of time"),
        ("/last-updated-ms", json!(5), "is before"),
        ("/schemas/0/fields/0/type", json!("money"), "unknown type"),
        ("/properties", json!([]), "not an object"),
    ];
    for (path, value, says) in cases {
        let mut json = newest("v2").json().clone();
        *json.pointer_mut(path).unwrap() = value;
        let error = Metadata::from_json(json).unwrap_err();
        assert!(error.message().contains(says), "{path}: {error}");
    }
    let mut twice = newest("v2").json().clone();
    let first = twice["snapshots"][0].clone();
    twice["snapshots"].as_array_mut().unwrap().push(first);
    assert!(Metadata::from_json(twice).unwrap_err().message().contains("there twice"));
}

/// A place in JSON, chosen by numbers, and what is put there.
fn change(json: &mut Value, choices: &[u8], put: Value) {
    let mut at = json;
    for choice in choices {
        let many = match at {
            Value::Array(all) => all.len(),
            Value::Object(all) => all.len(),
            _ => 0,
        };
        if many == 0 {
            break;
        }
        let nth = usize::from(*choice) % many;
        at = match at {
            Value::Array(all) => &mut all[nth],
            Value::Object(all) => all.iter_mut().nth(nth).unwrap().1,
            _ => unreachable!(),
        };
    }
    *at = put;
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        (-1i64..5).prop_map(Value::from),
        "[a-z]{0,5}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{}])),
        Just(json!(1.5)),
    ]
}

fn changes() -> impl Strategy<Value = Vec<(Vec<u8>, Value)>> {
    let one = (prop::collection::vec(any::<u8>(), 1..6), anything());
    prop::collection::vec(one, 1..4)
}

/// A container whose block has as many records as it says, in no bytes.
fn claiming(schema: &str, records: i64) -> Bytes {
    let mut header = container::Header::new();
    header.insert(container::SCHEMA.to_owned(), schema.to_owned().into());
    let block =
        container::Block { records: usize::try_from(records).unwrap(), packed: Bytes::new() };
    container::write(&header, std::iter::once(&block), [1; 16])
}

#[test]
fn avro_that_claims_more_than_it_has_is_refused_before_it_is_read() {
    let of_nothing = r#"{"type":"record","name":"r","fields":[]}"#;
    for records in [1, 1 << 19, i64::MAX] {
        assert!(List::read(&claiming(of_nothing, records), 2).is_err(), "{records}");
        assert!(Manifest::read(&claiming(of_nothing, records)).is_err(), "{records}");
    }
    let one = |kind: &str| {
        format!(
            r#"{{"type":"record","name":"r","fields":[{{"name":"a","field-id":0,"type":{kind}}}]}}"#
        )
    };
    let greedy = [
        one(r#"{"type":"array","items":"null"}"#),
        one(r#"{"type":"fixed","name":"f","size":1000000000000}"#),
        one(r#"["null","r"]"#),
        one(r#"{"type":"record","name":"s","fields":[{"name":"b","type":"boolean"},
            {"name":"n","type":"null"},{"name":"m","type":"null"}]}"#),
    ];
    for schema in greedy {
        let error = Manifest::read(&claiming(&schema, 0)).unwrap_err().to_string();
        assert!(error.contains("repeats itself"), "{schema}: {error}");
    }
}

proptest! {
    #[test]
    fn damaged_avro_is_refused_or_read_without_harm(
        nth in 0usize..100, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let all: Vec<(String, Vec<u8>)> = super::fixture::files().collect();
        let (_, mut bytes) = all[nth % all.len()].clone();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if cut {
            bytes.truncate(place);
        }
        let bytes = Bytes::from(bytes);
        if let Ok(list) = List::read(&bytes, 2) {
            prop_assert!(list.entries().len() < 1000);
        }
        if let Ok(manifest) = Manifest::read(&bytes) {
            prop_assert!(manifest.entries.len() < 1000);
        }
    }

    #[test]
    fn changed_metadata_is_refused_or_sound(table in 0usize..4, changes in changes()) {
        let mut json = versions(TABLES[table]).pop().unwrap();
        for (choices, put) in changes {
            change(&mut json, &choices, put);
        }
        if let Ok(read) = Metadata::from_json(json) {
            let again = Metadata::parse(&read.to_bytes()).unwrap();
            prop_assert_eq!(again.json(), read.json());
        }
    }

    #[test]
    fn changed_commits_are_refused_or_make_sound_metadata(table in 0usize..4, changes in changes()) {
        let base = newest(TABLES[table]);
        let mut snapshot = base.json()["snapshots"][0].clone();
        snapshot["snapshot-id"] = 77.into();
        snapshot["sequence-number"] = (base.last_sequence_number() + 1).into();
        let mut commit = json!({"requirements": [], "updates": [
            {"action": "add-schema", "schema": base.json()["schemas"][0]},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "add-spec", "spec": base.json()["partition-specs"][0]},
            {"action": "add-snapshot", "snapshot": snapshot},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 77},
            {"action": "remove-snapshots", "snapshot-ids": [base.json()["snapshots"][1]["snapshot-id"]]},
            {"action": "upgrade-format-version", "format-version": 2},
            {"action": "set-location", "location": "file:///elsewhere"},
        ]});
        for (choices, put) in changes {
            change(&mut commit, &choices, put);
        }
        let made = Commit::from_json(&commit).ok().and_then(|c| c.apply(Some(&base), 1, None).ok());
        if let Some(made) = made {
            let again = Metadata::parse(&made.to_bytes()).unwrap();
            prop_assert_eq!(again.json(), made.json());
            prop_assert!(made.last_updated_ms() >= base.last_updated_ms());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_sound(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Metadata::parse(&bytes).is_err());
    }
}
