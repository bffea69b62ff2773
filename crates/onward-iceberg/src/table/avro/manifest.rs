//! Manifests: which files of rows were added, and which are still there.

use apache_avro::Schema;
use apache_avro::types::Value;
use bytes::Bytes;

use super::Unreadable;
use super::container::{self, CODEC, Container, DEFLATE, Header, SCHEMA};
use super::encode::long;
use super::list::Counts;
use super::record::{self, Field, number, of_record};

/// Of an entry: 0 existing, 1 added, 2 deleted.
const EXISTING: i64 = 0;
const ADDED: i64 = 1;
const DELETED: i64 = 2;
/// The field of a file that has the id of its first row.
const FIRST_ROW_ID: i64 = 142;
/// Bytes from which on a block is full, before it is compressed.
const BLOCK_BYTES: usize = 64 << 10;

/// A manifest, its entries one by one.
#[derive(Debug)]
pub(in crate::table) struct Manifest {
    header: Header,
    pub entries: Vec<Entry>,
}

/// What a manifest says of a file.
#[derive(Debug, Clone)]
pub(in crate::table) struct Entry {
    pub status: i64,
    pub snapshot_id: Option<i64>,
    pub sequence: Option<i64>,
    pub file_sequence: Option<i64>,
    /// 0 for rows, above that for deletes.
    pub content: i64,
    pub rows: i64,
    pub encrypted: bool,
    pub first_row_id: Option<i64>,
    /// All of it, as it stands in the file.
    raw: Bytes,
}

impl Entry {
    pub(in crate::table) fn is_added(&self) -> bool {
        self.status == ADDED
    }

    pub(in crate::table) fn is_deleted(&self) -> bool {
        self.status == DELETED
    }
}

impl Manifest {
    /// Reads a manifest, whoever has written it.
    pub(in crate::table) fn read(file: &Bytes) -> Result<Self, Unreadable> {
        Self::of_container(Container::read(file)?)
    }

    /// Reads a manifest that has so many bytes at most when it is not compressed any more.
    pub(in crate::table) fn read_within(
        file: &Bytes,
        bytes_max: usize,
    ) -> Result<Self, Unreadable> {
        Self::of_container(Container::read_within(file, bytes_max)?)
    }

    fn of_container(container: Container) -> Result<Self, Unreadable> {
        let schema = record::schema(container.text(SCHEMA))?;
        let mut entries = Vec::new();
        for unpacked in container.unpacked() {
            let (block, plain) = unpacked?;
            let mut rest: &[u8] = &plain;
            for _ in 0..block.records {
                entries.push(entry(&schema, &plain, &mut rest)?);
            }
            if !rest.is_empty() {
                return Err(Unreadable::new("more bytes than entries"));
            }
        }
        Ok(Self { header: container.header, entries })
    }

    /// Whether it says that it is about rows, and not about deletes.
    pub(in crate::table) fn is_of_rows(&self) -> bool {
        self.header.get("content").is_none_or(|content| content.as_ref() == b"data")
            && self.entries.iter().all(|entry| entry.content == 0)
    }

    /// The id of the schema that it names; none where it names none.
    pub(in crate::table) fn schema_id(&self) -> Option<i64> {
        let schema = self.header.get("schema")?;
        super::super::json::number(&serde_json::from_slice(schema).ok()?, "schema-id")
    }

    /// How many files and rows it has.
    pub(in crate::table) fn counts(&self) -> (Counts, Counts) {
        let count = |status: i64, of: fn(&Entry) -> i64| {
            let some = self.entries.iter().filter(|entry| entry.status == status);
            Some(some.map(of).fold(0i64, i64::saturating_add))
        };
        let all = |of: fn(&Entry) -> i64| Counts {
            added: count(ADDED, of),
            existing: count(EXISTING, of),
            deleted: count(DELETED, of),
        };
        (all(|_| 1), all(|entry| entry.rows))
    }

