//! What changed between two states of a table, in Iceberg's words: snapshots, rows, files, the schema and what stands
//! besides. Pure, of the metadata alone: no manifest is read.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::json::number;
use super::merge::Line;
use super::{Metadata, schema};

/// Snapshots that are told one by one, the newest; the others are counted.
const SNAPSHOTS_TOLD: usize = 20;
/// Other changes that are told one by one, of columns as of all else; the others are counted.
const CHANGES_TOLD: usize = 50;

/// How a number of a table changed; none where a summary does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// What it was before.
    pub before: Option<i64>,
    /// What it is after.
    pub after: Option<i64>,
    /// Added by the new snapshots.
    pub added: Option<i64>,
    /// Removed by them.
    pub removed: Option<i64>,
}

/// A snapshot that leads to the head, and did not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotTold {
    /// Id of the snapshot.
    pub id: i64,
    /// `append`, `overwrite`, `replace`, `delete`.
    pub operation: String,
    /// When it was made, in ms of the epoch.
    pub timestamp_ms: i64,
}

/// What changed of a table from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// The head before and after; none where there was none.
    pub head: (Option<i64>, Option<i64>),
    /// New snapshots, oldest first: the newest 20.
    pub snapshots: Vec<SnapshotTold>,
    /// How many there are of each operation.
    pub operations: BTreeMap<String, u64>,
    /// Whether the head does not lead to what was the head before: rolled back, or another table.
    pub is_rolled_back: bool,
    /// Rows: records of data files.
    pub rows: Counted,
    /// Data files, not those of deletes.
    pub files: Counted,
    /// Changes of columns, such as `column 'extra' added: string`.
    pub schema: Vec<String>,
    /// Everything else that changed, such as `property 'owner' set to 'me'`.
    pub other: Vec<String>,
}

/// What changed from `before` to `after`, either of which may be no table.
#[must_use]
pub fn describe(before: Option<&Metadata>, after: Option<&Metadata>) -> Described {
    let head = |of: Option<&Metadata>| of.and_then(Metadata::current_snapshot_id);
    let mut told = Described { head: (head(before), head(after)), ..Described::default() };
    if let Some(after) = after {
        told.tell_snapshots(before, after);
    }
    told.rows.before = total(before, "total-records");
    told.rows.after = total(after, "total-records");
    told.files.before = total(before, "total-data-files");
    told.files.after = total(after, "total-data-files");
    if let (Some(before), Some(after)) = (before, after) {
        told.schema = few(columns(before, after));
        told.other = few(besides(before, after));
    }
    told
}

impl Described {
    fn tell_snapshots(&mut self, before: Option<&Metadata>, after: &Metadata) {
        let old = before.map(Line::of).unwrap_or_default();
        let line = Line::of(after);
        let former = old.ids.first().copied();
        let known: HashSet<i64> = old.ids.iter().copied().collect();
        let has_former = former.is_some_and(|id| line.ids.contains(&id));
        // By a merge the former head can have come to other rows below, under the same id.
        let is_moved = has_former
            && former.is_some_and(|id| before.and_then(|of| of.snapshot(id)) != after.snapshot(id));
        // Where the former head is expired the oldest that is there may still name it, or else nobody knows.
        let behind = line.ids.last().and_then(|last| after.snapshot(*last));
        let behind = behind.and_then(|last| number(last, "parent-snapshot-id"));
        let leads = has_former || (former.is_some() && former == behind);
        let goes_back = line.ids.first().is_none_or(|id| known.contains(id));
        self.is_rolled_back = former.is_some() && !leads && (line.is_whole || goes_back);
        let new: Vec<&Value> = line
            .ids
            .iter()
            .take_while(|id| is_moved || former != Some(**id))
            .filter(|id| !known.contains(*id))
            .filter_map(|id| after.snapshot(*id))
            .collect();
        let sum = |key: &str| {
            new.iter().try_fold(0i64, |sum, one| Some(sum.saturating_add(summed(one, key)?)))
        };
        // What is rolled back is not in the new snapshots, nor what is expired already, nor what else came below.
        let is_told = if former.is_none() { line.is_whole } else { leads && !is_moved };
        if is_told {
            (self.rows.added, self.rows.removed) = (sum("added-records"), sum("deleted-records"));
            (self.files.added, self.files.removed) =
                (sum("added-data-files"), sum("deleted-data-files"));
        }
        for one in &new {
            *self.operations.entry(operation(one)).or_default() += 1;
        }
        self.snapshots = new.iter().take(SNAPSHOTS_TOLD).rev().map(|one| snapshot(one)).collect();
    }

