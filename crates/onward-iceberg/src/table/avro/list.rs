//! Manifest lists: which manifests a snapshot has.

use apache_avro::types::Value;
use bytes::Bytes;

use super::Unreadable;
use super::container::{self, Block, CODEC, Container, DEFLATE, Header, SCHEMA};
use super::encode::{bytes, long};
use super::record::{self, number, of_record, plain};

/// Entries of a block that is not touched again.
const SEALED_ENTRIES: usize = 32;

/// A manifest, as a list has it. Fields are those of the specification's `manifest_file`; what version 1 leaves out
/// is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::table) struct Entry {
    pub path: String,
    pub length: i64,
    pub spec_id: i64,
    /// 0 for data, 1 for deletes.
    pub content: i64,
    pub sequence: i64,
    pub min_sequence: i64,
    pub snapshot_id: i64,
    pub files: Counts,
    pub rows: Counts,
    pub partitions: Option<Vec<Part>>,
    pub key_metadata: Option<Vec<u8>>,
    pub first_row_id: Option<i64>,
}

/// How many of a manifest are added, existing and deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::table) struct Counts {
    pub added: Option<i64>,
    pub existing: Option<i64>,
    pub deleted: Option<i64>,
}

/// What values a field of the partitions has in a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::table) struct Part {
    pub contains_null: bool,
    pub contains_nan: Option<bool>,
    pub lower: Option<Vec<u8>>,
    pub upper: Option<Vec<u8>>,
}

/// A list in the making: entries, and those of them that are encoded already.
#[derive(Debug, Clone)]
pub(in crate::table) struct List {
    version: u8,
    entries: Vec<Entry>,
    /// Encoded, from the first entry on.
    sealed: Vec<Block>,
    sealed_entries: usize,
}

impl List {
    /// A list for a table of a version of the format.
    pub(in crate::table) fn of(version: u8, entries: Vec<Entry>) -> Self {
        Self { version, entries, sealed: Vec::new(), sealed_entries: 0 }
    }

    /// Reads a list, whoever has written it. Blocks of one that was written here are kept as they are.
    pub(in crate::table) fn read(file: &Bytes, version: u8) -> Result<Self, Unreadable> {
        Self::of_container(&Container::read(file)?, version)
    }

    /// The entries of a list that has so many bytes at most when it is not compressed any more.
    pub(in crate::table) fn entries_within(
        file: &Bytes,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, Unreadable> {
        // Entries are read by the schema of the file, whatever version it is of.
        Ok(Self::of_container(&Container::read_within(file, bytes_max)?, 2)?.entries)
    }

    fn of_container(container: &Container, version: u8) -> Result<Self, Unreadable> {
        let schema = record::schema(container.text(SCHEMA))?;
        let ours = container.text(SCHEMA) == Some(schema_text(version).as_str())
            && container.text(CODEC) == Some(DEFLATE);
        let mut list = Self::of(version, Vec::new());
        let mut all_sealed = ours;
        for unpacked in container.unpacked() {
            let (block, plain) = unpacked?;
            let mut rest: &[u8] = &plain;
            for _ in 0..block.records {
                list.entries.push(entry(of_record(&schema)?, &mut rest)?);
            }
            if !rest.is_empty() {
                return Err(Unreadable::new("more bytes than entries"));
            }
            all_sealed &= block.records == SEALED_ENTRIES;
            if all_sealed {
                list.sealed_entries += block.records;
                list.sealed.push(block.clone());
            }
        }
        Ok(list)
    }

    /// The version of the format that it is written for.
    pub(in crate::table) fn version(&self) -> u8 {
        self.version
    }

    /// All entries, in their order.
    pub(in crate::table) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry behind the others.
    pub(in crate::table) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The bytes of the list, with `pairs` in its header besides what every list has.
    pub(in crate::table) fn write(
        &mut self,
        pairs: &[(&str, String)],
        sync: [u8; 16],
    ) -> Result<Bytes, Unreadable> {
        let mut tail = None;
        for some in
            self.entries.get(self.sealed_entries..).unwrap_or_default().chunks(SEALED_ENTRIES)
        {
            let mut plain = Vec::new();
            for entry in some {
                encode(&mut plain, entry, self.version)?;
            }
            let block = container::pack(some.len(), &plain)?;
            if some.len() == SEALED_ENTRIES {
                self.sealed_entries += some.len();
                self.sealed.push(block);
            } else {
                tail = Some(block);
            }
        }
        let mut header = Header::new();
        header.insert(SCHEMA.to_owned(), schema_text(self.version).into());
        header.insert(CODEC.to_owned(), DEFLATE.into());
        header.insert("format-version".to_owned(), self.version.to_string().into());
        header.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())));
        Ok(container::write(&header, self.sealed.iter().chain(&tail), sync))
    }
}

