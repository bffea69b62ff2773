//! Stale appends that land: every file once, in every order.

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Memory, append, commit, entries, list_of, scan};
use super::fixture::{newest, versions};
use crate::table::avro::manifest::Manifest;
use crate::table::{Commit, How, Landing, Lists, Metadata, Moment, Refused, Waiting, land};

fn landed(head: &Metadata, commits: &[Commit], files: &Memory, now: u128) -> Landing {
    let waiting: Vec<Waiting<'_>> =
        commits.iter().map(|commit| Waiting { commit, commutes: None, ahead: None }).collect();
    let lists = Lists::default();
    let moment = Moment {
        now_ms: head.last_updated_ms() + 10,
        head_location: "file:///lake/t/metadata/head.json",
        unique: Uuid::from_u128(now),
        lists: &lists,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(land(head, &waiting, &moment, files))
}

fn all_landed(head: &Metadata, commits: &[Commit], files: &Memory, now: u128) -> Metadata {
    let landing = landed(head, commits, files, now);
    for result in &landing.results {
        assert!(matches!(result, Ok(How::AsAsked | How::Rebased)), "{result:?}");
    }
    landing.metadata.unwrap()
}

/// Why a stale commit was not rebased.
fn reason(head: &Metadata, stale: &Value, files: &Memory) -> String {
    let landing = landed(head, &[commit(stale)], files, 99);
    assert!(landing.metadata.is_none());
    match &landing.results[..] {
        [Err(Refused::Stale { not_rebasable, .. })] => not_rebasable.clone(),
        other => panic!("{other:?}"),
    }
}

/// The chain of snapshots behind the head is whole: sequence numbers rise, totals are those of a scan, and in
/// version 3 rows have ids of their own.
pub(super) fn check_chain(table: &Metadata, files: &Memory) {
    let mut at = table.current_snapshot_id();
    let mut last = i64::MAX;
    while let Some(id) = at {
        let snapshot = table.snapshot(id).unwrap();
        if table.format_version() > 1 {
            let sequence = snapshot["sequence-number"].as_i64().unwrap();
            assert!(sequence < last, "{sequence} and then {last}");
            last = sequence;
        }
        if snapshot["summary"]["operation"] == "append" {
            let (_, rows) = scan(table, files, id);
            assert_eq!(snapshot["summary"]["total-records"], rows.to_string(), "{id}");
        }
        at = snapshot["parent-snapshot-id"].as_i64();
    }
    check_rows(table, files);
}

pub(super) fn check_rows(table: &Metadata, files: &Memory) {
    if table.format_version() > 2 {
        let head = entries(table, files, table.current_snapshot_id().unwrap());
        let mut spans: Vec<(i64, i64)> = head
            .iter()
            .map(|one| {
                (one.first_row_id.unwrap(), one.rows.added.unwrap() + one.rows.existing.unwrap())
            })
            .collect();
        spans.sort_unstable();
        for pair in spans.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{spans:?}");
        }
        let end = spans.last().map(|(first, rows)| first + rows).unwrap();
        assert!(end <= table.json()["next-row-id"].as_i64().unwrap());
    }
}

pub(super) fn of_version(version: i64) -> Metadata {
    let table = newest(if version == 1 { "v1" } else { "plain" });
    let up = json!({"updates": [{"action": "upgrade-format-version", "format-version": version}]});
    commit(&up).apply(Some(&table), table.last_updated_ms(), None).unwrap()
}

#[test]
fn stale_appends_land_behind_each_other_in_every_version() {
    for version in 1..=3 {
        let files = Memory::new();
        let base = of_version(version);
        let stale: Vec<Commit> =
            (1..=5).map(|id| commit(&append(&base, &files, id, 10 * id))).collect();
        let before = scan(&base, &files, base.current_snapshot_id().unwrap());
        let made = all_landed(&base, &stale, &files, 1);
        let (found, rows) = scan(&made, &files, 5);
        assert_eq!(rows, before.1 + 150);
        assert_eq!(found.len(), before.0.len() + 5);
        assert!(found.values().all(|many| *many == 1), "{found:?}");
        assert_eq!(made.current_snapshot_id(), Some(5));
        assert_eq!(made.snapshot_ids().count(), base.snapshot_ids().count() + 5);
        let lines = |of: &Metadata| of.json()["metadata-log"].as_array().unwrap().len();
        assert_eq!(lines(&made), lines(&base) + 1);
        check_chain(&made, &files);
        let again = landed(&made, &stale, &files, 2);
        assert!(again.metadata.is_none());
        assert!(again.results.iter().all(|result| matches!(result, Ok(How::Known))));
    }
}

