//! Metadata in the making: updates are carried out one by one on a copy, and what comes out is validated as a whole.

mod schemas;
mod snapshots;
mod statistics;
mod trim;

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::json::{Object, number};
use super::partition::PARTITION_IDS_FROM;
use super::{Invalid, Metadata, NotApplied, Update, normal};

/// A copy of a table's metadata, or of nothing, that updates are carried out on.
pub(super) struct Draft {
    json: Object,
    /// Where in the list each snapshot stands.
    snapshots: HashMap<i64, usize>,
    /// When the base was changed last; none where there is no base.
    base_updated_ms: Option<i64>,
    now_ms: i64,
    /// The newest time that an update gives.
    updated_ms: Option<i64>,
    /// What the present commit has added.
    added: Added,
}

/// What a commit has added so far: -1 in an update stands for the last of these.
#[derive(Default)]
struct Added {
    schema: Option<i64>,
    spec: Option<i64>,
    order: Option<i64>,
    snapshots: HashSet<i64>,
}

impl Draft {
    /// A copy of `base`.
    pub(super) fn of(base: Option<&Metadata>, now_ms: i64) -> Self {
        let json = base.and_then(|base| base.json().as_object()).cloned();
        let ids = base.into_iter().flat_map(Metadata::snapshot_ids);
        Self {
            snapshots: ids.enumerate().map(|(at, id)| (id, at)).collect(),
            json: json.unwrap_or_else(empty),
            base_updated_ms: base.map(Metadata::last_updated_ms),
            now_ms,
            updated_ms: None,
            added: Added::default(),
        }
    }

    /// What it says now. Not validated as a whole.
    pub(super) fn json(&self) -> &Object {
        &self.json
    }

    /// A snapshot that it has now.
    pub(super) fn snapshot(&self, id: i64) -> Option<&Value> {
        self.json.get("snapshots")?.get(*self.snapshots.get(&id)?)
    }

    /// Carries out the updates of one commit. After an error the draft is of no use any more.
    pub(super) fn apply(&mut self, updates: &[Update]) -> Result<(), NotApplied> {
        self.added = Added::default();
        updates.iter().try_for_each(|update| self.one(update))?;
        Ok(self.leave_out_passing_heads()?)
    }

    /// The metadata that came of it, with a line for `previous_location` in its log.
    pub(super) fn finish(mut self, previous_location: Option<&str>) -> Result<Metadata, Invalid> {
        if let (Some(location), Some(at)) = (previous_location, self.base_updated_ms) {
            let kept = self.kept_in_log();
            let log = self.list("metadata-log")?;
            log.push(json!({"metadata-file": location, "timestamp-ms": at}));
            let over = log.len().saturating_sub(kept);
            log.drain(..over);
        }
        let updated = self.updated_ms.unwrap_or(self.now_ms).max(self.base_updated_ms.unwrap_or(0));
        self.set("last-updated-ms", updated);
        normal::lone_ones(&mut self.json);
        Metadata::from_json(Value::Object(self.json))
    }

    fn one(&mut self, update: &Update) -> Result<(), NotApplied> {
        match update {
            Update::AssignUuid(uuid) => self.assign_uuid(uuid)?,
            Update::UpgradeFormatVersion(version) => self.upgrade(*version)?,
            Update::AddSchema(schema) => self.add_schema(schema)?,
            Update::SetCurrentSchema(id) => self.set_current_schema(*id)?,
            Update::AddSpec(spec) => self.add_spec(spec)?,
            Update::SetDefaultSpec(id) => self.set_default_spec(*id)?,
            Update::AddSortOrder(order) => self.add_sort_order(order)?,
            Update::SetDefaultSortOrder(id) => self.set_default_sort_order(*id)?,
            Update::AddSnapshot(snapshot) => self.add_snapshot(snapshot)?,
            Update::SetSnapshotRef { name, reference } => self.set_reference(name, reference)?,
            Update::RemoveSnapshots(ids) => self.remove_snapshots(ids)?,
            Update::RemoveSnapshotRef(name) => self.remove_reference(name)?,
            Update::SetLocation(location) => self.set("location", location.as_str()),
            Update::SetProperties(properties) => {
                let all = self.object("properties")?;
                all.extend(properties.iter().map(|(key, value)| (key.clone(), json!(value))));
            }
            Update::RemoveProperties(names) => {
                let all = self.object("properties")?;
                all.retain(|name, _| !names.contains(name));
            }
            Update::SetStatistics(files) => self.set_statistics("statistics", files)?,
            Update::RemoveStatistics(id) => self.remove_statistics("statistics", *id)?,
            Update::SetPartitionStatistics(files) => {
                self.set_statistics("partition-statistics", files)?;
            }
            Update::RemovePartitionStatistics(id) => {
                self.remove_statistics("partition-statistics", *id)?;
            }
            Update::RemovePartitionSpecs(ids) => self.remove_specs(ids)?,
            Update::RemoveSchemas(ids) => self.remove_schemas(ids)?,
            Update::AddEncryptionKey(key) => self.add_encryption_key(key)?,
            Update::RemoveEncryptionKey(id) => self.remove_encryption_key(id)?,
        }
        Ok(())
    }

