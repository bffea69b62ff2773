//! Tables that two branches changed: both sides' rows once, or a reason.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Memory, append, commit, scan};
use super::rebasing::{check_chain, check_rows, of_version};
use crate::table::{Lists, Metadata, Moment, NotMerged, Sides, kept_apart, merge};

/// What the commit `json` makes of a table.
fn changed(table: &Metadata, json: &Value) -> Metadata {
    commit(json).apply(Some(table), table.last_updated_ms() + 1, None).unwrap()
}

fn appended(table: &Metadata, files: &Memory, id: i64) -> Metadata {
    changed(table, &append(table, files, id, id % 7 + 1))
}

fn updated(table: &Metadata, update: Value) -> Metadata {
    changed(table, &json!({"updates": [update]}))
}

fn with(table: &Metadata, key: &str, value: &str) -> Metadata {
    updated(table, json!({"action": "set-properties", "updates": {key: value}}))
}

fn merged(
    base: &Metadata,
    source: &Metadata,
    dest: &Metadata,
    files: &Memory,
    unique: u128,
) -> Result<Metadata, String> {
    let moment = Moment {
        now_ms: dest.last_updated_ms() + 10,
        head_location: "file:///lake/t/metadata/head.json",
        unique: Uuid::from_u128(unique),
        lists: &Lists::default(),
    };
    let sides = Sides { base, source, dest };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let made = runtime.block_on(merge(&sides, &moment, files));
    match made {
        Ok(made) => {
            assert_eq!(kept_apart(&sides), None);
            Ok(made.unwrap_or_else(|| dest.clone()))
        }
        Err(NotMerged::Not(reason)) => Err(reason),
        Err(NotMerged::Unavailable(error)) => panic!("{error}"),
    }
}

/// The files of the head; each is there once.
fn files_of(table: &Metadata, files: &Memory) -> BTreeSet<String> {
    let Some(head) = table.current_snapshot_id() else { return BTreeSet::new() };
    let (found, rows) = scan(table, files, head);
    assert!(found.values().all(|many| *many == 1), "{found:?}");
    assert_eq!(table.snapshot(head).unwrap()["summary"]["total-records"], rows.to_string());
    found.into_keys().collect()
}

#[test]
fn both_sides_rows_are_there_once_in_every_version() {
    for version in 1..=3 {
        let files = Memory::new();
        let base = of_version(version);
        let chain =
            |first: i64| (first..first + 4).fold(base.clone(), |at, id| appended(&at, &files, id));
        let (source, dest) = (chain(100), chain(200));
        let made = merged(&base, &source, &dest, &files, 1).unwrap();
        let both: BTreeSet<String> =
            files_of(&source, &files).union(&files_of(&dest, &files)).cloned().collect();
        assert_eq!(files_of(&made, &files), both, "version {version}");
        assert_eq!(made.current_snapshot_id(), Some(103));
        check_chain(&made, &files);
        // What comes again is there already, and what is new is brought alone.
        assert_eq!(merged(&source, &source, &made, &files, 2).unwrap().json(), made.json());
        let more = appended(&source, &files, 104);
        let again = merged(&source, &more, &made, &files, 3).unwrap();
        assert_eq!(files_of(&again, &files).len(), both.len() + 1);
        assert_eq!(again.snapshot(104).unwrap()["parent-snapshot-id"], 103);
        check_chain(&again, &files);
        let back = merged(&again, &again, &appended(&more, &files, 105), &files, 4);
        assert!(back.is_err() || files_of(&back.unwrap(), &files).len() > both.len());
    }
}

#[test]
fn the_first_rows_of_both_sides_come_together() {
    let files = Memory::new();
    let full = of_version(2);
    let ids: Vec<i64> = full.snapshot_ids().collect();
    let base = updated(&full, json!({"action": "remove-snapshots", "snapshot-ids": ids}));
    let (source, dest) = (appended(&base, &files, 1), appended(&base, &files, 2));
    let made = merged(&base, &source, &dest, &files, 1).unwrap();
    assert_eq!(files_of(&made, &files).len(), 2);
    check_chain(&made, &files);
    // One that only said something of itself takes the rows as they are.
    let dest = with(&base, "owner", "me");
    let made = merged(&base, &source, &dest, &files, 2).unwrap();
    assert_eq!((made.snapshot(1), made.property("owner")), (source.snapshot(1), Some("me")));
}

