//! Which files the files of a table name. What is not wholly understood is an error and never passed over: whoever asks
//! is about to remove what nothing names.

use bytes::Bytes;
use serde_json::Value;

use super::avro::Unreadable;
use super::avro::container::{Container, SCHEMA};
use super::avro::shape::{Scalar, Shape, Steps};
use super::{Invalid, Metadata};

/// Fields of a manifest list, as the specification of versions 1 to 3 has them.
const LISTED: &[i64] =
    &[500, 501, 502, 517, 515, 516, 503, 504, 505, 506, 512, 513, 514, 507, 519, 520];
/// Fields of an entry of a manifest.
const ENTRY: &[i64] = &[0, 1, 2, 3, 4];
/// Fields of a file of a manifest, with those that earlier versions had.
const FILE: &[i64] = &[
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 125, 128, 131, 132, 134, 135, 137,
    140, 141, 142, 143, 144, 145,
];

/// What a `metadata.json` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The folder of the table.
    pub location: String,
    /// Its manifest lists.
    pub lists: Vec<String>,
    /// Manifests that snapshots of version 1 name without a list.
    pub manifests: Vec<String>,
    /// Whatever else in it looks like a location: files of statistics, and what later versions may add.
    pub files: Vec<String>,
}

impl Named {
    /// What metadata names. Earlier metadata, which its log tells of, is not among that: it is needed where a commit
    /// names it.
    ///
    /// # Errors
    ///
    /// Where it is not consistent, of a version that is unknown, or has a snapshot whose manifest list is encrypted.
    pub fn by_metadata(bytes: &[u8]) -> Result<Self, Invalid> {
        let metadata = Metadata::parse(bytes)?;
        let mut named = Self { location: metadata.location().to_owned(), ..Self::default() };
        for id in metadata.snapshot_ids() {
            let Some(snapshot) = metadata.snapshot(id) else { continue };
            if snapshot.get("key-id").is_some_and(|key| !key.is_null()) {
                return Err(Invalid::new(format!(
                    "the manifest list of snapshot {id} is encrypted"
                )));
            }
            let text = |value: &Value| value.as_str().map(str::to_owned);
            named.lists.extend(snapshot.get("manifest-list").and_then(text));
            let listed = snapshot.get("manifests").and_then(Value::as_array);
            named.manifests.extend(listed.into_iter().flatten().filter_map(text));
        }
        let parts = metadata.json().as_object().into_iter().flatten();
        for (key, part) in parts {
            if !matches!(key.as_str(), "location" | "metadata-log") {
                locations(part, &mut named.files);
            }
        }
        Ok(named)
    }
}

impl Named {
    /// Whatever looks like a location in what may be metadata of an unknown kind.
    #[must_use]
    pub fn locations_in(bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        if let Ok(value) = serde_json::from_slice(bytes) {
            locations(&value, &mut found);
        }
        found
    }
}

/// All strings in a value that look like a location.
fn locations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(":/") || text.starts_with('/') => {
            found.push(text.clone());
        }
        Value::Array(all) => all.iter().for_each(|one| locations(one, found)),
        Value::Object(all) => all.values().for_each(|one| locations(one, found)),
        _ => {}
    }
}

/// The manifests that a manifest list names, and how many bytes each has.
///
/// # Errors
///
/// Where it is no manifest list, or one that says something unknown, or a manifest of it is encrypted.
pub fn named_by_list(file: &Bytes) -> Result<Vec<(String, u64)>, Invalid> {
    let mut manifests = Vec::new();
    each_record(file, &[507], None, &[(None, LISTED)], &mut |found| {
        if found.iter().any(|(id, scalar)| *id == 519 && *scalar != Scalar::Null) {
            return Err(Unreadable::new("a manifest is encrypted"));
        }
        let length = match found.iter().find(|(id, _)| *id == 501) {
            Some((_, Scalar::Number(length))) => u64::try_from(*length).unwrap_or(0),
            _ => return Err(Unreadable::new("a manifest without a length")),
        };
        manifests.push((path(found, 500)?.to_owned(), length));
        Ok(())
    })
    .map_err(|error| Invalid::new(format!("manifest list: {error}")))?;
    Ok(manifests)
}

/// Tells each file that a manifest names: data, deletes, and deletion vectors. Those that it says are deleted are among
/// them, as they may go with the snapshot that deleted them and not before.
///
/// # Errors
///
/// Where it is no manifest, or one that says something unknown.
pub fn named_by_manifest(file: &Bytes, told: &mut dyn FnMut(&str)) -> Result<(), Invalid> {
    let known = [(None, ENTRY), (Some(2), FILE)];
    each_record(file, &[102], Some(2), &known, &mut |found| {
        match found.iter().find(|(id, _)| *id == 0) {
            Some((_, Scalar::Number(0..=2))) => {}
            _ => return Err(Unreadable::new("an entry's status is unknown")),
        }
        told(path(found, 100)?);
        Ok(())
    })
    .map_err(|error| Invalid::new(format!("manifest: {error}")))
}

type Found<'a, 'b> = &'a [(i64, Scalar<'b>)];

/// Tells the scalars of each record of a file whose fields are all known.
fn each_record(
    file: &Bytes,
    closed: &'static [i64],
    needed: Option<i64>,
    known: &[(Option<i64>, &[i64])],
    told: &mut dyn FnMut(Found<'_, '_>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let container = Container::read(file)?;
    let schema = container.text(SCHEMA).ok_or_else(|| Unreadable::new("no schema"))?;
    let shape = Shape::of(schema, closed)?;
    shape.ids(needed)?;
    for (within, known) in known {
        let unknown = shape.ids(*within)?.into_iter().find(|id| !known.contains(id));
        if let Some(id) = unknown {
            return Err(Unreadable::new(format!("its field {id} is unknown")));
        }
    }
    let mut steps = Steps::default();
    for unpacked in container.unpacked() {
        let (block, plain) = unpacked?;
        steps.more(plain.len());
        let mut rest: &[u8] = &plain;
        let mut found = Vec::new();
        for _ in 0..block.records {
            found.clear();
            shape.record(&mut rest, &mut steps, &mut |id, scalar| found.push((id, scalar)))?;
            told(&found)?;
        }
        if !rest.is_empty() {
            return Err(Unreadable::new("more bytes than records"));
        }
    }
    Ok(())
}

fn path<'b>(found: Found<'_, 'b>, id: i64) -> Result<&'b str, Unreadable> {
    let scalar = found.iter().find(|(found, _)| *found == id);
    match scalar {
        Some((_, Scalar::Bytes(bytes))) if !bytes.is_empty() => {
            std::str::from_utf8(bytes).map_err(|_| Unreadable::new("a path that is no text"))
        }
        _ => Err(Unreadable::new("a file without a path")),
    }
}