    /// How many new snapshots there are.
    #[must_use]
    pub fn snapshots_total(&self) -> u64 {
        self.operations.values().sum()
    }

    /// What changed, as JSON for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let counted = |of: &Counted| json!({"before": of.before, "after": of.after, "added": of.added, "removed": of.removed});
        let snapshot = |one: &SnapshotTold| json!({"snapshot_id": one.id, "operation": one.operation, "timestamp_ms": one.timestamp_ms});
        json!({
            "snapshot_before": self.head.0,
            "snapshot_after": self.head.1,
            "snapshots": self.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
            "snapshots_total": self.snapshots_total(),
            "operations": self.operations,
            "rolled_back": self.is_rolled_back,
            "rows": counted(&self.rows),
            "files": counted(&self.files),
            "schema": self.schema,
            "other": self.other,
        })
    }

    /// What changed, for people: a line for each kind of change.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.is_rolled_back {
            let to = self.head.1.map_or("no snapshot".to_owned(), |id| format!("snapshot {id}"));
            lines.push(format!("went to {to}, behind which the former head is not"));
        }
        if !self.operations.is_empty() {
            let operations = self.operations.iter().map(|(name, many)| format!("{many} {name}"));
            let operations: Vec<String> = operations.collect();
            let head = self.head.1.map(|id| format!(", now at {id}")).unwrap_or_default();
            lines.push(format!("snapshots: {}{head}", operations.join(", ")));
        }
        for (name, of) in [("rows", &self.rows), ("files", &self.files)] {
            lines.extend(of.words().map(|words| format!("{name}: {words}")));
        }
        lines.extend(self.schema.iter().cloned());
        lines.extend(self.other.iter().cloned());
        lines
    }
}

impl Counted {
    /// `+3 -1 = 12`; none where nothing changed that is known.
    fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        match (self.added, self.removed) {
            (Some(added), Some(removed)) => {
                words.extend((added > 0).then(|| format!("+{added}")));
                words.extend((removed > 0).then(|| format!("-{removed}")));
            }
            _ => {
                let differ = self.after.zip(self.before);
                let differ = differ.map(|(after, before)| after.saturating_sub(before));
                words.extend(differ.filter(|by| *by != 0).map(|by| format!("{by:+}")));
            }
        }
        if words.is_empty() && self.before == self.after {
            return None;
        }
        match self.after {
            Some(after) => words.push(format!("= {after}")),
            None if words.is_empty() => return None,
            None => {}
        }
        Some(words.join(" "))
    }
}

fn summary<'a>(snapshot: &'a Value, key: &str) -> Option<&'a str> {
    snapshot.get("summary")?.get(key)?.as_str()
}

/// What a summary says was added or removed. What it leaves out is none, but for what an append adds.
fn summed(snapshot: &Value, key: &str) -> Option<i64> {
    match summary(snapshot, key) {
        Some(text) => text.parse().ok(),
        None => (!(key.starts_with("added") && operation(snapshot) == "append")).then_some(0),
    }
}

fn total(table: Option<&Metadata>, key: &str) -> Option<i64> {
    let table = table?;
    let Some(head) = table.current_snapshot_id() else { return Some(0) };
    summary(table.snapshot(head)?, key)?.parse().ok()
}

fn operation(snapshot: &Value) -> String {
    summary(snapshot, "operation").unwrap_or("unknown").to_owned()
}

fn snapshot(snapshot: &Value) -> SnapshotTold {
    SnapshotTold {
        id: number(snapshot, "snapshot-id").unwrap_or(-1),
        operation: operation(snapshot),
        timestamp_ms: number(snapshot, "timestamp-ms").unwrap_or(0),
    }
}

/// The member of a list that another key of the metadata chooses.
fn chosen<'a>(table: &'a Metadata, list: &str, id: &str, chosen: &str) -> Option<&'a Value> {
    let wanted = number(table.json(), chosen);
    let all = table.json().get(list)?.as_array()?;
    all.iter().find(|one| number(one, id) == wanted)
}

/// What changed of the columns of the current schema.
fn columns(before: &Metadata, after: &Metadata) -> Vec<String> {
    let (before, after) = (columns_of(before), columns_of(after));
    let mut changes = Vec::new();
    for (id, (name, kind)) in &after {
        let Some((old, known)) = before.get(id) else {
            changes.push(format!("column '{name}' added: {kind}"));
            continue;
        };
        if old != name {
            changes.push(format!("column '{old}' renamed to '{name}'"));
        }
        if known != kind {
            changes.push(format!("column '{name}' changed from {known} to {kind}"));
        }
    }
    let gone = before.iter().filter(|(id, _)| !after.contains_key(id));
    changes.extend(gone.map(|(_, (name, _))| format!("column '{name}' dropped")));
    changes
}

