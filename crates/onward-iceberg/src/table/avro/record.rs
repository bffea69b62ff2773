//! Records of Avro, field by field: Iceberg knows fields by their ids, whatever names programs give them.

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;
use apache_avro::types::Value;

use super::Unreadable;

/// A field of a record: its id, its value, and the bytes that it was read from.
pub(super) struct Field<'s, 'b> {
    pub id: i64,
    pub schema: &'s Schema,
    pub value: Value,
    pub bytes: &'b [u8],
}

/// Reads the schema of a file.
pub(super) fn schema(text: Option<&str>) -> Result<Schema, Unreadable> {
    let text = text.ok_or_else(|| Unreadable::new("no schema"))?;
    Schema::parse_str(text).map_err(|error| Unreadable::new(format!("schema: {error}")))
}

/// The fields of a schema of records.
pub(super) fn of_record(schema: &Schema) -> Result<&RecordSchema, Unreadable> {
    match schema {
        Schema::Record(record) => Ok(record),
        _ => Err(Unreadable::new("not a schema of records")),
    }
}

/// Takes the fields of one record from the front.
pub(super) fn take<'s, 'b>(
    record: &'s RecordSchema,
    from: &mut &'b [u8],
) -> Result<Vec<Field<'s, 'b>>, Unreadable> {
    let field = |field: &'s apache_avro::schema::RecordField| {
        let id = field.custom_attributes.get("field-id").and_then(serde_json::Value::as_i64);
        let id = id.ok_or_else(|| Unreadable::new(format!("field '{}' has no id", field.name)))?;
        let whole = *from;
        let value = apache_avro::from_avro_datum(&field.schema, from, None)
            .map_err(|error| Unreadable::new(format!("field '{}': {error}", field.name)))?;
        let read = whole.len().saturating_sub(from.len());
        let bytes = whole.get(..read).unwrap_or_default();
        Ok(Field { id, schema: &field.schema, value: plain(value), bytes })
    };
    record.fields.iter().map(field).collect()
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
