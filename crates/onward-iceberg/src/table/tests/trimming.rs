//! Snapshots that go because nothing needs them, and those that stay.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Memory, append, commit, scan};
use super::fixture::newest;
use crate::table::{Commit, Lists, Metadata, Moment, Waiting, land};

fn after(head: &Metadata, commits: &[Value], files: &Memory, now_ms: i64) -> Metadata {
    let commits: Vec<Commit> = commits.iter().map(commit).collect();
    let waiting: Vec<_> = commits
        .iter()
        .map(|commit| Waiting { commit, commutes: Some(true), ahead: None })
        .collect();
    let unique = Uuid::from_u128(now_ms.unsigned_abs().into());
    let head_location = "file:///lake/t/metadata/head.json";
    let moment = Moment { now_ms, head_location, unique, lists: &Lists::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let landing = runtime.block_on(land(head, &waiting, &moment, files));
    assert!(landing.results.iter().all(Result::is_ok), "{:?}", landing.results);
    landing.metadata.unwrap()
}

fn set(properties: Value) -> Value {
    json!({"updates": [{"action": "set-properties", "updates": properties}]})
}

fn ids(table: &Metadata) -> Vec<i64> {
    table.snapshot_ids().collect()
}

/// A table whose snapshots are all older than a second, and the time now.
fn old() -> (Metadata, Memory, i64) {
    let table = newest("plain");
    let now_ms = table.last_updated_ms() + 1000;
    (table, Memory::new(), now_ms)
}

const TRIMMED: [(&str, &str); 3] = [
    ("onward.expire-snapshots", "true"),
    ("history.expire.max-snapshot-age-ms", "100"),
    ("history.expire.min-snapshots-to-keep", "2"),
];

fn trimmed() -> Value {
    set(TRIMMED.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect())
}

#[test]
fn snapshots_that_nothing_needs_go_and_branches_tags_and_the_newest_stay() {
    let (base, files, now) = old();
    let all = ids(&base);
    let tag = json!({"updates": [{"action": "set-snapshot-ref", "ref-name": "then", "type": "tag",
        "snapshot-id": all[0]}]});
    let [.., before_last, last] = all[..] else { panic!("{all:?}") };
    let table = after(&base, &[tag, trimmed()], &files, now);
    assert_eq!(ids(&table), [all[0], before_last, last]);
    // New ones stay in the commit that brings them, however many they are.
    let news: Vec<Value> = (1..=4).map(|id| append(&table, &files, id, 1)).collect();
    let rows = scan(&table, &files, last).1;
    let table = after(&table, &news, &files, now + 1000);
    assert_eq!(ids(&table), [all[0], 1, 2, 3, 4]);
    assert_eq!(scan(&table, &files, 4).1, rows + 4, "rows stay");
    // They are old by then, and the newest one is two with its parent.
    let next = append(&table, &files, 5, 1);
    let table = after(&table, &[next], &files, now + 2000);
    assert_eq!(ids(&table), [all[0], 4, 5]);
    // Those that are young stay as well.
    let older = set(json!({"history.expire.max-snapshot-age-ms": "100000000"}));
    let next = append(&table, &files, 6, 1);
    let table = after(&table, &[older, next], &files, now + 3000);
    let next = append(&table, &files, 7, 1);
    let table = after(&table, &[next], &files, now + 4000);
    assert_eq!(ids(&table), [all[0], 4, 5, 6, 7]);
    let log = table.json()["snapshot-log"].as_array().unwrap();
    let is_there = |line: &Value| ids(&table).contains(&line["snapshot-id"].as_i64().unwrap());
    assert!(log.iter().all(is_there), "{log:?}");
}

#[test]
fn a_branch_keeps_what_it_says_itself() {
    let (base, files, now) = old();
    let all = ids(&base);
    let branch = json!({"updates": [{"action": "set-snapshot-ref", "ref-name": "audit",
        "type": "branch", "snapshot-id": all[2], "min-snapshots-to-keep": 3}]});
    let table = after(&base, &[branch, trimmed()], &files, now);
    let kept = ids(&table);
    assert!(all[..3].iter().all(|id| kept.contains(id)), "{kept:?} of {all:?}");
    assert!(kept.ends_with(&all[all.len() - 2..]));
    let branch = json!({"updates": [{"action": "remove-snapshot-ref", "ref-name": "audit"}]});
    let table = after(&table, &[branch], &files, now + 1);
    // The first one has a tag.
    let gone = &all[1..all.len() - 2];
    assert!(ids(&table).iter().all(|id| !gone.contains(id)), "{:?}", ids(&table));
}

#[test]
fn a_branch_keeps_its_head_whatever_number_is_said() {
    let (base, files, now) = old();
    let head = base.current_snapshot_id().unwrap();
    for least in ["0", "-1"] {
        let trims = set(json!({"onward.expire-snapshots": "true",
            "history.expire.max-snapshot-age-ms": "100",
            "history.expire.min-snapshots-to-keep": least}));
        let table = after(&base, &[trims], &files, now);
        assert_eq!(table.current_snapshot_id(), Some(head), "{least}");
        assert_eq!(table.reference("main").unwrap().snapshot_id, head, "{least}");
    }
}

#[test]
fn a_commit_begins_on_what_a_table_still_has() {
    let (base, files, now) = old();
    let all = ids(&base);
    let begins = |parent: Option<i64>, branch: Option<&str>, table: &Metadata| {
        let mut snapshot = json!({"snapshot-id": 77, "timestamp-ms": 1,
            "manifest-list": "file:///lake/t/metadata/l.avro", "summary": {"operation": "append"}});
        if let Some(parent) = parent {
            snapshot["parent-snapshot-id"] = json!(parent);
        }
        let mut updates = vec![json!({"action": "add-snapshot", "snapshot": snapshot})];
        updates.extend(branch.map(|name| {
            json!({"action": "set-snapshot-ref", "ref-name": name, "type": "branch",
                "snapshot-id": 77})
        }));
        commit(&json!({"requirements": [], "updates": updates})).begins_on(table)
    };
    let (gone, head) = (Some(all[1]), base.current_snapshot_id());
    let table = after(&base, &[trimmed()], &files, now);
    for (parent, branch, before, behind) in [
        (head, Some("main"), true, true),
        (gone, Some("main"), true, false),
        // The first append of the table, sent again: only the whole line says that it is not in there.
        (None, Some("main"), true, false),
        // Of no branch that is there.
        (head, None, true, true),
        (head, Some("new"), true, true),
        (gone, None, true, false),
        (None, Some("new"), false, false),
    ] {
        assert_eq!(begins(parent, branch, &base), before, "{parent:?} {branch:?}");
        assert_eq!(begins(parent, branch, &table), behind, "{parent:?} {branch:?}, trimmed");
    }
}

#[test]
fn a_commit_to_two_branches_begins_on_each_where_that_leads() {
    let (base, files, now) = old();
    let all = ids(&base);
    let head = *all.last().unwrap();
    let branch = json!({"updates": [{"action": "set-snapshot-ref", "ref-name": "dev",
        "type": "branch", "snapshot-id": head}]});
    let both = |parent: i64| {
        let snapshot = |id: i64, parent: i64| {
            json!({"action": "add-snapshot", "snapshot": {"snapshot-id": id, "timestamp-ms": 1,
                "parent-snapshot-id": parent, "manifest-list": "file:///lake/t/metadata/l.avro",
                "summary": {"operation": "append"}}})
        };
        let moved = |name: &str, id: i64| {
            json!({"action": "set-snapshot-ref", "ref-name": name, "type": "branch",
                "snapshot-id": id})
        };
        commit(&json!({"updates": [snapshot(71, head), moved("main", 71),
            snapshot(72, parent), snapshot(73, 72), moved("dev", 73)]}))
    };
    let table = after(&base, &[branch], &files, now);
    assert!(both(head).begins_on(&table) && both(all[1]).begins_on(&table));
    let table = after(&table, &[trimmed()], &files, now);
    assert!(both(head).begins_on(&table));
    assert!(!both(all[1]).begins_on(&table), "dev may have had it");
    assert_eq!(both(all[1]).bases().collect::<Vec<_>>(), [head, all[1]]);
}

#[test]
fn a_branch_that_is_moved_keeps_how_long_it_is_kept() {
    let (base, files, now) = old();
    let all = ids(&base);
    let head = *all.last().unwrap();
    let says = |id: i64| {
        json!({"updates": [{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
            "snapshot-id": id, "min-snapshots-to-keep": all.len()}]})
    };
    // A client that leaves the numbers out when it appends, as PyIceberg does.
    let grown = after(&base, &[says(head)], &files, now);
    let grown = after(&grown, &[append(&grown, &files, 77, 1)], &files, now);
    assert_eq!(grown.json()["refs"]["main"]["min-snapshots-to-keep"], all.len());
    let kept = ids(&after(&grown, &[trimmed()], &files, now + 1000));
    assert!(all[1..].iter().all(|id| kept.contains(id)), "{kept:?} of {all:?}");
    // Who names the branch where it stands takes them back.
    let silent = json!({"updates": [{"action": "set-snapshot-ref", "ref-name": "main",
        "type": "branch", "snapshot-id": 77}]});
    let bare = after(&grown, &[silent], &files, now + 1000);
    assert!(bare.json()["refs"]["main"].get("min-snapshots-to-keep").is_none());
}

#[test]
fn what_others_may_land_ends_at_a_snapshot_of_its_own() {
    let moves = |to: i64| {
        commit(&json!({
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 1}],
            "updates": [
                {"action": "add-snapshot", "snapshot": {"snapshot-id": 2, "timestamp-ms": 1,
                    "parent-snapshot-id": 1, "manifest-list": "file:///lake/t/metadata/l.avro",
                    "summary": {"operation": "append"}}},
                {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                    "snapshot-id": to}]}))
    };
    assert!(moves(2).is_appends());
    assert!(!moves(1).is_plain() && !moves(1).is_appends());
}

#[test]
fn a_table_that_does_not_ask_or_says_no_number_keeps_all() {
    let (base, files, now) = old();
    for (key, value) in [
        ("onward.expire-snapshots", "no"),
        ("history.expire.max-snapshot-age-ms", "a week"),
        ("history.expire.min-snapshots-to-keep", ""),
    ] {
        let table = after(&base, &[trimmed(), set(json!({key: value}))], &files, now);
        assert_eq!(ids(&table), ids(&base), "{key}");
    }
}
