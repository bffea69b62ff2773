//! What changed between two states of a table, in words and numbers.

use serde_json::{Value, json};

use super::client::{Memory, append, commit};
use super::fixture::{TABLES, versions};
use super::rebasing::of_version;
use crate::table::{Metadata, describe};

fn changed(table: &Metadata, json: &Value) -> Metadata {
    commit(json).apply(Some(table), table.last_updated_ms() + 1, None).unwrap()
}

fn updated(table: &Metadata, updates: Value) -> Metadata {
    changed(table, &json!({"updates": updates}))
}

#[test]
fn what_changed_is_told_in_numbers_and_words() {
    let files = Memory::new();
    let base = of_version(2);
    let grown =
        [1, 2].iter().fold(base.clone(), |at, id| changed(&at, &append(&at, &files, *id, 10 * id)));
    let mut schema = grown.json()["schemas"][0].clone();
    let fields = schema["fields"].as_array_mut().unwrap();
    let last = grown.json()["last-column-id"].as_i64().unwrap();
    let dropped = fields.pop().unwrap()["name"].as_str().unwrap().to_owned();
    let renamed = fields[0]["name"].as_str().unwrap().to_owned();
    fields[0]["name"] = "other".into();
    let inner = json!({"type": "list", "element-id": last + 2, "element": "long", "element-required": true});
    fields.push(json!({"id": last + 1, "name": "many", "type": inner, "required": false}));
    let after = updated(
        &grown,
        json!([
            {"action": "add-schema", "schema": schema},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "set-properties", "updates": {"owner": "me"}},
            {"action": "set-snapshot-ref", "ref-name": "v1", "type": "tag", "snapshot-id": 1},
        ]),
    );
    let told = describe(Some(&base), Some(&after));
    assert_eq!(told.head, (base.current_snapshot_id(), Some(2)));
    assert_eq!((told.rows.added, told.rows.removed), (Some(30), Some(0)));
    assert_eq!((told.files.added, told.files.removed), (Some(2), Some(0)));
    let rows = told.rows.before.unwrap();
    assert_eq!(told.rows.after, Some(rows + 30));
    assert_eq!(told.snapshots.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2]);
    assert!(!told.is_rolled_back);
    let lines = told.lines();
    for line in [
        "snapshots: 2 append, now at 2".to_owned(),
        format!("rows: +30 = {}", rows + 30),
        format!("column '{renamed}' renamed to 'other'"),
        "column 'many' added: list".to_owned(),
        "column 'many.element' added: long, required".to_owned(),
        format!("column '{dropped}' dropped"),
        "property 'owner' set to 'me'".to_owned(),
        "branch or tag 'v1' set to 1".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    let json = told.to_json();
    assert_eq!(
        json["rows"],
        json!({"before": rows, "after": rows + 30, "added": 30, "removed": 0})
    );
    assert_eq!((&json["snapshots_total"], &json["operations"]), (&json!(2), &json!({"append": 2})));
}

#[test]
fn nothing_changed_is_nothing_told_and_going_back_is_said() {
    let files = Memory::new();
    let base = of_version(2);
    assert_eq!(describe(Some(&base), Some(&base)).lines(), [] as [&str; 0]);
    assert_eq!(describe(None, None).lines(), [] as [&str; 0]);
    let grown = changed(&base, &append(&base, &files, 1, 7));
    let back = describe(Some(&grown), Some(&base));
    assert!(back.is_rolled_back);
    assert!(back.lines().contains(&format!("rows: -7 = {}", back.rows.after.unwrap())), "{back:?}");
    assert!(!describe(Some(&base), Some(&grown)).is_rolled_back);
    // Made, and dropped.
    assert_eq!(describe(None, Some(&grown)).rows.after, back.rows.before);
    assert_eq!(describe(Some(&grown), None).rows.before, back.rows.before);
    // A writer who leaves counts out of his summary: nothing is invented.
    let mut silent = append(&base, &files, 2, 7);
    silent["updates"][0]["snapshot"]["summary"] = json!({"operation": "append"});
    let told = describe(Some(&base), Some(&changed(&base, &silent)));
    assert_eq!((told.rows.added, told.rows.after), (None, None));
    assert_eq!(told.lines(), ["snapshots: 1 append, now at 2"]);
}