fn entry(
    schema: &apache_avro::schema::RecordSchema,
    from: &mut &[u8],
) -> Result<Entry, Unreadable> {
    let mut entry = Entry::default();
    for field in record::take(schema, from)? {
        let value = field.value;
        let whole = || number(&value);
        match field.id {
            500 => entry.path = text(&value)?,
            501 => entry.length = whole()?.unwrap_or(0),
            502 => entry.spec_id = whole()?.unwrap_or(0),
            517 => entry.content = whole()?.unwrap_or(0),
            515 => entry.sequence = whole()?.unwrap_or(0),
            516 => entry.min_sequence = whole()?.unwrap_or(0),
            503 => entry.snapshot_id = whole()?.unwrap_or(-1),
            504 => entry.files.added = whole()?,
            505 => entry.files.existing = whole()?,
            506 => entry.files.deleted = whole()?,
            512 => entry.rows.added = whole()?,
            513 => entry.rows.existing = whole()?,
            514 => entry.rows.deleted = whole()?,
            507 => entry.partitions = parts(value)?,
            519 => entry.key_metadata = optional_bytes(value)?,
            520 => entry.first_row_id = whole()?,
            other => return Err(Unreadable::new(format!("a manifest's field {other} is unknown"))),
        }
    }
    Ok(entry)
}

fn text(value: &Value) -> Result<String, Unreadable> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Unreadable::new("a path that is no string")),
    }
}

fn optional_bytes(value: Value) -> Result<Option<Vec<u8>>, Unreadable> {
    match plain(value) {
        Value::Null => Ok(None),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Ok(Some(bytes)),
        _ => Err(Unreadable::new("a bound that is not bytes")),
    }
}

fn parts(value: Value) -> Result<Option<Vec<Part>>, Unreadable> {
    let one = |value: Value| {
        let Value::Record(fields) = value else {
            return Err(Unreadable::new("a partition that is no record"));
        };
        let mut part = Part::default();
        for (name, value) in fields {
            match (name.as_str(), plain(value)) {
                ("contains_null", Value::Boolean(yes)) => part.contains_null = yes,
                ("contains_nan", Value::Boolean(yes)) => part.contains_nan = Some(yes),
                ("contains_nan", Value::Null) => {}
                ("lower_bound", value) => part.lower = optional_bytes(value)?,
                ("upper_bound", value) => part.upper = optional_bytes(value)?,
                _ => return Err(Unreadable::new(format!("a partition's '{name}' is unknown"))),
            }
        }
        Ok(part)
    };
    match value {
        Value::Null => Ok(None),
        Value::Array(all) => all.into_iter().map(one).collect::<Result<_, _>>().map(Some),
        _ => Err(Unreadable::new("partitions that are no list")),
    }
}

