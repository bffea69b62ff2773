//! What a commit changes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::Draft;
use super::json::{a_text, an_integer, integer, integers, needed, object, texts, within};
use super::{Invalid, Metadata, NotApplied, validate};

/// One change of a commit, of those that the REST specification has for tables. What is a [`Value`] is as the
/// specification of the format has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Gives a new table its uuid.
    AssignUuid(String),
    /// Raises the version of the format.
    UpgradeFormatVersion(i64),
    /// Adds a schema.
    AddSchema(Value),
    /// Makes a schema the current one; -1 is the last that was added.
    SetCurrentSchema(i64),
    /// Adds a partition spec.
    AddSpec(Value),
    /// Makes a spec the default; -1 is the last that was added.
    SetDefaultSpec(i64),
    /// Adds a sort order.
    AddSortOrder(Value),
    /// Makes an order the default; -1 is the last that was added.
    SetDefaultSortOrder(i64),
    /// Adds a snapshot, which no branch names yet.
    AddSnapshot(Value),
    /// Lets a branch or tag name a snapshot.
    SetSnapshotRef {
        /// The branch or tag.
        name: String,
        /// What it is: `type`, `snapshot-id`, and how long it is kept.
        reference: Value,
    },
    /// Removes snapshots, and what names them.
    RemoveSnapshots(Vec<i64>),
    /// Removes a branch or tag.
    RemoveSnapshotRef(String),
    /// Names another folder for what is written from now on.
    SetLocation(String),
    /// Sets properties of the table to new values.
    SetProperties(BTreeMap<String, String>),
    /// Takes properties of the table away.
    RemoveProperties(Vec<String>),
    /// Names the statistics of a snapshot.
    SetStatistics(Value),
    /// Forgets the statistics of a snapshot.
    RemoveStatistics(i64),
    /// Names the partition statistics of a snapshot.
    SetPartitionStatistics(Value),
    /// Forgets the partition statistics of a snapshot.
    RemovePartitionStatistics(i64),
    /// Removes specs that nothing uses.
    RemovePartitionSpecs(Vec<i64>),
    /// Removes schemas that nothing uses.
    RemoveSchemas(Vec<i64>),
    /// Adds a key that others are encrypted by.
    AddEncryptionKey(Value),
    /// Removes such a key.
    RemoveEncryptionKey(String),
}

