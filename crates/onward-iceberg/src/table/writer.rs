//! What a writer does that appends one file: its manifest, its list, and the commit that names both. For measuring,
//! and for trying a catalog out without an engine.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Invalid;
use super::avro::container::{self, Header, SCHEMA};
use super::avro::encode::{bytes, long};
use super::avro::list::{Counts, Entry, List};

/// The version of the format that is written.
const VERSION: u8 = 2;
/// The mark between the blocks of a file.
const SYNC: [u8; 16] = *b"onward's appends";
/// Bytes of the data file, as the manifest has them.
const FILE_BYTES: i64 = 1024;

/// An append of one data file to a table of version 2 without partitions, whose schema has the id 0. The data file
/// itself is only named.
#[derive(Debug, Clone)]
pub struct Append<'a> {
    /// The folder of the table.
    pub location: &'a str,
    /// The id of the new snapshot.
    pub snapshot_id: i64,
    /// The snapshot that it begins from, and its sequence number; none for the first one of a table.
    pub parent: Option<(i64, i64)>,
    /// How often it was tried before: each try has a list of its own.
    pub attempt: u32,
    /// Rows of the file.
    pub rows: i64,
    /// Rows of the table with it, where the writer knows.
    pub total_rows: Option<i64>,
    /// The present time, in ms of the epoch.
    pub now_ms: i64,
}

impl Append<'_> {
    /// Where the manifest lies.
    #[must_use]
    pub fn manifest_location(&self) -> String {
        format!("{}/metadata/{}-m0.avro", self.location, self.snapshot_id)
    }

    /// Where the list lies.
    #[must_use]
    pub fn list_location(&self) -> String {
        let Self { location, snapshot_id, attempt, .. } = self;
        format!("{location}/metadata/snap-{snapshot_id}-{attempt}.avro")
    }

    /// The bytes of the manifest.
    ///
    /// # Errors
    ///
    /// Where it cannot be compressed.
    pub fn manifest(&self) -> Result<Bytes, Invalid> {
        self.manifest_naming(&format!("{}/data/{}.parquet", self.location, self.snapshot_id))
    }

    /// The bytes of a manifest with a data file that lies somewhere else.
    ///
    /// # Errors
    ///
    /// Where it cannot be compressed.
    pub fn manifest_naming(&self, path: &str) -> Result<Bytes, Invalid> {
        let mut plain = Vec::new();
        // Added, by this snapshot, with the sequence numbers that it will have.
        long(&mut plain, 1);
        [1, self.snapshot_id, 0, 0].iter().for_each(|number| long(&mut plain, *number));
        long(&mut plain, 0);
        bytes(&mut plain, path.as_bytes());
        bytes(&mut plain, b"PARQUET");
        [self.rows, FILE_BYTES].iter().for_each(|number| long(&mut plain, *number));
        let block = container::pack(1, &plain).map_err(|error| Invalid::new(error.to_string()))?;
        let pairs = [
            (SCHEMA, manifest_schema()),
            (container::CODEC, container::DEFLATE.to_owned()),
            ("format-version", VERSION.to_string()),
            ("content", "data".to_owned()),
            ("partition-spec", "[]".to_owned()),
            ("partition-spec-id", "0".to_owned()),
            ("schema", r#"{"type":"struct","schema-id":0,"fields":[]}"#.to_owned()),
        ];
        let header: Header =
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        Ok(container::write(&header, std::iter::once(&block), SYNC))
    }

    /// The bytes of the list: the manifest, whose length is given, behind those of the parent's list.
    ///
    /// # Errors
    ///
    /// Where the parent's list cannot be read.
    pub fn list(&self, manifest_bytes: usize, parents: Option<&Bytes>) -> Result<Bytes, Invalid> {
        let wrong = |error: super::avro::Unreadable| Invalid::new(error.to_string());
        let mut list = match parents {
            Some(parents) => List::read(parents, VERSION).map_err(wrong)?,
            None => List::of(VERSION, Vec::new()),
        };
        list.push(Entry {
            path: self.manifest_location(),
            length: i64::try_from(manifest_bytes).unwrap_or(i64::MAX),
            sequence: self.sequence(),
            min_sequence: self.sequence(),
            snapshot_id: self.snapshot_id,
            files: Counts { added: Some(1), existing: Some(0), deleted: Some(0) },
            rows: Counts { added: Some(self.rows), existing: Some(0), deleted: Some(0) },
            ..Entry::default()
        });
        let pairs = [("snapshot-id", self.snapshot_id.to_string())];
        list.write(&pairs, SYNC).map_err(wrong)
    }

    /// What is sent to the catalog, on the condition that `main` is where the append begins.
    #[must_use]
    pub fn commit(&self, operation: &str) -> Value {
        let id = self.snapshot_id;
        let mut snapshot = json!({
            "snapshot-id": id, "sequence-number": self.sequence(), "timestamp-ms": self.now_ms,
            "manifest-list": self.list_location(), "schema-id": 0,
            "summary": {
                "operation": operation, "added-data-files": "1", "added-records": self.rows.to_string(),
                "added-files-size": FILE_BYTES.to_string(),
            },
        });
        let parent = self.parent.map(|(parent, _)| parent);
        if let Some(of) = snapshot.as_object_mut() {
            of.extend(parent.map(|parent| ("parent-snapshot-id".to_owned(), parent.into())));
        }
        if let Some(summary) = snapshot.pointer_mut("/summary").and_then(Value::as_object_mut) {
            let total = self.total_rows.map(|rows| rows.to_string());
            summary.extend(total.map(|total| ("total-records".to_owned(), total.into())));
        }
        json!({
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": parent}],
            "updates": [
                {"action": "add-snapshot", "snapshot": snapshot},
                {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id},
            ],
        })
    }

    fn sequence(&self) -> i64 {
        self.parent.map_or(1, |(_, sequence)| sequence.saturating_add(1))
    }
}