#[test]
fn appends_of_pyiceberg_land_on_what_others_did_meanwhile() {
    for table in ["v1", "v2", "plain", "merged"] {
        let all = versions(table);
        // The first appends of each: what came after the first, and after the second.
        let appended = |json: &Value| json["snapshots"].as_array().unwrap().len();
        for (before, after) in all.iter().zip(&all[1..]) {
            let many = appended(after);
            if many < 2 || many == appended(before) {
                continue;
            }
            let snapshot = after["snapshots"].as_array().unwrap().last().unwrap();
            if snapshot["summary"]["operation"] != "append" {
                continue;
            }
            let mut before = before.clone();
            before["properties"]["onward.appends"] = "commute".into();
            let base = Metadata::from_json(before).unwrap();
            let files = Memory::new();
            let other = all_landed(&base, &[commit(&append(&base, &files, 5, 7))], &files, 1);
            let id = snapshot["snapshot-id"].as_i64().unwrap();
            let stale = json!({
                "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main",
                    "snapshot-id": base.current_snapshot_id()}],
                "updates": [{"action": "add-snapshot", "snapshot": snapshot},
                    {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id}],
            });
            let made = all_landed(&other, &[commit(&stale)], &files, 2);
            check_chain(&made, &files);
            let client = Metadata::from_json(after.clone()).unwrap();
            let (mut expected, rows) = scan(&client, &files, id);
            expected.insert(format!("{}/data/5.parquet", base.location()), 1);
            assert_eq!(scan(&made, &files, id), (expected, rows + 7), "{table}");
        }
    }
}

#[test]
fn what_is_no_blind_append_is_not_rebased_and_says_why() {
    let files = Memory::new();
    let base = of_version(2);
    let head = all_landed(&base, &[commit(&append(&base, &files, 1, 1))], &files, 1);
    let change = |path: &str, value: Value| {
        let mut stale = append(&base, &files, 2, 1);
        *stale.pointer_mut(path).unwrap() = value;
        stale
    };
    let cases = [
        ("/updates/0/snapshot/summary/operation", json!("overwrite"), "no append"),
        ("/updates/0/snapshot/parent-snapshot-id", json!(77), "no chain"),
        ("/updates/0/snapshot/summary/added-records", json!("2"), "added-records is not 1"),
        ("/updates/0/snapshot/manifest-list", json!("file:///elsewhere/l.avro"), "not below"),
        (
            "/updates/0/snapshot/manifest-list",
            json!(format!("{}/../l.avro", base.location())),
            "not below",
        ),
        ("/updates/0/snapshot/schema-id", json!(4), "schema is not among"),
        ("/requirements/1/snapshot-id", json!(null), "asserts no snapshot"),
        (
            "/requirements/0",
            json!({"type": "assert-default-spec-id", "default-spec-id": 3}),
            "spec changed",
        ),
        ("/updates/1", json!({"action": "set-location", "location": "x"}), "updates besides"),
        ("/updates/1/ref-name", json!("other"), "branch or tag main changed"),
    ];
    for (path, value, says) in cases {
        let found = reason(&head, &change(path, value), &files);
        assert!(found.contains(says), "{path}: {found}");
    }
    for key in ["published-wap-id", "source-snapshot-id"] {
        let mut picked = append(&base, &files, 2, 1);
        picked["updates"][0]["snapshot"]["summary"][key] = "7".into();
        assert!(reason(&head, &picked, &files).contains("published"), "{key}");
    }
    let mut silent = append(&base, &files, 2, 1);
    silent["updates"][0]["snapshot"]["summary"] = json!({"operation": "append"});
    let list = base.snapshot(base.current_snapshot_id().unwrap()).unwrap()["manifest-list"].clone();
    silent["updates"][0]["snapshot"]["manifest-list"] = list;
    assert!(reason(&head, &silent, &files).contains("no manifest of its own"));
    let mut kafka = append(&base, &files, 2, 1);
    kafka["updates"][0]["snapshot"]["summary"]["kafka.connect.commit-id"] = "x".into();
    assert!(reason(&head, &kafka, &files).contains("Kafka Connect"));
    let stale = append(&base, &files, 2, 1);
    let mut serial = head.json().clone();
    serial["properties"] = json!({});
    let serial = Metadata::from_json(serial).unwrap();
    assert!(reason(&serial, &stale, &files).contains("onward.appends=commute"));
    let place = format!("{}/metadata/snap-2-0.avro", base.location());
    files.put(&place, "Obj\u{1}nonsense".into());
    assert!(!reason(&head, &stale, &files).is_empty());
    files.remove(&place);
    assert!(reason(&head, &stale, &files).contains("snap-2-0.avro"));
}

