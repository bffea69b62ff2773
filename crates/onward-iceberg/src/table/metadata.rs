//! The metadata of a table, validated: nothing that another engine might stumble over is ever made one of these.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::json::{Object, number};
use super::{Invalid, METADATA_BYTES_MAX, normal, validate};

/// The property by which the owner of a table says whether appends commute.
pub(super) const APPENDS: &str = "onward.appends";
/// That they do.
pub(super) const COMMUTE: &str = "commute";
/// The property by which the owner of a table says whether its snapshots are trimmed: `true`.
pub(super) const TRIMS: &str = "onward.expire-snapshots";

/// What a `metadata.json` says. Cheap to clone; never changed.
#[derive(Debug, Clone)]
pub struct Metadata(Arc<Known>);

#[derive(Debug)]
struct Known {
    json: Value,
    /// Where in the list each snapshot stands.
    snapshots: HashMap<i64, usize>,
}

/// A branch or a tag of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Its name, such as `main`.
    pub name: &'a str,
    /// The snapshot that it names.
    pub snapshot_id: i64,
    /// Whether it is a tag.
    pub tag: bool,
}

impl Metadata {
    /// Reads the bytes of a `metadata.json`. Fields that are unknown stay as they are.
    ///
    /// # Errors
    ///
    /// Where they are not metadata that is consistent in itself, or more than [`METADATA_BYTES_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > METADATA_BYTES_MAX {
            let message = format!("metadata has at most {METADATA_BYTES_MAX} bytes");
            return Err(Invalid::new(message));
        }
        let value = serde_json::from_slice(bytes)
            .map_err(|error| Invalid::new(format!("metadata is no JSON: {error}")))?;
        Self::from_json(value)
    }

    /// Validates metadata. What older tables say in an older way (a lone `schema`, no `refs`) is said in the
    /// present way besides.
    ///
    /// # Errors
    ///
    /// As of [`Metadata::parse`].
    pub fn from_json(mut value: Value) -> Result<Self, Invalid> {
        let Some(metadata) = value.as_object_mut() else {
            return Err(Invalid::new("metadata is no object"));
        };
        normal::form(metadata)?;
        let snapshots = validate::metadata(metadata)?;
        Ok(Self(Arc::new(Known { json: value, snapshots })))
    }

    /// What goes into a `metadata.json`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Appends what goes into a `metadata.json`.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Memory takes whatever is written, and JSON has no map whose keys are not strings.
        let _ = serde_json::to_writer(out, &self.0.json);
    }

    /// All of it, as the specification of the format has it.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0.json
    }

    /// As [`Metadata::json`], with those snapshots alone that a branch or tag names: what the REST
    /// specification calls `snapshots=refs`.
    #[must_use]
    pub fn json_of_refs(&self) -> Value {
        let named: HashSet<i64> = self.references().map(|one| one.snapshot_id).collect();
        let named = |snapshot: &Value| {
            number(snapshot, "snapshot-id").is_some_and(|id| named.contains(&id))
        };
        let without = |(key, value): (&String, &Value)| {
            let value = match (key.as_str(), value) {
                ("snapshots", Value::Array(all)) => {
                    all.iter().filter(|snapshot| named(snapshot)).cloned().collect()
                }
                _ => value.clone(),
            };
            (key.clone(), value)
        };
        self.0.json.as_object().into_iter().flatten().map(without).collect::<Object>().into()
    }

    /// The version of the format: 1, 2 or 3.
    #[must_use]
    pub fn format_version(&self) -> u8 {
        self.number("format-version").and_then(|version| u8::try_from(version).ok()).unwrap_or(0)
    }

    /// The table's uuid.
    #[must_use]
    pub fn uuid(&self) -> &str {
        self.text("table-uuid")
    }

    /// The folder of the table, without a slash at its end.
    #[must_use]
    pub fn location(&self) -> &str {
        self.text("location").trim_end_matches('/')
    }

    /// A property of the table.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.0.json.get("properties")?.get(name)?.as_str()
    }

    /// The snapshot that `main` names.
    #[must_use]
    pub fn current_snapshot_id(&self) -> Option<i64> {
        self.number("current-snapshot-id")
    }

    /// A snapshot, as the specification of the format has it.
    #[must_use]
    pub fn snapshot(&self, id: i64) -> Option<&Value> {
        self.list("snapshots").get(*self.0.snapshots.get(&id)?)
    }

    /// The ids of all snapshots, in the order that they stand in.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.list("snapshots").iter().filter_map(|snapshot| number(snapshot, "snapshot-id"))
    }

    /// All branches and tags.
    pub fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        let all = self.0.json.get("refs").and_then(Value::as_object);
        all.into_iter().flatten().filter_map(|(name, reference)| named(name, reference))
    }

    /// The branch or tag of a name.
    #[must_use]
    pub fn reference(&self, name: &str) -> Option<Reference<'_>> {
        let (name, reference) = self.0.json.get("refs")?.as_object()?.get_key_value(name)?;
        named(name, reference)
    }

    /// The highest sequence number given to a snapshot; 0 in version 1.
    #[must_use]
    pub fn last_sequence_number(&self) -> i64 {
        self.number("last-sequence-number").unwrap_or(0)
    }

    /// When it was last changed, in ms of the epoch.
    #[must_use]
    pub fn last_updated_ms(&self) -> i64 {
        self.number("last-updated-ms").unwrap_or(0)
    }

    /// Whether its owner says that appends of any writers commute (`onward.appends=commute`).
    #[must_use]
    pub fn appends_commute(&self) -> bool {
        self.property(APPENDS) == Some(COMMUTE)
    }

    /// Whether its owner wants snapshots taken out that nothing needs (`onward.expire-snapshots=true`).
    #[must_use]
    pub fn trims(&self) -> bool {
        self.property(TRIMS) == Some("true")
    }

    /// A snapshot and those that it came from, the newest first, as far as they are there.
    pub(super) fn ancestors(&self, head: i64) -> impl Iterator<Item = i64> {
        let parent = move |id: &i64| number(self.snapshot(*id)?, "parent-snapshot-id");
        let most = self.0.snapshots.len();
        let is_there = move |id: &i64| self.0.snapshots.contains_key(id);
        std::iter::successors(Some(head), parent).take(most).take_while(is_there)
    }

    fn number(&self, key: &str) -> Option<i64> {
        number(&self.0.json, key)
    }

    fn text(&self, key: &str) -> &str {
        self.0.json.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0.json.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

fn named<'a>(name: &'a str, reference: &Value) -> Option<Reference<'a>> {
    Some(Reference {
        name,
        snapshot_id: number(reference, "snapshot-id")?,
        tag: reference.get("type").and_then(Value::as_str) == Some("tag"),
    })
}