impl Update {
    /// Reads an update of the REST specification.
    ///
    /// # Errors
    ///
    /// Where it is unknown, of a view, or has not what its action takes.
    pub fn from_json(value: &Value) -> Result<Self, Invalid> {
        let of = object(value, "an update")?;
        let action = a_text(of, "action", "an update")?;
        let whole = |key| an_integer(of, key, action);
        let inner = |key| needed(within(of, key, action), key, action).cloned().map(Value::Object);
        let name = |key| a_text(of, key, action).map(str::to_owned);
        Ok(match action {
            "assign-uuid" => {
                validate::uuid(a_text(of, "uuid", action)?)?;
                Self::AssignUuid(name("uuid")?)
            }
            "upgrade-format-version" => Self::UpgradeFormatVersion(whole("format-version")?),
            "add-schema" => Self::AddSchema(inner("schema")?),
            "set-current-schema" => Self::SetCurrentSchema(whole("schema-id")?),
            "add-spec" => Self::AddSpec(inner("spec")?),
            "set-default-spec" => Self::SetDefaultSpec(whole("spec-id")?),
            "add-sort-order" => Self::AddSortOrder(inner("sort-order")?),
            "set-default-sort-order" => Self::SetDefaultSortOrder(whole("sort-order-id")?),
            "add-snapshot" => Self::AddSnapshot(inner("snapshot")?),
            "set-snapshot-ref" => {
                Self::SetSnapshotRef { name: name("ref-name")?, reference: reference(of)? }
            }
            "remove-snapshots" => Self::RemoveSnapshots(integers(of, "snapshot-ids", action)?),
            "remove-snapshot-ref" => Self::RemoveSnapshotRef(name("ref-name")?),
            "set-location" => Self::SetLocation(name("location")?),
            "set-properties" => {
                // The specification says `updates`; older clients said `updated`.
                let key = if of.contains_key("updates") { "updates" } else { "updated" };
                let properties = needed(within(of, key, action), "updates", action)?;
                texts(properties, action)?;
                let pair = |(key, value): (&String, &Value)| {
                    (key.clone(), value.as_str().unwrap_or_default().to_owned())
                };
                Self::SetProperties(properties.iter().map(pair).collect())
            }
            "remove-properties" => {
                let key = if of.contains_key("removals") { "removals" } else { "removed" };
                let names = super::json::list(of, key, action)?;
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                let wrong = || Invalid::new("remove-properties: 'removals' are names");
                Self::RemoveProperties(names.collect::<Option<_>>().ok_or_else(wrong)?)
            }
            "set-statistics" => Self::SetStatistics(with_snapshot(of, "statistics")?),
            "remove-statistics" => Self::RemoveStatistics(whole("snapshot-id")?),
            "set-partition-statistics" => {
                let files = inner("partition-statistics")?;
                validate::statistics_file(&files, "partition-statistics")?;
                Self::SetPartitionStatistics(files)
            }
            "remove-partition-statistics" => Self::RemovePartitionStatistics(whole("snapshot-id")?),
            "remove-partition-specs" => {
                Self::RemovePartitionSpecs(integers(of, "spec-ids", action)?)
            }
            "remove-schemas" => Self::RemoveSchemas(integers(of, "schema-ids", action)?),
            "add-encryption-key" => {
                let key = inner("encryption-key")?;
                a_text(object(&key, action)?, "key-id", action)?;
                a_text(object(&key, action)?, "encrypted-key-metadata", action)?;
                Self::AddEncryptionKey(key)
            }
            "remove-encryption-key" => Self::RemoveEncryptionKey(name("key-id")?),
            "add-view-version" | "set-current-view-version" => {
                return Err(Invalid::new(format!("'{action}' is of a view, and this is a table")));
            }
            other => return Err(Invalid::new(format!("unknown update '{other}'"))),
        })
    }
}

/// The branch or tag that `set-snapshot-ref` sets, without its name.
fn reference(of: &super::json::Object) -> Result<Value, Invalid> {
    let mut reference = of.clone();
    reference.remove("action");
    reference.remove("ref-name");
    let reference = Value::Object(reference);
    validate::reference(a_text(of, "ref-name", "set-snapshot-ref")?, &reference)?;
    Ok(reference)
}

/// Statistics, whose snapshot older clients name beside them alone.
fn with_snapshot(of: &super::json::Object, key: &str) -> Result<Value, Invalid> {
    let mut files = needed(within(of, key, key), key, key)?.clone();
    if let (None, Some(id)) = (files.get("snapshot-id"), integer(of, "snapshot-id", key)?) {
        files.insert("snapshot-id".to_owned(), id.into());
    }
    let files = Value::Object(files);
    validate::statistics_file(&files, key)?;
    Ok(files)
}

/// What `updates` make of `base`, or of nothing where a table is made. `previous_location` is where the metadata
/// of `base` lies, for the log of the new one. Nothing that changes nothing is logged: `base` comes back.
///
/// # Errors
///
/// Where an update is wrong, where the result would be, or where it was made for an older state of the table.
pub fn apply(
    base: Option<&Metadata>,
    updates: &[Update],
    now_ms: i64,
    previous_location: Option<&str>,
) -> Result<Metadata, NotApplied> {
    let mut draft = Draft::of(base, now_ms);
    draft.apply(updates)?;
    if let Some(base) = base.filter(|base| base.json().as_object() == Some(draft.json())) {
        return Ok(base.clone());
    }
    Ok(draft.finish(previous_location)?)
}