#[test]
fn what_one_side_says_besides_is_taken_and_what_both_do_is_named() {
    let files = Memory::new();
    let base = of_version(2);
    let dest = appended(&base, &files, 1);
    let schema = |name: &str| {
        let id = base.json()["last-column-id"].as_i64().unwrap() + 1;
        let mut schema = base.json()["schemas"][0].clone();
        let field = json!({"id": id, "name": name, "type": "string", "required": false});
        schema["fields"].as_array_mut().unwrap().push(field);
        json!({"action": "add-schema", "schema": schema})
    };
    let evolved = |table: &Metadata, name: &str| {
        let chosen = json!({"action": "set-current-schema", "schema-id": -1});
        changed(table, &json!({"updates": [schema(name), chosen]}))
    };
    let source = appended(&with(&evolved(&base, "extra"), "owner", "me"), &files, 2);
    let made = merged(&base, &source, &dest, &files, 1).unwrap();
    assert_eq!(made.json()["current-schema-id"], source.json()["current-schema-id"]);
    assert_eq!(made.property("owner"), Some("me"));
    assert_eq!(files_of(&made, &files).len(), files_of(&base, &files).len() + 2);
    check_chain(&made, &files);
    // The other way around, and the same on both.
    let made = merged(&base, &dest, &source, &files, 2).unwrap();
    assert_eq!(made.json()["current-schema-id"], source.json()["current-schema-id"]);
    assert!(merged(&base, &source, &evolved(&base, "extra"), &files, 3).is_ok());

    let tag = |table: &Metadata, id: i64| {
        updated(
            table,
            json!({"action": "set-snapshot-ref", "ref-name": "v1", "type": "tag", "snapshot-id": id}),
        )
    };
    let overwritten = |table: &Metadata, id: i64| {
        let mut asked = append(table, &files, id, 1);
        asked["updates"][0]["snapshot"]["summary"]["operation"] = "overwrite".into();
        changed(table, &asked)
    };
    let head = base.current_snapshot_id().unwrap();
    let silent =
        updated(&dest, json!({"action": "remove-properties", "removals": ["onward.appends"]}));
    let rolled = updated(
        &appended(&base, &files, 6),
        json!({"action": "set-snapshot-ref",
        "ref-name": "main", "type": "branch", "snapshot-id": base.snapshot_ids().next().unwrap()}),
    );
    let beside = {
        let mut asked = append(&base, &files, 7, 1);
        asked["updates"][1]["ref-name"] = "other".into();
        changed(&base, &asked)
    };
    let old = tag(&source, head);
    assert_eq!(
        merged(&base, &old, &dest, &files, 4).unwrap().reference("v1").unwrap().snapshot_id,
        head
    );
    // The source's 1 stands on 9; the destination's does not.
    let elsewhere = merged(&base, &dest, &appended(&base, &files, 9), &files, 8).unwrap();
    for (source, dest, says) in [
        (
            tag(&elsewhere, 1),
            dest.clone(),
            "'v1' of the table names a snapshot that has other rows",
        ),
        (evolved(&source, "other"), evolved(&dest, "third"), "both sides changed the schema"),
        (with(&source, "k", "1"), with(&dest, "k", "2"), "the property 'k'"),
        (tag(&source, 2), dest.clone(), "'v1' of the table names a snapshot"),
        (tag(&source, head), tag(&dest, 1), "both sides changed the branch or tag 'v1'"),
        (
            overwritten(&base, 3),
            dest.clone(),
            "snapshot 3 of the source: a snapshot that is no append",
        ),
        (source.clone(), overwritten(&base, 3), "snapshot 3 of the destination"),
        (source.clone(), silent, "appends commute"),
        (source.clone(), rolled, "the destination has not all snapshots of the base"),
        (beside, dest.clone(), "snapshot 7 of the source does not lead to its head"),
        (
            updated(&source, json!({"action": "upgrade-format-version", "format-version": 3})),
            dest.clone(),
            "'format-version'",
        ),
    ] {
        let reason = merged(&base, &source, &dest, &files, 5).unwrap_err();
        assert!(reason.contains(says), "{says}: {reason}");
        assert_eq!(kept_apart(&Sides { base: &base, source: &source, dest: &dest }), Some(reason));
    }
}