#[test]
fn rows_that_came_below_the_former_head_by_a_merge_are_told() {
    let files = Memory::new();
    let base = of_version(2);
    let add = |to: &Metadata, id: i64| changed(to, &append(to, &files, id, 10 * id));
    let before = add(&base, 7);
    let after = add(&add(&base, 5), 7);
    let told = describe(Some(&before), Some(&after));
    assert!(!told.is_rolled_back);
    assert_eq!(told.snapshots.iter().map(|one| one.id).collect::<Vec<_>>(), [5]);
    let rows = told.rows.after.unwrap();
    assert!(told.lines().contains(&format!("rows: +50 = {rows}")), "{:?}", told.lines());
}

#[test]
fn a_table_whose_former_head_is_expired_is_not_told_as_rolled_back() {
    let files = Memory::new();
    let base = of_version(2);
    let add = |to: &Metadata, id: i64| changed(to, &append(to, &files, id, 10 * id));
    let trimmed = |table: &Metadata| {
        let head = table.current_snapshot_id().unwrap();
        let gone: Vec<i64> = table.snapshot_ids().filter(|id| *id != head).collect();
        updated(table, json!([{"action": "remove-snapshots", "snapshot-ids": gone}]))
    };
    let before = add(&base, 1);
    let next = trimmed(&add(&before, 2));
    let told = describe(Some(&before), Some(&next));
    assert!(!told.is_rolled_back);
    assert_eq!((told.rows.added, told.rows.removed), (Some(20), Some(0)));
    // Of what came in between nobody knows more than the sum.
    let later = trimmed(&add(&next, 3));
    let told = describe(Some(&before), Some(&later));
    assert!(!told.is_rolled_back);
    assert_eq!((told.rows.added, told.rows.removed), (None, None));
    let rows = told.rows.after.unwrap();
    assert!(told.lines().contains(&format!("rows: +50 = {rows}")), "{:?}", told.lines());
    assert_eq!(describe(None, Some(&later)).rows.added, None);
    // Back to what is there behind the former head.
    assert!(describe(Some(&add(&later, 4)), Some(&later)).is_rolled_back);
}

#[test]
fn tables_of_pyiceberg_are_told_from_one_version_to_the_next() {
    for table in TABLES {
        let all: Vec<Metadata> =
            versions(table).into_iter().map(|json| Metadata::from_json(json).unwrap()).collect();
        for pair in all.windows(2) {
            let told = describe(Some(&pair[0]), Some(&pair[1]));
            let sum = |of: &crate::table::Counted| Some(of.before? + of.added? - of.removed?);
            if !told.is_rolled_back {
                assert_eq!(sum(&told.rows), told.rows.after, "{table}: {told:?}");
                assert_eq!(sum(&told.files), told.files.after, "{table}: {told:?}");
            }
        }
    }
}

#[test]
fn totals_that_a_client_made_up_are_told_as_they_are() {
    let files = Memory::new();
    let base = of_version(2);
    let grown = changed(&base, &append(&base, &files, 1, 1));
    let saying = |table: &Metadata, total: i64| {
        let mut json = table.json().clone();
        for snapshot in json["snapshots"].as_array_mut().unwrap() {
            snapshot["summary"] =
                json!({"operation": "append", "total-records": total.to_string()});
        }
        Metadata::from_json(json).unwrap()
    };
    let told = describe(Some(&saying(&base, i64::MIN)), Some(&saying(&grown, i64::MAX))).lines();
    assert!(told.contains(&format!("rows: +{0} = {0}", i64::MAX)), "{told:?}");
}