#[test]
fn a_commit_that_fails_leaves_nothing_of_itself_among_those_that_land() {
    let files = Memory::new();
    let base = of_version(2);
    let mut wrong = append(&base, &files, 2, 1);
    let last = json!({"action": "set-current-schema", "schema-id": 9});
    wrong["updates"].as_array_mut().unwrap().push(last);
    let commits = [append(&base, &files, 1, 1), wrong, append(&base, &files, 3, 1)];
    let landing = landed(&base, &commits.map(|json| commit(&json)), &files, 1);
    let landed: Vec<bool> = landing.results.iter().map(Result::is_ok).collect();
    assert_eq!(landed, [true, false, true]);
    let made = landing.metadata.unwrap();
    assert!(made.snapshot(2).is_none());
    assert_eq!(made.snapshot(3).unwrap()["parent-snapshot-id"], 1);
    check_chain(&made, &files);
}

#[test]
fn those_behind_one_that_makes_no_metadata_are_not_told_that_they_landed() {
    let files = Memory::new();
    let base = of_version(1);
    let first = append(&base, &files, 1, 1);
    let third = append(&base, &files, 3, 1);
    // Its number is nothing in version 1, and above the last in version 2.
    let mut numbered = append(&base, &files, 9, 1)["updates"][0].clone();
    numbered["snapshot"]["sequence-number"] = 7.into();
    let up = json!({"action": "upgrade-format-version", "format-version": 2});
    let numbered = json!({"updates": [numbered, up]});
    let commits = [&first, &numbered, &third, &third].map(commit);
    let landing = landed(&base, &commits, &files, 1);
    let (first, rest) = landing.results.split_first().unwrap();
    assert!(matches!(first, Ok(How::AsAsked)));
    assert!(
        matches!(rest, [Err(Refused::Invalid(_)), Err(Refused::Unavailable(_)), Ok(How::Known)]),
        "{rest:?}"
    );
    let stands = commits.map(|commit| landing.has(&commit, &base));
    assert_eq!(stands, [true, false, false, false], "the twin of one that did not land");
    check_chain(&landing.metadata.unwrap(), &files);
}

#[test]
fn chains_of_snapshots_and_appends_with_properties_land_whole() {
    let files = Memory::new();
    let base = of_version(2);
    let first = append(&base, &files, 2, 5);
    let middle = commit(&first).apply(Some(&base), base.last_updated_ms(), None).unwrap();
    let second = append(&middle, &files, 3, 6);
    let mut chain = first.clone();
    let more = second["updates"].as_array().unwrap().clone();
    chain["updates"].as_array_mut().unwrap().extend(more);
    let property = json!({"action": "set-properties", "updates": {"by": "chain"}});
    chain["updates"].as_array_mut().unwrap().push(property);
    let commits = [append(&base, &files, 1, 1), chain].map(|json| commit(&json));
    let made = all_landed(&base, &commits, &files, 1);
    assert_eq!(made.property("by"), Some("chain"));
    assert_eq!(made.snapshot(3).unwrap()["parent-snapshot-id"], 2);
    assert_eq!(made.snapshot(2).unwrap()["parent-snapshot-id"], 1);
    assert_eq!(
        scan(&made, &files, 3).1,
        scan(&base, &files, base.current_snapshot_id().unwrap()).1 + 12
    );
    check_chain(&made, &files);
}

#[test]
fn lists_stay_short_where_small_appends_are_many() {
    for version in 1..=3 {
        let files = Memory::new();
        let base = of_version(version);
        let before = scan(&base, &files, base.current_snapshot_id().unwrap());
        let mut head = base.clone();
        let mut bytes = 0;
        for batch in 0..8 {
            let stale: Vec<Commit> =
                (0..32).map(|n| commit(&append(&base, &files, 1 + batch * 32 + n, 1))).collect();
            let list = files.size("/snap-");
            head = all_landed(&head, &stale, &files, 1 + batch as u128);
            bytes = files.size("/snap-") - list;
        }
        let last = head.current_snapshot_id().unwrap();
        let (found, rows) = scan(&head, &files, last);
        assert_eq!((found.len(), rows), (before.0.len() + 256, before.1 + 256));
        assert!(found.values().all(|many| *many == 1));
        assert!(entries(&head, &files, last).len() < 120, "{}", entries(&head, &files, last).len());
        // What a list of all 256 would take is several times that.
        assert!(bytes / 32 < 10_000, "{} bytes for each list", bytes / 32);
        check_rows(&head, &files);
        assert!(list_of(&head, last).contains("/metadata/snap-256-"));
    }
}