    fn assign_uuid(&mut self, uuid: &str) -> Result<(), Invalid> {
        match self.json.get("table-uuid").and_then(Value::as_str) {
            Some(known) if self.base_updated_ms.is_some() && !known.eq_ignore_ascii_case(uuid) => {
                Err(Invalid::new(format!("assign-uuid: the table has the uuid {known} for good")))
            }
            _ => {
                self.set("table-uuid", uuid);
                Ok(())
            }
        }
    }

    fn upgrade(&mut self, version: i64) -> Result<(), Invalid> {
        let present = i64::from(self.version());
        if !(1..=3).contains(&version) {
            let message = format!("upgrade-format-version: {version} is none of 1, 2 and 3");
            return Err(Invalid::new(message));
        }
        if version < present && self.base_updated_ms.is_some() {
            return Err(Invalid::new(format!(
                "upgrade-format-version: a table of version {present} does not become one of {version}"
            )));
        }
        self.set("format-version", version);
        if version > 1 {
            self.json.entry("last-sequence-number").or_insert(0.into());
        } else {
            self.json.remove("last-sequence-number");
        }
        if version > 2 {
            self.json.entry("next-row-id").or_insert(0.into());
        }
        Ok(())
    }

    /// How many lines the log of metadata keeps.
    fn kept_in_log(&self) -> usize {
        let kept = self.property("write.metadata.previous-versions-max");
        kept.and_then(|kept| kept.parse::<usize>().ok()).unwrap_or(100).max(1)
    }

    /// A property of the table.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.json.get("properties")?.get(name)?.as_str()
    }

    /// The version of the format.
    pub(super) fn version(&self) -> u8 {
        self.number("format-version").and_then(|version| u8::try_from(version).ok()).unwrap_or(0)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.json.get(key).and_then(Value::as_i64)
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.json.insert(key.to_owned(), value.into());
    }

    /// A list of the metadata; one that is missing is made.
    fn list(&mut self, key: &str) -> Result<&mut Vec<Value>, Invalid> {
        let value = self.json.entry(key).or_insert_with(|| json!([]));
        value.as_array_mut().ok_or_else(|| Invalid::new(format!("'{key}' is no list")))
    }

    /// An object of the metadata; one that is missing is made.
    fn object(&mut self, key: &str) -> Result<&mut Object, Invalid> {
        let value = self.json.entry(key).or_insert_with(|| json!({}));
        value.as_object_mut().ok_or_else(|| Invalid::new(format!("'{key}' is no object")))
    }

    /// The member of a list that has an id.
    fn member(&self, list: &str, id_key: &str, id: i64) -> Option<&Value> {
        let all = self.json.get(list)?.as_array()?;
        all.iter().find(|one| number(one, id_key) == Some(id))
    }
}

/// A table that nothing is known of yet: version 2 unless an update says otherwise.
fn empty() -> Object {
    let value = json!({
        "format-version": 2, "last-sequence-number": 0, "last-column-id": 0,
        "last-partition-id": PARTITION_IDS_FROM, "schemas": [], "partition-specs": [],
        "sort-orders": [], "snapshots": [], "snapshot-log": [], "metadata-log": [], "refs": {},
        "properties": {}, "statistics": [], "partition-statistics": [],
    });
    match value {
        Value::Object(object) => object,
        // It is written as one.
        _ => Object::new(),
    }
}
