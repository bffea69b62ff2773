//! Puts values that fit into columns. One row more in each column for each call, whatever is in it.

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder,
    Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
    TimestampMicrosecondBuilder, TimestampMillisecondBuilder, TimestampNanosecondBuilder,
    TimestampSecondBuilder,
};
use arrow_schema::TimeUnit;
use onward::{Error, Result};
use serde_json::{Map, Value};

use super::fits::{days, instant, int32};
use super::schema::{Column, Kind};
use crate::record::Record;

type AnyBuilder = Box<dyn ArrayBuilder>;

/// The columns of a schema, or of a group.
pub(super) fn append_members(
    members: Option<&Map<String, Value>>,
    columns: &[Column],
    builders: &mut [AnyBuilder],
) -> Result<()> {
    for (column, builder) in columns.iter().zip(builders) {
        let value = members.and_then(|members| members.get(&column.name));
        append(value.unwrap_or(&Value::Null), column, builder)?;
    }
    Ok(())
}

/// One value. In a group that is null its members are null, required or not.
fn append(value: &Value, column: &Column, builder: &mut AnyBuilder) -> Result<()> {
    match &column.kind {
        Kind::Boolean => of::<BooleanBuilder>(builder)?.append_option(value.as_bool()),
        Kind::Int32 => of::<Int32Builder>(builder)?.append_option(int32(value)),
        Kind::Int64 => of::<Int64Builder>(builder)?.append_option(value.as_i64()),
        Kind::Float => {
            let narrow = value.as_f64().map(|number| number as f32);
            of::<Float32Builder>(builder)?.append_option(narrow);
        }
        Kind::Double => of::<Float64Builder>(builder)?.append_option(value.as_f64()),
        Kind::Text => of::<StringBuilder>(builder)?.append_option(value.as_str()),
        Kind::Json => {
            let text = (!value.is_null()).then(|| value.to_string());
            of::<StringBuilder>(builder)?.append_option(text);
        }
        Kind::Date => of::<Date32Builder>(builder)?.append_option(days(value)),
        Kind::Timestamp { unit, utc } => {
            let time = instant(value, *unit, *utc);
            match unit {
                TimeUnit::Second => of::<TimestampSecondBuilder>(builder)?.append_option(time),
                TimeUnit::Millisecond => {
                    of::<TimestampMillisecondBuilder>(builder)?.append_option(time);
                }
                TimeUnit::Microsecond => {
                    of::<TimestampMicrosecondBuilder>(builder)?.append_option(time);
                }
                TimeUnit::Nanosecond => {
                    of::<TimestampNanosecondBuilder>(builder)?.append_option(time);
                }
            }
        }
        Kind::List(element) => {
            let builder = of::<ListBuilder<AnyBuilder>>(builder)?;
            let values = value.as_array();
            for value in values.into_iter().flatten() {
                append(value, element, builder.values())?;
            }
            builder.append(values.is_some());
        }
        Kind::Group(columns) => {
            let builder = of::<StructBuilder>(builder)?;
            let members = value.as_object();
            append_members(members, columns, builder.field_builders_mut())?;
            builder.append(members.is_some());
        }
    }
    Ok(())
}

/// A record's place, time, key and headers.
pub(super) fn append_place(record: &Record, builder: &mut AnyBuilder) -> Result<()> {
    let place = of::<StructBuilder>(builder)?;
    let [partition, offset, timestamp, key, headers] = place.field_builders_mut() else {
        return Err(other_schema());
    };
    of::<Int32Builder>(partition)?.append_value(record.partition);
    of::<Int64Builder>(offset)?.append_value(record.offset);
    of::<TimestampMillisecondBuilder>(timestamp)?.append_option(record.timestamp_ms);
    of::<BinaryBuilder>(key)?.append_option(record.key.as_ref());
    let headers = of::<ListBuilder<AnyBuilder>>(headers)?;
    for header in &record.headers {
        let element = of::<StructBuilder>(headers.values())?;
        let [name, value] = element.field_builders_mut() else {
            return Err(other_schema());
        };
        of::<StringBuilder>(name)?.append_value(&header.name);
        of::<BinaryBuilder>(value)?.append_option(header.value.as_ref());
        element.append(true);
    }
    headers.append(true);
    place.append(true);
    Ok(())
}

/// A builder as that of its kind, which it is because both were made of one schema.
fn of<T: ArrayBuilder>(builder: &mut AnyBuilder) -> Result<&mut T> {
    builder.as_any_mut().downcast_mut().ok_or_else(other_schema)
}

fn other_schema() -> Error {
    Error::internal("the columns of a Parquet file are not those of its schema")
}
