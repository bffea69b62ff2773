//! A client that appends, and files in memory: as PyIceberg, with the schemas of its files.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Mutex;

use apache_avro::types::Value as Avro;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::fixture;
use crate::table::avro::container::{self, Container, SCHEMA};
use crate::table::avro::list::{Counts, Entry, List};
use crate::table::avro::manifest::Manifest;
use crate::table::{Commit, Metadata, TableFiles};

/// Files in memory.
pub(super) struct Memory(Mutex<HashMap<String, Bytes>>);

#[async_trait]
impl TableFiles for Memory {
    async fn read(&self, location: &str, bytes_max: u64) -> io::Result<Bytes> {
        let bytes = self.0.lock().unwrap().get(location).cloned();
        let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > bytes_max {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(bytes)
        }
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        let before = self.0.lock().unwrap().insert(location.to_owned(), bytes);
        assert!(before.is_none(), "{location} is written twice");
        Ok(())
    }
}

impl Memory {
    /// The files of all tables that PyIceberg made.
    pub(super) fn new() -> Self {
        Self(Mutex::new(fixture::files().map(|(name, bytes)| (name, bytes.into())).collect()))
    }

    pub(super) fn bytes(&self, location: &str) -> Bytes {
        self.0.lock().unwrap()[location].clone()
    }

    pub(super) fn put(&self, location: &str, bytes: Bytes) {
        self.0.lock().unwrap().insert(location.to_owned(), bytes);
    }

    pub(super) fn remove(&self, location: &str) {
        self.0.lock().unwrap().remove(location).unwrap();
    }

    /// Bytes of all files whose names contain `part`.
    pub(super) fn size(&self, part: &str) -> usize {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(name, _)| name.contains(part)).map(|(_, bytes)| bytes.len()).sum()
    }
}

pub(super) fn list_of(table: &Metadata, snapshot: i64) -> &str {
    table.snapshot(snapshot).unwrap()["manifest-list"].as_str().unwrap()
}

pub(super) fn entries(table: &Metadata, files: &Memory, snapshot: i64) -> Vec<Entry> {
    let list = List::read(&files.bytes(list_of(table, snapshot)), table.format_version()).unwrap();
    list.entries().to_vec()
}

/// The live files of a snapshot, how often each is there, and the rows of all.
pub(super) fn scan(
    table: &Metadata,
    files: &Memory,
    snapshot: i64,
) -> (BTreeMap<String, usize>, i64) {
    let mut found = BTreeMap::new();
    let mut rows = 0;
    for entry in entries(table, files, snapshot) {
        let bytes = files.bytes(&entry.path);
        assert_eq!(entry.length, bytes.len() as i64, "{}", entry.path);
        let manifest = Manifest::read(&bytes).unwrap();
        let live = manifest
            .entries
            .iter()
            .filter(|one| !one.is_deleted())
            .map(|one| one.rows)
            .sum::<i64>();
        let counted = entry.rows.added.unwrap() + entry.rows.existing.unwrap();
        assert_eq!(live, counted, "{}", entry.path);
        rows += live;
        for path in paths(&bytes) {
            *found.entry(path).or_default() += 1;
        }
    }
    (found, rows)
}

fn records(manifest: &Bytes) -> (Container, apache_avro::Schema, Vec<Avro>) {
    let container = Container::read(manifest).unwrap();
    let schema = apache_avro::Schema::parse_str(container.text(SCHEMA).unwrap()).unwrap();
    let mut all = Vec::new();
    for unpacked in container.unpacked() {
        let (block, plain) = unpacked.unwrap();
        let mut rest: &[u8] = &plain;
        for _ in 0..block.records {
            all.push(apache_avro::from_avro_datum(&schema, &mut rest, None).unwrap());
        }
    }
    (container, schema, all)
}

fn field<'a>(record: &'a mut Avro, name: &str) -> &'a mut Avro {
    let Avro::Record(fields) = record else { panic!("a record") };
    &mut fields.iter_mut().find(|(known, _)| known == name).unwrap().1
}

/// The paths of the live files of a manifest.
fn paths(manifest: &Bytes) -> Vec<String> {
    let (_, _, mut all) = records(manifest);
    all.retain_mut(|one| *field(one, "status") != Avro::Int(2));
    all.iter_mut()
        .map(|one| match field(field(one, "data_file"), "file_path") {
            Avro::String(path) => path.clone(),
            _ => panic!("a path"),
        })
        .collect()
}