/// Full names and types of the columns of the current schema, by their ids.
fn columns_of(table: &Metadata) -> BTreeMap<i64, (String, String)> {
    let schema = chosen(table, "schemas", "schema-id", "current-schema-id");
    let names = schema.and_then(|schema| schema::fields(schema).ok()).unwrap_or_default().names;
    let mut kinds = BTreeMap::new();
    let mut within: Vec<&Value> = schema.into_iter().collect();
    while let Some(of) = within.pop() {
        for field in of.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let is_required = field.get("required") == Some(&Value::Bool(true));
            let kind = field.get("type").unwrap_or(&Value::Null);
            kinds.insert(number(field, "id"), typed(kind, is_required));
            within.push(kind);
        }
        for part in ["element", "key", "value"] {
            let Some(kind) = of.get(part) else { continue };
            let is_required =
                part == "key" || of.get(format!("{part}-required")) == Some(&Value::Bool(true));
            kinds.insert(number(of, &format!("{part}-id")), typed(kind, is_required));
            within.push(kind);
        }
    }
    let kind = |id: i64| kinds.get(&Some(id)).cloned().unwrap_or_default();
    names.into_iter().map(|(id, name)| (id, (name, kind(id)))).collect()
}

/// `long`, `struct`, `string, required`.
fn typed(kind: &Value, is_required: bool) -> String {
    let nested = kind.get("type").and_then(Value::as_str).unwrap_or("unknown");
    let name = kind.as_str().unwrap_or(nested);
    if is_required { format!("{name}, required") } else { name.to_owned() }
}

/// What changed besides snapshots and columns.
fn besides(before: &Metadata, after: &Metadata) -> Vec<String> {
    let mut changes = Vec::new();
    let object = |of: &Metadata, key: &str| {
        of.json().get(key).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    for (key, what) in [("properties", "property"), ("refs", "branch or tag")] {
        let (old, new) = (object(before, key), object(after, key));
        let is_told = |name: &String| key != "refs" || name != "main";
        for (name, value) in
            new.iter().filter(|(name, value)| is_told(name) && old.get(*name) != Some(value))
        {
            let at = number(value, "snapshot-id").map(|id| id.to_string());
            let value = at.or_else(|| value.as_str().map(|text| format!("'{text}'")));
            changes.push(format!("{what} '{name}' set to {}", value.unwrap_or_default()));
        }
        let gone = old.keys().filter(|name| is_told(name) && !new.contains_key(*name));
        changes.extend(gone.map(|name| format!("{what} '{name}' removed")));
    }
    for (list, id, choice, what) in [
        ("partition-specs", "spec-id", "default-spec-id", "partition spec"),
        ("sort-orders", "order-id", "default-sort-order-id", "sort order"),
    ] {
        let of = |table: &Metadata| {
            let fields =
                chosen(table, list, id, choice).and_then(|one| one.get("fields")?.as_array());
            fields
                .into_iter()
                .flatten()
                .map(|field| part(table, field))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (old, new) = (of(before), of(after));
        if old != new {
            changes.push(format!("{what} set to ({new})"));
        }
    }
    let told = |table: &Metadata, key: &str| match table.json().get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    for (key, what) in
        [("format-version", "format version"), ("location", "location"), ("table-uuid", "uuid")]
    {
        let (old, new) = (told(before, key), told(after, key));
        if old != new {
            changes.push(format!("{what} changed from {old} to {new}"));
        }
    }
    changes
}

/// A field of a partition spec or sort order: `day(at)`, `id desc`.
fn part(table: &Metadata, field: &Value) -> String {
    let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
    let source = number(field, "source-id").unwrap_or(-1);
    let column =
        columns_of(table).remove(&source).map_or_else(|| source.to_string(), |(name, _)| name);
    let whole = match text("transform") {
        "identity" => column,
        transform => format!("{transform}({column})"),
    };
    match text("direction") {
        "" => whole,
        direction => format!("{whole} {direction}"),
    }
}

fn few(mut changes: Vec<String>) -> Vec<String> {
    let more = changes.len().saturating_sub(CHANGES_TOLD);
    if more > 0 {
        changes.truncate(CHANGES_TOLD);
        changes.push(format!("and {more} more"));
    }
    changes
}