#[test]
fn manifests_of_before_version_3_are_merged_behind_the_upgrade() {
    let files = Memory::new();
    let set = json!({"updates": [{"action": "set-properties", "updates":
        {"commit.manifest-merge.enabled": "false", "commit.manifest.min-count-to-merge": "4"}}]});
    let old = of_version(2);
    let old = commit(&set).apply(Some(&old), old.last_updated_ms(), None).unwrap();
    let stale: Vec<Commit> = (1..=9).map(|id| commit(&append(&old, &files, id, id))).collect();
    let old = all_landed(&old, &stale, &files, 1);
    let many = entries(&old, &files, 9).len();
    let up = json!({"updates": [{"action": "upgrade-format-version", "format-version": 3},
        {"action": "remove-properties", "removals": ["commit.manifest-merge.enabled"]}]});
    let new = commit(&up).apply(Some(&old), old.last_updated_ms(), None).unwrap();
    // Each stands on the head, so that the first of them is rebased onto one of the same.
    let appends = [append(&new, &files, 20, 1), append(&new, &files, 21, 1)];
    let made = all_landed(&new, &appends.map(|json| commit(&json)), &files, 2);
    let left = entries(&made, &files, 21);
    assert!(left.len() < many, "{} of {many}", left.len());
    let (found, rows) = scan(&made, &files, 21);
    assert_eq!(rows, scan(&old, &files, 9).1 + 2);
    assert!(found.values().all(|times| *times == 1));
    check_chain(&made, &files);
    let merged = Manifest::read(&files.bytes(&left[0].path)).unwrap();
    assert!(merged.entries.len() > 3);
    let mut ids: Vec<(i64, i64)> =
        merged.entries.iter().map(|one| (one.first_row_id.unwrap(), one.rows)).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{ids:?}");
}

#[test]
fn a_commit_that_changes_nothing_makes_no_metadata() {
    let base = of_version(2);
    let set = |value: &str| {
        commit(&json!({"updates": [{"action": "set-properties", "updates": {"k": value}}]}))
    };
    let base = set("1").apply(Some(&base), base.last_updated_ms(), None).unwrap();
    for commits in [vec![set("1")], vec![set("2"), set("1")]] {
        let landing = landed(&base, &commits, &Memory::new(), 1);
        assert!(landing.metadata.is_none(), "{commits:?}");
        assert!(landing.results.iter().all(|result| matches!(result, Ok(How::AsAsked))));
    }
    assert!(landed(&base, &[set("1"), set("2")], &Memory::new(), 1).metadata.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn appends_land_once_each_in_any_order_and_any_company(
        version in 1i64..4,
        order in Just((1..=9i64).collect::<Vec<_>>()).prop_shuffle(),
        cuts in prop::collection::vec(1usize..4, 1..9),
        merged_from in 2i64..6,
    ) {
        let files = Memory::new();
        let base = of_version(version);
        let properties = json!({"updates": [{"action": "set-properties", "updates":
            {"commit.manifest.min-count-to-merge": merged_from.to_string()}}]});
        let base = commit(&properties).apply(Some(&base), base.last_updated_ms(), None).unwrap();
        let (before, rows) = scan(&base, &files, base.current_snapshot_id().unwrap());
        let mut head = base.clone();
        let mut left = &order[..];
        for (round, cut) in cuts.iter().chain([&9]).enumerate() {
            let (some, rest) = left.split_at((*cut).min(left.len()));
            left = rest;
            // Some know the head of the last round, and some only where it all began.
            let of = |id: &i64| if id % 2 == 0 { append(&head, &files, *id, *id) } else { append(&base, &files, *id, *id) };
            let commits: Vec<Commit> = some.iter().map(|id| commit(&of(id))).collect();
            if !commits.is_empty() {
                head = all_landed(&head, &commits, &files, 1 + round as u128);
            }
        }
        let (found, all) = scan(&head, &files, head.current_snapshot_id().unwrap());
        prop_assert_eq!(found.len(), before.len() + 9);
        prop_assert!(found.values().all(|many| *many == 1));
        prop_assert_eq!(all, rows + 45);
        check_chain(&head, &files);
    }
}
