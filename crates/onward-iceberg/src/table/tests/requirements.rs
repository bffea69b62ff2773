//! What a commit asserts.

use serde_json::{Value, json};

use super::fixture::newest;
use crate::table::{Commit, Requirement};

#[test]
fn every_requirement_holds_for_what_is_and_fails_for_what_is_not() {
    let table = newest("v2");
    let json = table.json();
    let tag = json["refs"]["first"]["snapshot-id"].as_i64().unwrap();
    let cases = [
        ("assert-table-uuid", "uuid", json["table-uuid"].clone(), json!("no")),
        ("assert-last-assigned-field-id", "last-assigned-field-id", json!(3), json!(4)),
        ("assert-current-schema-id", "current-schema-id", json!(0), json!(1)),
        (
            "assert-last-assigned-partition-id",
            "last-assigned-partition-id",
            json!(1000),
            json!(999),
        ),
        ("assert-default-spec-id", "default-spec-id", json!(0), json!(1)),
        ("assert-default-sort-order-id", "default-sort-order-id", json!(0), json!(1)),
    ];
    let read = |value: Value| Requirement::from_json(&value).unwrap();
    for (kind, key, holds, fails) in cases {
        assert_eq!(read(json!({"type": kind, key: holds})).check(Some(&table)), Ok(()), "{kind}");
        let other = read(json!({"type": kind, key: fails}));
        assert!(other.check(Some(&table)).is_err(), "{kind}");
        assert!(other.check(None).is_err(), "{kind}");
        assert!(Requirement::from_json(&json!({"type": kind})).is_err(), "{kind}");
    }
    let at = |name: &str, id: Option<i64>| {
        read(json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": id}))
    };
    assert_eq!(at("first", Some(tag)).check(Some(&table)), Ok(()));
    assert_eq!(at("none", None).check(Some(&table)), Ok(()));
    assert_eq!(at("none", None).check(None), Ok(()));
    for fails in
        [at("first", Some(1)), at("main", Some(tag)), at("main", None), at("none", Some(1))]
    {
        assert!(fails.check(Some(&table)).unwrap_err().message().contains("branch or tag"));
    }
    assert_eq!(read(json!({"type": "assert-create"})).check(None), Ok(()));
    assert!(read(json!({"type": "assert-create"})).check(Some(&table)).is_err());
}

#[test]
fn what_is_unknown_is_refused_by_its_name() {
    let unknown = [
        (json!({"requirements": [{"type": "assert-luck"}]}), "unknown requirement 'assert-luck'"),
        (json!({"updates": [{"action": "hope"}]}), "unknown update 'hope'"),
        (json!({"updates": [{"action": "add-view-version"}]}), "is of a view"),
        (json!({"updates": [{"action": "add-schema"}]}), "add-schema has no 'schema'"),
        (json!({"updates": [{"action": "set-properties", "updates": {"a": 1}}]}), "not a string"),
        (json!({"updates": vec![json!({}); 10_001]}), "at most 10000"),
        (json!([]), "no object"),
    ];
    for (request, says) in unknown {
        let error = Commit::from_json(&request).unwrap_err();
        assert!(error.message().contains(says), "{error}");
    }
}