/// The fields of a manifest that have to be there, by the specification of the format.
fn manifest_schema() -> String {
    let field =
        |name: &str, id: i64, kind: Value| json!({"name": name, "type": kind, "field-id": id});
    let maybe = |name: &str, id: i64| json!({"name": name, "type": ["null", "long"], "default": null, "field-id": id});
    let partition = json!({"type": "record", "name": "r102", "fields": []});
    let file = json!({"type": "record", "name": "r2", "fields": [
        field("content", 134, json!("int")),
        field("file_path", 100, json!("string")),
        field("file_format", 101, json!("string")),
        field("partition", 102, partition),
        field("record_count", 103, json!("long")),
        field("file_size_in_bytes", 104, json!("long")),
    ]});
    json!({"type": "record", "name": "manifest_entry", "fields": [
        field("status", 0, json!("int")),
        maybe("snapshot_id", 1),
        maybe("sequence_number", 3),
        maybe("file_sequence_number", 4),
        field("data_file", 2, file),
    ]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::avro::manifest::Manifest;

    #[test]
    fn what_is_written_is_read() {
        let first = Append {
            location: "file:///w/t",
            snapshot_id: 7,
            parent: None,
            attempt: 0,
            rows: 3,
            total_rows: Some(3),
            now_ms: 1,
        };
        let manifest = first.manifest().unwrap();
        let read = Manifest::read(&manifest).unwrap();
        assert!(read.is_of_rows() && read.entries[0].is_added());
        assert_eq!((read.entries.len(), read.entries[0].rows), (1, 3));
        assert_eq!((read.entries[0].snapshot_id, read.schema_id()), (Some(7), Some(0)));
        let list = first.list(manifest.len(), None).unwrap();
        let second = Append { snapshot_id: 8, parent: Some((7, 1)), ..first.clone() };
        let list = second.list(manifest.len(), Some(&list)).unwrap();
        let list = List::read(&list, VERSION).unwrap();
        let found: Vec<_> =
            list.entries().iter().map(|one| (one.snapshot_id, one.sequence)).collect();
        assert_eq!(found, [(7, 1), (8, 2)]);
        assert_eq!(list.entries()[1].path, second.manifest_location());
        assert!(crate::table::Commit::from_json(&second.commit("append")).is_ok());
    }
}
