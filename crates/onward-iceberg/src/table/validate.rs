//! That metadata is consistent in itself. Engines rely on it, and some of them crash where it is not.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::json::{Object, a_text, an_integer, integer, list, object, text, texts, within};
use super::{Invalid, partition, schema};

/// How far a log may go back from one line to the next, in ms: clocks of writers differ. Iceberg's reference
/// implementation reads no more than that.
const CLOCKS_DIFFER_MS: i64 = 60_000;

/// Checks metadata in its present form, and returns where each snapshot stands.
pub(super) fn metadata(of: &Object) -> Result<HashMap<i64, usize>, Invalid> {
    let version = an_integer(of, "format-version", "metadata")?;
    let version = u8::try_from(version).ok().filter(|version| (1..=3).contains(version));
    let version = version.ok_or_else(|| {
        Invalid::new("metadata: the versions of the format that are known are 1, 2 and 3")
    })?;
    uuid(a_text(of, "table-uuid", "metadata")?)?;
    if a_text(of, "location", "metadata")?.is_empty() {
        return Err(Invalid::new("metadata: 'location' is empty"));
    }
    an_integer(of, "last-updated-ms", "metadata")?;
    texts(within(of, "properties", "metadata")?.unwrap_or(&Object::new()), "properties")?;
    schemas(of, version)?;
    specs(of)?;
    orders(of)?;
    let snapshots = snapshots(of, version)?;
    refs(of, &snapshots)?;
    logs(of)?;
    statistics(of)?;
    Ok(snapshots)
}

/// Checks that `text` is a uuid, as tables and their readers have them.
pub(super) fn uuid(text: &str) -> Result<(), Invalid> {
    match uuid::Uuid::try_parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Invalid::new(format!("'{text}' is no uuid"))),
    }
}

/// The members of a list: each id once, and the one that `chosen` names among them.
fn members<'a>(of: &'a Object, key: &str, id: &str, chosen: &str) -> Result<&'a [Value], Invalid> {
    let all = list(of, key, "metadata")?;
    let mut ids = HashSet::new();
    for one in all {
        let found = an_integer(object(one, key)?, id, key)?;
        if !ids.insert(found) {
            return Err(Invalid::new(format!("metadata: '{key}' has {id} {found} twice")));
        }
    }
    let wanted = an_integer(of, chosen, "metadata")?;
    if !ids.contains(&wanted) {
        return Err(Invalid::new(format!("metadata: '{chosen}' {wanted} is not in '{key}'")));
    }
    Ok(all)
}

fn schemas(of: &Object, version: u8) -> Result<(), Invalid> {
    let all = members(of, "schemas", "schema-id", "current-schema-id")?;
    let last = an_integer(of, "last-column-id", "metadata")?;
    for one in all {
        let fields = schema::fields(one)?;
        fields.fit(version)?;
        if fields.highest() > last {
            let message = format!("metadata: a field's id is above 'last-column-id' {last}");
            return Err(Invalid::new(message));
        }
    }
    Ok(())
}

fn specs(of: &Object) -> Result<(), Invalid> {
    let all = members(of, "partition-specs", "spec-id", "default-spec-id")?;
    let last = an_integer(of, "last-partition-id", "metadata")?;
    for one in all {
        let highest = partition::spec(one)?;
        if highest > last && highest > partition::PARTITION_IDS_FROM {
            let message =
                format!("metadata: a partition field is above 'last-partition-id' {last}");
            return Err(Invalid::new(message));
        }
    }
    Ok(())
}

fn orders(of: &Object) -> Result<(), Invalid> {
    let all = members(of, "sort-orders", "order-id", "default-sort-order-id")?;
    all.iter().try_for_each(partition::order)
}

fn snapshots(of: &Object, version: u8) -> Result<HashMap<i64, usize>, Invalid> {
    let last = integer(of, "last-sequence-number", "metadata")?;
    if last.is_none() && version > 1 {
        return Err(Invalid::new("metadata has no 'last-sequence-number'"));
    }
    let next_row = integer(of, "next-row-id", "metadata")?;
    if version > 2 && next_row.is_none_or(|next| next < 0) {
        return Err(Invalid::new("metadata has no 'next-row-id'"));
    }
    let mut ids = HashMap::new();
    for (at, one) in list(of, "snapshots", "metadata")?.iter().enumerate() {
        let one = object(one, "a snapshot")?;
        let id = snapshot(one, version)?;
        let what = format!("metadata: snapshot {id}");
        if ids.insert(id, at).is_some() {
            return Err(Invalid::new(format!("{what} is there twice")));
        }
        let sequence = integer(one, "sequence-number", "a snapshot")?.unwrap_or(0);
        if sequence < 0 || (version > 1 && sequence > last.unwrap_or(0)) {
            return Err(Invalid::new(format!(
                "{what} has the sequence number {sequence}, above the last"
            )));
        }
        let first_row = integer(one, "first-row-id", "a snapshot")?;
        let rows = integer(one, "added-rows", "a snapshot")?.unwrap_or(0);
        let end = first_row.map(|first| first.checked_add(rows));
        if version > 2 && end.is_some_and(|end| end.is_none_or(|end| end > next_row.unwrap_or(0))) {
            return Err(Invalid::new(format!("{what} has rows above 'next-row-id'")));
        }
    }
    Ok(ids)
}