/// Appends an entry by the schema of [`schema_text`].
fn encode(out: &mut Vec<u8>, entry: &Entry, version: u8) -> Result<(), Unreadable> {
    bytes(out, entry.path.as_bytes());
    long(out, entry.length);
    long(out, entry.spec_id);
    if version > 1 {
        [entry.content, entry.sequence, entry.min_sequence].iter().for_each(|n| long(out, *n));
    }
    long(out, entry.snapshot_id);
    for counts in [entry.files, entry.rows] {
        for count in [counts.added, counts.existing, counts.deleted] {
            match (version, count) {
                (1, count) => optional(out, count.as_ref(), |out, count| long(out, *count)),
                (_, Some(count)) => long(out, count),
                (_, None) => return Err(Unreadable::new("a manifest says not how many it has")),
            }
        }
    }
    optional(out, entry.partitions.as_ref(), |out, parts| encode_parts(out, parts));
    optional(out, entry.key_metadata.as_ref(), |out, key| bytes(out, key));
    if version > 2 {
        optional(out, entry.first_row_id.as_ref(), |out, id| long(out, *id));
    }
    Ok(())
}

fn encode_parts(out: &mut Vec<u8>, parts: &[Part]) {
    if !parts.is_empty() {
        long(out, i64::try_from(parts.len()).unwrap_or(i64::MAX));
    }
    for part in parts {
        out.push(u8::from(part.contains_null));
        optional(out, part.contains_nan.as_ref(), |out, yes| out.push(u8::from(*yes)));
        optional(out, part.lower.as_ref(), |out, bound| bytes(out, bound));
        optional(out, part.upper.as_ref(), |out, bound| bytes(out, bound));
    }
    long(out, 0);
}

/// A union of `null` and something.
fn optional<T: ?Sized>(out: &mut Vec<u8>, value: Option<&T>, some: impl FnOnce(&mut Vec<u8>, &T)) {
    long(out, i64::from(value.is_some()));
    if let Some(value) = value {
        some(out, value);
    }
}

/// The schema of the lists that are written here, by the version of the format.
fn schema_text(version: u8) -> String {
    let needed = |name: &str, id: i64, kind: &str| {
        format!(r#"{{"name":"{name}","type":"{kind}","field-id":{id}}}"#)
    };
    let maybe = |name: &str, id: i64, kind: &str| {
        format!(r#"{{"name":"{name}","type":["null",{kind}],"default":null,"field-id":{id}}}"#)
    };
    let count = |name: &str, id: i64, kind: &str| match version {
        1 => maybe(name, id, &format!(r#""{kind}""#)),
        _ => needed(name, id, kind),
    };
    let part = [
        needed("contains_null", 509, "boolean"),
        maybe("contains_nan", 518, r#""boolean""#),
        maybe("lower_bound", 510, r#""bytes""#),
        maybe("upper_bound", 511, r#""bytes""#),
    ];
    let parts = format!(
        r#"{{"type":"array","items":{{"type":"record","name":"r508","fields":[{}]}},"element-id":508}}"#,
        part.join(",")
    );
    let mut fields = vec![
        needed("manifest_path", 500, "string"),
        needed("manifest_length", 501, "long"),
        needed("partition_spec_id", 502, "int"),
    ];
    if version > 1 {
        fields.push(needed("content", 517, "int"));
        fields.push(needed("sequence_number", 515, "long"));
        fields.push(needed("min_sequence_number", 516, "long"));
    }
    fields.push(needed("added_snapshot_id", 503, "long"));
    fields.push(count("added_files_count", 504, "int"));
    fields.push(count("existing_files_count", 505, "int"));
    fields.push(count("deleted_files_count", 506, "int"));
    fields.push(count("added_rows_count", 512, "long"));
    fields.push(count("existing_rows_count", 513, "long"));
    fields.push(count("deleted_rows_count", 514, "long"));
    fields.push(maybe("partitions", 507, &parts));
    fields.push(maybe("key_metadata", 519, r#""bytes""#));
    if version > 2 {
        fields.push(maybe("first_row_id", 520, r#""long""#));
    }
    format!(r#"{{"type":"record","name":"manifest_file","fields":[{}]}}"#, fields.join(","))
}