/// Without all snapshots but the newest few of its line.
fn expired(table: &Metadata, kept: usize) -> Metadata {
    let mut line: Vec<i64> = Vec::new();
    let mut at = table.current_snapshot_id();
    while let Some(snapshot) = at.and_then(|id| table.snapshot(id)) {
        line.extend(at);
        at = snapshot["parent-snapshot-id"].as_i64();
    }
    line.truncate(kept);
    let gone: Vec<i64> = table.snapshot_ids().filter(|id| !line.contains(id)).collect();
    updated(table, json!({"action": "remove-snapshots", "snapshot-ids": gone}))
}

#[test]
fn a_head_that_was_brought_onto_other_rows_does_not_hide_them() {
    for version in 1..=3 {
        let files = Memory::new();
        let base = of_version(version);
        let (one, other) = (appended(&base, &files, 5), appended(&base, &files, 7));
        let both = merged(&base, &one, &other, &files, 1).unwrap();
        assert_ne!(both.snapshot(5), one.snapshot(5));
        let (mine, theirs) = (appended(&one, &files, 6), appended(&both, &files, 8));
        let told = merged(&one, &theirs, &mine, &files, 2).unwrap();
        let all: BTreeSet<String> =
            files_of(&theirs, &files).union(&files_of(&mine, &files)).cloned().collect();
        assert_eq!(files_of(&told, &files), all, "version {version}");

        let cut = expired(&one, 1);
        let elsewhere = merged(&base, &other, &one, &files, 3).unwrap();
        assert_eq!(elsewhere.snapshot(7).unwrap()["parent-snapshot-id"], 5);
        for (base, source, dest, whose) in [
            // 7 lies below the 5 of the source, which says nothing of it any more.
            (&one, expired(&theirs, 2), mine, "source"),
            // Nor can one say what the base had below its 5.
            (&cut, theirs.clone(), appended(&cut, &files, 9), "source"),
            // 7 lies below the 5 of the destination: it would come twice.
            (&one, elsewhere, expired(&theirs, 2), "destination"),
        ] {
            let reason = merged(base, &source, &dest, &files, 4).unwrap_err();
            assert!(reason.starts_with(&format!("the {whose} has not all snapshots")), "{reason}");
        }
        // A head that is the base's own shows what has grown from it, whatever is expired below.
        let (mine, theirs) = (appended(&one, &files, 10), appended(&one, &files, 11));
        let made = merged(&cut, &expired(&theirs, 2), &expired(&mine, 2), &files, 5).unwrap();
        assert_eq!(files_of(&made, &files).len(), files_of(&base, &files).len() + 3);
    }
}

#[test]
fn numbers_that_another_branch_of_the_table_took_are_given_anew() {
    for version in 1..=3 {
        let files = Memory::new();
        let base = of_version(version);
        let beside = {
            let mut asked = append(&base, &files, 7, 1);
            asked["updates"][1]["ref-name"] = "other".into();
            changed(&base, &asked)
        };
        let source = appended(&base, &files, 2);
        let made = merged(&base, &source, &beside, &files, 1).unwrap();
        assert_eq!(files_of(&made, &files), files_of(&source, &files), "version {version}");
        assert_eq!(made.reference("other").unwrap().snapshot_id, 7);
        check_chain(&made, &files);
    }
}

/// A state of a branch, and those that it came from.
struct State {
    table: Metadata,
    /// What every state has that led to it, itself included.
    ancestors: BTreeSet<usize>,
}

/// Branches whose tables are appended to, expired and merged in any order, beside plain sets of files.
struct Branches {
    files: Memory,
    states: Vec<State>,
    heads: [usize; 3],
    rows: [BTreeSet<String>; 3],
    has_expired: bool,
    merges: BTreeMap<&'static str, usize>,
}