    /// A manifest with those entries alone that this one adds, as they stand.
    pub(in crate::table) fn of_added(&self, sync: [u8; 16]) -> Result<Bytes, Unreadable> {
        let added = self.entries.iter().filter(|entry| entry.is_added());
        write(&self.header, added.map(|entry| Ok(entry.raw.clone())), sync)
    }
}

/// What manifests must have in common to become one: their schemas, and what they say of themselves.
pub(in crate::table) fn common(manifest: &Manifest) -> Vec<(&str, &[u8])> {
    let said = manifest.header.iter().filter(|(key, _)| key.as_str() != CODEC);
    said.map(|(key, value)| (key.as_str(), value.as_ref())).collect()
}

/// A file of a manifest that goes into another one: its entry, and what the entry inherited so far.
pub(in crate::table) struct Moved<'a> {
    pub entry: &'a Entry,
    pub snapshot_id: i64,
    /// Sequence numbers of the data and of the file; none in version 1.
    pub sequences: Option<(i64, i64)>,
    /// The id of its first row; none before version 3.
    pub first_row_id: Option<i64>,
}

/// A manifest of files that were in manifests before, with what they inherited from those written out. Where those
/// have no place for the ids of rows, as they are of a time before version 3, this one has.
pub(in crate::table) fn of_existing(
    like: &Manifest,
    files: &[Moved<'_>],
    sync: [u8; 16],
) -> Result<Bytes, Unreadable> {
    let text = like.header.get(SCHEMA).and_then(|text| std::str::from_utf8(text).ok());
    let schema = record::schema(text)?;
    let mut header = like.header.clone();
    if files.iter().any(|file| file.first_row_id.is_some())
        && let Some(wider) = text.and_then(with_row_ids)
    {
        header.insert(SCHEMA.to_owned(), wider.into());
        header.insert("format-version".to_owned(), "3".into());
    }
    write(&header, files.iter().map(|file| moved(&schema, file)), sync)
}

/// The schema of a manifest with the id of a file's first row behind all else of the file; none where it has that.
fn with_row_ids(text: &str) -> Option<String> {
    let mut schema: serde_json::Value = serde_json::from_str(text).ok()?;
    let entry = schema.get_mut("fields")?.as_array_mut()?;
    let file = entry.iter_mut().find(|field| field.get("field-id") == Some(&2.into()))?;
    let fields = file.get_mut("type")?.get_mut("fields")?.as_array_mut()?;
    if fields.iter().any(|field| field.get("field-id") == Some(&FIRST_ROW_ID.into())) {
        return None;
    }
    fields.push(serde_json::json!({
        "name": "first_row_id", "type": ["null", "long"], "default": null, "field-id": FIRST_ROW_ID,
    }));
    Some(schema.to_string())
}

fn write(
    header: &Header,
    records: impl Iterator<Item = Result<Bytes, Unreadable>>,
    sync: [u8; 16],
) -> Result<Bytes, Unreadable> {
    let mut blocks = Vec::new();
    let mut plain = Vec::new();
    let mut many = 0;
    for record in records {
        plain.extend_from_slice(&record?);
        many += 1;
        if plain.len() >= BLOCK_BYTES {
            blocks.push(container::pack(many, &plain)?);
            plain.clear();
            many = 0;
        }
    }
    if many > 0 {
        blocks.push(container::pack(many, &plain)?);
    }
    let mut header = header.clone();
    header.insert(CODEC.to_owned(), DEFLATE.into());
    Ok(container::write(&header, blocks.iter(), sync))
}

fn entry(schema: &Schema, whole: &Bytes, from: &mut &[u8]) -> Result<Entry, Unreadable> {
    let before = *from;
    let fields = record::take(of_record(schema)?, from)?;
    let read = before.len().saturating_sub(from.len());
    let raw = whole.slice_ref(before.get(..read).unwrap_or_default());
    let mut entry = Entry {
        status: -1,
        snapshot_id: None,
        sequence: None,
        file_sequence: None,
        content: 0,
        rows: 0,
        encrypted: false,
        first_row_id: None,
        raw,
    };
    for field in fields {
        match field.id {
            0 => entry.status = number(&field.value)?.unwrap_or(-1),
            1 => entry.snapshot_id = number(&field.value)?,
            3 => entry.sequence = number(&field.value)?,
            4 => entry.file_sequence = number(&field.value)?,
            2 => file(&mut entry, field)?,
            other => return Err(Unreadable::new(format!("an entry's field {other} is unknown"))),
        }
    }
    match entry.status {
        EXISTING | ADDED | DELETED => Ok(entry),
        other => Err(Unreadable::new(format!("an entry's status {other} is unknown"))),
    }
}

fn file(entry: &mut Entry, field: Field<'_, '_>) -> Result<(), Unreadable> {
    let schema = of_record(field.schema)?;
    let Value::Record(values) = field.value else {
        return Err(Unreadable::new("a file that is no record"));
    };
    for (known, (_, value)) in schema.fields.iter().zip(values) {
        let value = record::plain(value);
        match record::id(known)? {
            134 => entry.content = number(&value)?.unwrap_or(0),
            103 => entry.rows = number(&value)?.unwrap_or(0),
            131 => entry.encrypted = value != Value::Null,
            FIRST_ROW_ID => entry.first_row_id = number(&value)?,
            _ => {}
        }
    }
    Ok(())
}

/// The bytes of an entry that exists already, with what it inherited.
fn moved(schema: &Schema, file: &Moved<'_>) -> Result<Bytes, Unreadable> {
    let mut from: &[u8] = &file.entry.raw;
    let mut out = Vec::new();
    let (sequence, file_sequence) = file.sequences.unzip();
    let mut missing = file.sequences.is_some() as usize * 2;
    for field in record::take(of_record(schema)?, &mut from)? {
        let number = match field.id {
            0 => Some(EXISTING),
            1 => Some(file.snapshot_id),
            3 => sequence,
            4 => file_sequence,
            _ => None,
        };
        missing = missing.saturating_sub(usize::from(matches!(field.id, 3 | 4)));
        match (field.id, number, file.first_row_id) {
            (2, _, Some(id)) => with_first_row(&mut out, &field, id)?,
            (_, Some(number), _) => put(&mut out, field.schema, number)?,
            (_, None, _) => out.extend_from_slice(field.bytes),
        }
    }
    match missing {
        0 => Ok(out.into()),
        _ => Err(Unreadable::new("a manifest without sequence numbers")),
    }
}

fn with_first_row(
    out: &mut Vec<u8>,
    data_file: &Field<'_, '_>,
    first_row_id: i64,
) -> Result<(), Unreadable> {
    let mut bytes = data_file.bytes;
    let mut missing = true;
    for field in record::take(of_record(data_file.schema)?, &mut bytes)? {
        if field.id == FIRST_ROW_ID {
            missing = false;
            put(out, field.schema, first_row_id)?;
        } else {
            out.extend_from_slice(field.bytes);
        }
    }
    if missing {
        // By the wider schema: the second of `null` and a number.
        [1, first_row_id].iter().for_each(|number| long(out, *number));
    }
    Ok(())
}

/// Appends a number by the schema of its field, which may be a union with `null`.
fn put(out: &mut Vec<u8>, schema: &Schema, number: i64) -> Result<(), Unreadable> {
    let is_number = |schema: &Schema| matches!(schema, Schema::Int | Schema::Long);
    if let Schema::Union(union) = schema {
        let place = union.variants().iter().position(is_number);
        let place = place.and_then(|place| i64::try_from(place).ok());
        long(out, place.ok_or_else(|| Unreadable::new("a number that is none"))?);
    } else if !is_number(schema) {
        return Err(Unreadable::new("a number that is none"));
    }
    long(out, number);
    Ok(())
}