/// An append of one file of `rows` rows, made for `base`: its manifest and its list are written.
pub(super) fn append(base: &Metadata, files: &Memory, id: i64, rows: i64) -> Value {
    let head = base.current_snapshot_id();
    let version = base.format_version();
    let folder = format!("{}/metadata", base.location());
    let like = fixture_manifest(base, files);
    let (mut container, mut schema, mut all) = records(&like);
    all.truncate(1);
    let one = &mut all[0];
    if version > 2 {
        schema = with_row_ids(&mut container);
        let Avro::Record(fields) = field(one, "data_file") else { panic!("a record") };
        fields.push(("first_row_id".to_owned(), Avro::Union(0, Box::new(Avro::Null))));
    }
    *field(one, "status") = Avro::Int(1);
    *field(one, "snapshot_id") = match version {
        1 => Avro::Long(id),
        _ => Avro::Union(1, Box::new(Avro::Long(id))),
    };
    if version > 1 {
        *field(one, "sequence_number") = Avro::Union(0, Box::new(Avro::Null));
        *field(one, "file_sequence_number") = Avro::Union(0, Box::new(Avro::Null));
    }
    let data_file = field(one, "data_file");
    *field(data_file, "file_path") = Avro::String(format!("{}/data/{id}.parquet", base.location()));
    *field(data_file, "record_count") = Avro::Long(rows);
    let plain = apache_avro::to_avro_datum(&schema, all.remove(0)).unwrap();
    let block = container::pack(1, &plain).unwrap();
    let manifest = container::write(&container.header, std::iter::once(&block), [7; 16]);
    let path = format!("{folder}/{id}-m0.avro");
    let total = rows + head.map_or(0, |head| scan(base, files, head).1);
    let old = head.map_or(Vec::new(), |head| entries(base, files, head));
    let sequence = base.last_sequence_number() + 1;
    let own = Entry {
        path: path.clone(),
        length: manifest.len() as i64,
        sequence,
        min_sequence: sequence,
        snapshot_id: id,
        files: Counts { added: Some(1), existing: Some(0), deleted: Some(0) },
        rows: Counts { added: Some(rows), existing: Some(0), deleted: Some(0) },
        ..Entry::default()
    };
    files.put(&path, manifest);
    let mut all: Vec<Entry> = old.into_iter().chain([own]).collect();
    let first_row = base.json()["next-row-id"].as_i64();
    let mut next_row = first_row.unwrap_or(0);
    for entry in all.iter_mut().filter(|one| version > 2 && one.first_row_id.is_none()) {
        entry.first_row_id = Some(next_row);
        next_row += entry.rows.added.unwrap() + entry.rows.existing.unwrap();
    }
    let mut list = List::of(version, all);
    let place = format!("{folder}/snap-{id}-0.avro");
    files.put(&place, list.write(&[], [9; 16]).unwrap());
    let mut snapshot = json!({"snapshot-id": id, "timestamp-ms": base.last_updated_ms() + 1,
        "manifest-list": place, "schema-id": 0, "summary": {"operation": "append",
        "added-data-files": "1", "added-records": rows.to_string(), "total-records": total.to_string()}});
    if let Some(head) = head {
        snapshot["parent-snapshot-id"] = head.into();
    }
    if version > 1 {
        snapshot["sequence-number"] = sequence.into();
    }
    if version > 2 {
        snapshot["first-row-id"] = first_row.into();
        snapshot["added-rows"] = (next_row - first_row.unwrap()).into();
    }
    json!({
        "requirements": [
            {"type": "assert-table-uuid", "uuid": base.uuid()},
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": head},
        ],
        "updates": [
            {"action": "add-snapshot", "snapshot": snapshot},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id},
        ],
    })
}

/// As manifests of version 3 are: a file says the id of its first row.
fn with_row_ids(container: &mut Container) -> apache_avro::Schema {
    let mut schema: Value = serde_json::from_str(container.text(SCHEMA).unwrap()).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    let data_file = fields.iter_mut().find(|field| field["name"] == "data_file").unwrap();
    let more =
        json!({"name": "first_row_id", "type": ["null", "long"], "default": null, "field-id": 142});
    data_file["type"]["fields"].as_array_mut().unwrap().push(more);
    container.header.insert(SCHEMA.to_owned(), schema.to_string().into());
    apache_avro::Schema::parse(&schema).unwrap()
}

pub(super) fn commit(json: &Value) -> Commit {
    Commit::from_json(json).unwrap()
}

/// A manifest of PyIceberg's, of the newest snapshot whose manifests it has written itself.
fn fixture_manifest(base: &Metadata, files: &Memory) -> Bytes {
    let fixture = fixture::newest(if base.format_version() == 1 { "v1" } else { "plain" });
    let like = if base.snapshot_ids().next().is_some() { base } else { &fixture };
    let first = like.snapshot_ids().next().unwrap();
    files.bytes(&entries(like, files, first)[0].path)
}
