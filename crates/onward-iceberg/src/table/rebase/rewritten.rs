//! Snapshots made anew for another parent.

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::own::{Own, sum};
use super::shelf::Shelf;
use super::small::Adding;
use super::why::NotRebased;
use crate::table::avro::list::{Entry, List};
use crate::table::draft::Draft;
use crate::table::json::number;

/// Totals of a summary, and what is added to each.
const TOTALS: [(&str, Option<&str>); 6] = [
    ("total-records", Some("added-records")),
    ("total-data-files", Some("added-data-files")),
    ("total-files-size", Some("added-files-size")),
    ("total-delete-files", None),
    ("total-position-deletes", None),
    ("total-equality-deletes", None),
];

/// The snapshot that the next one is put on, and the numbers that it gets.
pub(super) struct Head {
    pub id: i64,
    pub version: u8,
    /// Where its list lies.
    pub list: String,
    timestamp_ms: i64,
    summary: Map<String, Value>,
    last_sequence: i64,
    next_row: i64,
    /// Rows of older manifests that have got their ids with the next snapshot.
    older_rows: i64,
}

impl Head {
    pub(super) fn of(draft: &Draft, asked: &Asked<'_>) -> Result<Self, NotRebased> {
        let json = draft.json();
        let branch = json.get("refs").and_then(|refs| refs.get(asked.branch));
        let branch = branch.filter(|one| one.get("type").and_then(Value::as_str) == Some("branch"));
        let id = branch.and_then(|branch| number(branch, "snapshot-id"));
        let id = id.ok_or_else(|| NotRebased::not("its branch is not there any more"))?;
        let snapshot = draft.snapshot(id).unwrap_or(&Value::Null);
        let of = |key: &str| json.get(key).and_then(Value::as_i64);
        let list = snapshot.get("manifest-list").and_then(Value::as_str);
        Ok(Self {
            id,
            version: draft.version(),
            list: list.ok_or_else(|| NotRebased::not("the head has no manifest list"))?.to_owned(),
            timestamp_ms: number(snapshot, "timestamp-ms").unwrap_or(0),
            summary: snapshot
                .get("summary")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            last_sequence: of("last-sequence-number").unwrap_or(0),
            next_row: of("next-row-id").unwrap_or(0),
            older_rows: 0,
        })
    }

    /// The list of the head, in version 3 with ids for the rows of all its manifests: those from before a table
    /// had that version get them now.
    pub(super) fn numbered(&mut self, list: List) -> Result<List, NotRebased> {
        let without = |entry: &Entry| entry.content == 0 && entry.first_row_id.is_none();
        if self.version < 3 || !list.entries().iter().any(without) {
            return Ok(list);
        }
        let mut entries = list.entries().to_vec();
        for entry in entries.iter_mut().filter(|entry| without(entry)) {
            self.older_rows = self.older_rows.saturating_add(self.number_rows(entry)?);
        }
        Ok(List::of(self.version, entries))
    }

    /// Gives a manifest the ids of its rows, and returns how many there are.
    fn number_rows(&mut self, entry: &mut Entry) -> Result<i64, NotRebased> {
        let (Some(added), Some(existing)) = (entry.rows.added, entry.rows.existing) else {
            return Err(NotRebased::not("a manifest of the head says not how many rows it has"));
        };
        entry.first_row_id = Some(self.next_row);
        let rows = added.saturating_add(existing);
        self.next_row = self.next_row.saturating_add(rows);
        Ok(rows)
    }

    /// What a snapshot is known by that is put on top of this one.
    pub(super) fn adding(&self, snapshot: &Value) -> Adding {
        Adding {
            snapshot_id: number(snapshot, "snapshot-id").unwrap_or(-1),
            sequence: self.last_sequence.saturating_add(i64::from(self.version > 1)),
        }
    }

    /// Puts what a snapshot adds on top of `list`, and becomes that snapshot.
    pub(super) fn with(
        &mut self,
        own: Own<'_>,
        mut list: List,
        shelf: &mut Shelf<'_>,
    ) -> Result<(Value, List), NotRebased> {
        let mut snapshot = own.snapshot.as_object().cloned().unwrap_or_default();
        let Adding { snapshot_id: id, sequence } = self.adding(own.snapshot);
        self.last_sequence = sequence;
        let first_row = self.next_row.saturating_sub(self.older_rows);
        let mut added_rows = std::mem::take(&mut self.older_rows);
        let size = sum(&own.manifests, |entry| entry.rows.added);
        for mut entry in own.manifests {
            (entry.sequence, entry.min_sequence) = (sequence, sequence);
            entry.first_row_id = None;
            if self.version > 2 {
                added_rows = added_rows.saturating_add(self.number_rows(&mut entry)?);
            }
            list.push(entry);
        }
        let place = shelf.name(own.list, &format!("snap-{id}"));
        let mut pairs =
            vec![("snapshot-id", id.to_string()), ("parent-snapshot-id", self.id.to_string())];
        self.timestamp_ms =
            self.timestamp_ms.max(number(own.snapshot, "timestamp-ms").unwrap_or(0));
        let mut set = |key: &str, value: Value| snapshot.insert(key.to_owned(), value);
        set("parent-snapshot-id", self.id.into());
        set("timestamp-ms", self.timestamp_ms.into());
        set("manifest-list", place.as_str().into());
        if self.version > 1 {
            set("sequence-number", sequence.into());
            pairs.push(("sequence-number", sequence.to_string()));
        }
        if self.version > 2 {
            set("first-row-id", first_row.into());
            set("added-rows", added_rows.into());
            pairs.push(("first-row-id", first_row.to_string()));
        }
        let bytes = list.write(&pairs, shelf.sync())?;
        shelf.write(place, bytes);
        if let Some(Value::Object(summary)) = snapshot.get_mut("summary") {
            totals(&self.summary, summary, size);
            self.summary = summary.clone();
        }
        self.id = id;
        Ok((Value::Object(snapshot), list))
    }
}

/// Totals are those of the parent and what was added; one that the parent does not know is known to nobody.
fn totals(parent: &Map<String, Value>, summary: &mut Map<String, Value>, rows: i64) {
    let read = |of: &Map<String, Value>, key: &str| of.get(key)?.as_str()?.parse::<i64>().ok();
    for (total, added) in TOTALS {
        let more = match added {
            Some("added-records") => Some(read(summary, "added-records").unwrap_or(rows)),
            Some(added) => read(summary, added),
            None => Some(0),
        };
        let new = read(parent, total).zip(more).and_then(|(old, more)| old.checked_add(more));
        match new {
            Some(new) => summary.insert(total.to_owned(), json!(new.to_string())),
            None => summary.remove(total),
        };
    }
}