impl Branches {
    fn new(version: i64) -> Self {
        let files = Memory::new();
        let table = of_version(version);
        let rows = files_of(&table, &files);
        let states = vec![State { table, ancestors: BTreeSet::from([0]) }];
        let rows = [rows.clone(), rows.clone(), rows];
        Self { files, states, heads: [0; 3], rows, has_expired: false, merges: BTreeMap::new() }
    }

    fn table(&self, branch: usize) -> &Metadata {
        &self.states[self.heads[branch]].table
    }

    fn moved(&mut self, branch: usize, table: Metadata, merged: Option<usize>) {
        let new = self.states.len();
        let parents = [Some(self.heads[branch]), merged].into_iter().flatten();
        let mut ancestors: BTreeSet<usize> =
            parents.flat_map(|parent| self.states[parent].ancestors.clone()).collect();
        ancestors.insert(new);
        self.states.push(State { table, ancestors });
        self.heads[branch] = new;
    }

    fn append(&mut self, branch: usize, id: i64) {
        let table = appended(self.table(branch), &self.files, id);
        self.rows[branch].insert(format!("{}/data/{id}.parquet", table.location()));
        self.moved(branch, table, None);
    }

    /// Expires all snapshots but the newest few.
    fn expire(&mut self, branch: usize, kept: usize) {
        let table = expired(self.table(branch), kept);
        if table.json()["snapshots"] != self.table(branch).json()["snapshots"] {
            self.has_expired = true;
            self.moved(branch, table, None);
        }
    }

    /// Merges one into the other, which then forgets what it was before, and back.
    fn merge_and_back(&mut self, one: usize, other: usize, kept: usize, id: i64) {
        for (of, id) in [(one, id), (other, id + 1)] {
            self.append(of, id);
        }
        self.merge(one, other, id as u128);
        for (of, id) in [(one, id + 2), (other, id + 3)] {
            self.append(of, id);
        }
        self.expire(other, kept);
        self.merge(other, one, id as u128 + 1);
    }

    fn merge(&mut self, from: usize, into: usize, unique: u128) {
        let (source, dest) = (self.heads[from], self.heads[into]);
        let common = self.states[source].ancestors.intersection(&self.states[dest].ancestors);
        let base = *common.max().unwrap();
        let [base, theirs, ours] = [base, source, dest].map(|at| self.states[at].table.clone());
        let made = if theirs.json() == base.json() || theirs.json() == ours.json() {
            Ok(ours)
        } else if ours.json() == base.json() {
            Ok(theirs)
        } else {
            merged(&base, &theirs, &ours, &self.files, unique)
        };
        let told = match made {
            Ok(table) => {
                let more = self.rows[from].clone();
                self.rows[into].extend(more);
                assert_eq!(files_of(&table, &self.files), self.rows[into]);
                let head = table.current_snapshot_id().unwrap();
                // One that was made before the table had version 3 says nothing of ids.
                if table.snapshot(head).unwrap().get("first-row-id").is_some() {
                    check_rows(&table, &self.files);
                }
                self.moved(into, table, Some(source));
                "merged"
            }
            Err(reason) => {
                assert!(self.has_expired, "{reason}");
                "kept apart"
            }
        };
        *self.merges.entry(told).or_default() += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn tables_of_branches_are_merged_as_sets_of_files_are(
        version in 1i64..4,
        expires in any::<bool>(),
        steps in prop::collection::vec((0usize..9, 0usize..3, 0usize..3), 1..24),
    ) {
        let mut branches = Branches::new(version);
        for (at, (what, one, other)) in steps.into_iter().enumerate() {
            let id = 1000 + 10 * at as i64;
            match what {
                0..4 => branches.append(one, id),
                4 if expires => branches.expire(one, other + 1),
                8 if expires && one != other => {
                    branches.merge_and_back(one, other, 1 + at % 4, id);
                }
                _ if one != other => branches.merge(one, other, id as u128),
                _ => {}
            }
        }
    }
}