/// Checks one snapshot by itself, and returns its id.
pub(super) fn snapshot(of: &Object, version: u8) -> Result<i64, Invalid> {
    let id = an_integer(of, "snapshot-id", "a snapshot")?;
    let what = format!("snapshot {id}");
    if id < 0 {
        return Err(Invalid::new(format!("{what}: ids are not negative")));
    }
    an_integer(of, "timestamp-ms", &what)?;
    if integer(of, "sequence-number", &what)?.is_some_and(|number| number < 0) {
        return Err(Invalid::new(format!("{what}: 'sequence-number' is negative")));
    }
    integer(of, "parent-snapshot-id", &what)?;
    integer(of, "schema-id", &what)?;
    let listed = text(of, "manifest-list", &what)?;
    if listed.is_none_or(str::is_empty) && (version > 1 || of.get("manifests").is_none()) {
        return Err(Invalid::new(format!("{what} has no 'manifest-list'")));
    }
    match within(of, "summary", &what)? {
        Some(summary) => {
            texts(summary, &format!("{what}: summary"))?;
            let operation = text(summary, "operation", &what)?;
            if !matches!(operation, Some("append" | "replace" | "overwrite" | "delete")) {
                let message = "its operation is append, replace, overwrite or delete";
                return Err(Invalid::new(format!("{what}: {message}")));
            }
        }
        None if version > 1 => return Err(Invalid::new(format!("{what} has no 'summary'"))),
        None => {}
    }
    for key in ["first-row-id", "added-rows"] {
        if integer(of, key, &what)?.is_some_and(|number| number < 0) {
            return Err(Invalid::new(format!("{what}: '{key}' is negative")));
        }
    }
    Ok(id)
}

fn refs(of: &Object, snapshots: &HashMap<i64, usize>) -> Result<(), Invalid> {
    let none = Object::new();
    let refs = within(of, "refs", "metadata")?.unwrap_or(&none);
    for (name, one) in refs {
        let id = reference(name, one)?;
        if !snapshots.contains_key(&id) {
            return Err(Invalid::new(format!(
                "metadata: '{name}' names a snapshot that is not there"
            )));
        }
    }
    let main = refs.get("main").and_then(|main| super::json::number(main, "snapshot-id"));
    if main != integer(of, "current-snapshot-id", "metadata")? {
        return Err(Invalid::new("metadata: 'current-snapshot-id' is not what 'main' names"));
    }
    Ok(())
}

/// Checks one branch or tag by itself, and returns the snapshot that it names.
pub(super) fn reference(name: &str, value: &Value) -> Result<i64, Invalid> {
    let what = format!("'{name}'");
    let of = object(value, &what)?;
    let kind = a_text(of, "type", &what)?;
    if !matches!(kind, "branch" | "tag") || (name == "main" && kind == "tag") {
        return Err(Invalid::new(format!("{what} is neither branch nor tag, or a tag 'main'")));
    }
    for key in ["max-ref-age-ms", "max-snapshot-age-ms", "min-snapshots-to-keep"] {
        if integer(of, key, &what)?.is_some_and(|number| number <= 0) {
            return Err(Invalid::new(format!("{what}: '{key}' is not above 0")));
        }
    }
    an_integer(of, "snapshot-id", &what)
}

fn logs(of: &Object) -> Result<(), Invalid> {
    let updated = an_integer(of, "last-updated-ms", "metadata")?;
    for (key, what) in [("snapshot-log", "snapshot-id"), ("metadata-log", "metadata-file")] {
        let mut before = i64::MIN;
        for line in list(of, key, "metadata")? {
            let line = object(line, key)?;
            if key == "snapshot-log" {
                an_integer(line, what, key)?;
            } else {
                a_text(line, what, key)?;
            }
            let at = an_integer(line, "timestamp-ms", key)?;
            if at < before.saturating_sub(CLOCKS_DIFFER_MS) {
                return Err(Invalid::new(format!("metadata: '{key}' is not in order of time")));
            }
            before = at;
        }
        if updated < before.saturating_sub(CLOCKS_DIFFER_MS) {
            return Err(Invalid::new(format!("metadata: 'last-updated-ms' is before '{key}'")));
        }
    }
    Ok(())
}

fn statistics(of: &Object) -> Result<(), Invalid> {
    for key in ["statistics", "partition-statistics"] {
        let mut seen = BTreeSet::new();
        for one in list(of, key, "metadata")? {
            if !seen.insert(statistics_file(one, key)?) {
                return Err(Invalid::new(format!("metadata: '{key}' has a snapshot twice")));
            }
        }
    }
    Ok(())
}

/// Checks one file of statistics by itself, and returns the snapshot that it is of.
pub(super) fn statistics_file(value: &Value, key: &str) -> Result<i64, Invalid> {
    let of = object(value, key)?;
    a_text(of, "statistics-path", key)?;
    an_integer(of, "file-size-in-bytes", key)?;
    if key == "statistics" {
        an_integer(of, "file-footer-size-in-bytes", key)?;
        for blob in list(of, "blob-metadata", key)? {
            a_text(object(blob, "a blob")?, "type", "a blob")?;
        }
    }
    an_integer(of, "snapshot-id", key)
}
