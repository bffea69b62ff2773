//! Records of Avro, field by field: Iceberg knows fields by their ids, whatever names programs give them.

use std::io::{self, Read};
use std::sync::{Arc, LazyLock};

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use apache_avro::types::Value;
use quick_cache::sync::Cache;

use super::Unreadable;

/// A field of a record: its id, its value, and the bytes that it was read from.
pub(super) struct Field<'s, 'b> {
    pub id: i64,
    pub schema: &'s Schema,
    pub value: Value,
    pub bytes: &'b [u8],
}

/// Most bytes of a string, and most members of a list at once: what is claimed is made room for before it is read.
const CLAIMED_MAX: usize = 1 << 20;

/// Schemas that are kept, and the longest text of one: a table's files have the same few.
const KEPT_MAX: usize = 64;
const KEPT_BYTES_MAX: usize = 16 << 10;

static KEPT: LazyLock<Cache<String, Arc<Schema>>> = LazyLock::new(|| Cache::new(KEPT_MAX));

/// Reads the schema of a file. Refused is what could take much memory for few bytes.
pub(super) fn schema(text: Option<&str>) -> Result<Arc<Schema>, Unreadable> {
    let text = text.ok_or_else(|| Unreadable::new("no schema"))?;
    if let Some(kept) = KEPT.get(text) {
        return Ok(kept);
    }
    let schema = Arc::new(parsed(text)?);
    if text.len() <= KEPT_BYTES_MAX {
        KEPT.insert(text.to_owned(), Arc::clone(&schema));
    }
    Ok(schema)
}

fn parsed(text: &str) -> Result<Schema, Unreadable> {
    apache_avro::util::max_allocation_bytes(CLAIMED_MAX);
    // apache-avro 0.21 ends its thread on some schemas that are none.
    let parsed = std::panic::catch_unwind(|| Schema::parse_str(text))
        .map_err(|_| Unreadable::new("a schema that is none"))?;
    let schema = parsed.map_err(|error| Unreadable::new(format!("schema: {error}")))?;
    match is_modest(&schema) {
        true => Ok(schema),
        false => Err(Unreadable::new("a schema that repeats itself, or of nothing many times")),
    }
}

/// Whether a value takes no more memory than some times its bytes.
fn is_modest(schema: &Schema) -> bool {
    match schema {
        Schema::Ref { .. } => false,
        Schema::Fixed(fixed) => fixed.size <= CLAIMED_MAX,
        Schema::Decimal(decimal) => is_modest(&decimal.inner),
        Schema::Array(array) => has_bytes(&array.items) && is_modest(&array.items),
        Schema::Map(map) => is_modest(&map.types),
        Schema::Union(union) => union.variants().iter().all(is_modest),
        Schema::Record(record) => {
            let of_nothing = record.fields.iter().filter(|field| !has_bytes(&field.schema));
            of_nothing.count() <= 1 && record.fields.iter().all(|field| is_modest(&field.schema))
        }
        _ => true,
    }
}

/// Whether every value has a byte at least.
fn has_bytes(schema: &Schema) -> bool {
    match schema {
        Schema::Null => false,
        Schema::Fixed(fixed) => fixed.size > 0,
        Schema::Record(record) => record.fields.iter().any(|field| has_bytes(&field.schema)),
        _ => true,
    }
}

/// The fields of a schema of records.
pub(super) fn of_record(schema: &Schema) -> Result<&RecordSchema, Unreadable> {
    match schema {
        Schema::Record(record) => Ok(record),
        _ => Err(Unreadable::new("not a schema of records")),
    }
}

/// The id of a field.
pub(super) fn id(field: &RecordField) -> Result<i64, Unreadable> {
    let id = field.custom_attributes.get("field-id").and_then(serde_json::Value::as_i64);
    id.ok_or_else(|| Unreadable::new(format!("field '{}' has no id", field.name)))
}

/// Takes the fields of one record from the front.
pub(super) fn take<'s, 'b>(
    record: &'s RecordSchema,
    from: &mut &'b [u8],
) -> Result<Vec<Field<'s, 'b>>, Unreadable> {
    let field = |field: &'s RecordField| {
        let id = id(field)?;
        let whole = *from;
        let value = apache_avro::from_avro_datum(&field.schema, &mut Strict(from), None)
            .map_err(|error| Unreadable::new(format!("field '{}': {error}", field.name)))?;
        let read = whole.len().saturating_sub(from.len());
        let bytes = whole.get(..read).unwrap_or_default();
        Ok(Field { id, schema: &field.schema, value: plain(value), bytes })
    };
    record.fields.iter().map(field).collect()
}

/// Bytes whose end is damage: the library takes an end for `null` in some places.
struct Strict<'r, 'b>(&'r mut &'b [u8]);

impl Read for Strict<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::ErrorKind::InvalidData.into()),
            read => Ok(read),
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact(buffer).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// A value without the union that it stands in.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Union(_, inner) => *inner,
        other => other,
    }
}

/// A whole number; none for `null`.
pub(super) fn number(value: &Value) -> Result<Option<i64>, Unreadable> {
    match value {
        Value::Null => Ok(None),
        Value::Int(number) => Ok(Some(i64::from(*number))),
        Value::Long(number) => Ok(Some(*number)),
        _ => Err(Unreadable::new("not a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_the_input_is_damage_and_no_null() {
        for kind in [r#"["null","long"]"#, r#""boolean""#, r#""string""#] {
            let text = format!(
                r#"{{"type":"record","name":"r","fields":[{{"name":"a","field-id":1,"type":{kind}}}]}}"#
            );
            let schema = schema(Some(&text)).unwrap();
            let record = of_record(&schema).unwrap();
            assert!(take(record, &mut &[][..]).is_err(), "{kind}");
            assert_eq!(take(record, &mut &[0][..]).unwrap().len(), 1, "{kind}");
        }
    }
}
