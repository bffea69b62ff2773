//! All that metadata says besides snapshots, put together from two sides: what one of them changed is taken, what
//! both changed alike as well. Pure.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::sides::Sides;
use crate::table::json::{Object, number};

/// What belongs together: ids of one key stand in another.
const GROUPS: [(&str, &[&str]); 3] = [
    ("the schema", &["schemas", "current-schema-id", "last-column-id", "schema"]),
    (
        "the partition spec",
        &["partition-specs", "default-spec-id", "last-partition-id", "partition-spec"],
    ),
    ("the sort order", &["sort-orders", "default-sort-order-id"]),
];
/// What follows from snapshots, or is of one side alone.
const LEFT_ALONE: [&str; 11] = [
    "snapshots",
    "current-snapshot-id",
    "snapshot-log",
    "metadata-log",
    "last-sequence-number",
    "last-updated-ms",
    "next-row-id",
    "statistics",
    "partition-statistics",
    "properties",
    "refs",
];
/// What cannot differ: snapshots of one side could not stand in the metadata of the other.
const FIXED: [&str; 3] = ["format-version", "table-uuid", "location"];

/// The metadata of the destination with what the source changed besides its snapshots, `brought`; or what both
/// changed.
pub(super) fn put_together(sides: &Sides<'_>, brought: &HashSet<i64>) -> Result<Object, String> {
    let [base, source, dest] = [sides.base, sides.source, sides.dest]
        .map(|side| side.json().as_object().cloned().unwrap_or_default());
    let fixed = FIXED
        .iter()
        .find(|key| base.get(**key) != source.get(**key) || base.get(**key) != dest.get(**key));
    if let Some(key) = fixed {
        return Err(format!("'{key}' is not the same on both"));
    }
    let mut merged = dest.clone();
    let keys: BTreeSet<&String> = base.keys().chain(source.keys()).chain(dest.keys()).collect();
    let alone = keys.into_iter().filter(|key| {
        let grouped = GROUPS.iter().any(|(_, group)| group.contains(&key.as_str()));
        !grouped && !LEFT_ALONE.contains(&key.as_str())
    });
    let alone: Vec<(String, Vec<&str>)> =
        alone.map(|key| (format!("'{key}'"), vec![key.as_str()])).collect();
    let groups = GROUPS.iter().map(|(name, keys)| ((*name).to_owned(), keys.to_vec()));
    for (name, keys) in groups.chain(alone) {
        let of = |side: &Object| keys.iter().map(|key| side.get(*key).cloned()).collect();
        let of: [Vec<Option<Value>>; 3] = [of(&base), of(&source), of(&dest)];
        let [from, theirs, ours] = of;
        for (key, value) in keys.iter().zip(chosen(from, theirs, ours, &name)?) {
            set(&mut merged, key, value);
        }
    }
    for key in ["properties", "refs"] {
        let of = |side: &Object| side.get(key).and_then(Value::as_object).cloned();
        let of = [&base, &source, &dest].map(|side| of(side).unwrap_or_default());
        let by_name = match key {
            "refs" => refs(sides, of, brought)?,
            _ => properties(of)?,
        };
        merged.insert(key.to_owned(), Value::Object(by_name));
    }
    Ok(merged)
}

/// Properties, name by name.
fn properties([base, source, dest]: [Object; 3]) -> Result<Object, String> {
    let mut merged = dest.clone();
    for name in base.keys().chain(source.keys()).chain(dest.keys()) {
        let of = |side: &Object| side.get(name).cloned();
        let value = chosen(of(&base), of(&source), of(&dest), &format!("the property '{name}'"))?;
        set(&mut merged, name, value);
    }
    Ok(merged)
}

/// Branches and tags of the table, name by name. `main` is the destination's: snapshots move it.
fn refs(
    sides: &Sides<'_>,
    [base, source, dest]: [Object; 3],
    brought: &HashSet<i64>,
) -> Result<Object, String> {
    let mut merged = dest.clone();
    let names: BTreeSet<&String> = base.keys().chain(source.keys()).chain(dest.keys()).collect();
    for name in names.into_iter().filter(|name| *name != "main") {
        let of = |side: &Object| side.get(name).cloned();
        let told = format!("the branch or tag '{name}' of the table");
        let (from, theirs) = (of(&base), of(&source));
        let is_theirs = theirs != from;
        let value = chosen(from, theirs, of(&dest), &told)?;
        // What it names would become another snapshot, with rows of the other side; or is another one there.
        if let Some(id) = value.as_ref().and_then(|value| number(value, "snapshot-id")) {
            if brought.contains(&id) {
                return Err(format!("{told} names a snapshot that would be made anew"));
            }
            if is_theirs && sides.source.snapshot(id) != sides.dest.snapshot(id) {
                return Err(format!(
                    "{told} names a snapshot that has other rows on the other side"
                ));
            }
        }
        set(&mut merged, name, value);
    }
    Ok(merged)
}

/// The three-way rule.
fn chosen<T: PartialEq>(base: T, source: T, dest: T, told: &str) -> Result<T, String> {
    if source == base || source == dest {
        Ok(dest)
    } else if dest == base {
        Ok(source)
    } else {
        Err(format!("both sides changed {told}"))
    }
}

fn set(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(object.insert(key.to_owned(), value)),
        None => drop(object.remove(key)),
    }
}

/// The branch `main` of metadata, at another snapshot.
pub(super) fn main_at(metadata: &Object, id: i64) -> Value {
    let main = metadata.get("refs").and_then(|refs| refs.get("main"));
    let mut main = main.cloned().unwrap_or_else(|| json!({"type": "branch"}));
    if let Some(main) = main.as_object_mut() {
        main.insert("snapshot-id".to_owned(), id.into());
    }
    main
}
