//! Whether a value fits the schema: asked before anything of it is put into a file, so that what does not fit
//! leaves no trace there.

use arrow_schema::TimeUnit;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use serde_json::{Map, Value};

use super::schema::{Column, Kind, REST};

/// Takes what the schema has no column for out of a row. Not from objects in lists: what of them would
/// belong where could not be told.
pub(super) fn take_rest(
    members: &mut Map<String, Value>,
    columns: &[Column],
) -> Map<String, Value> {
    // A member of that name is none of the column, which holds what is taken out here.
    let own = members.remove(REST).map(|own| (REST.to_owned(), own));
    own.into_iter().chain(take_unknown(members, columns)).collect()
}

fn take_unknown(members: &mut Map<String, Value>, columns: &[Column]) -> Map<String, Value> {
    let mut rest = Map::new();
    let unknown: Vec<String> = unknown(members, columns).cloned().collect();
    for name in unknown {
        if let Some(value) = members.remove(&name) {
            rest.insert(name, value);
        }
    }
    for column in columns {
        if let Kind::Group(columns) = &column.kind
            && let Some(Value::Object(inner)) = members.get_mut(&column.name)
        {
            let inner = take_unknown(inner, columns);
            if !inner.is_empty() {
                rest.insert(column.name.clone(), Value::Object(inner));
            }
        }
    }
    rest
}

/// The names that the schema has no column for. Each is looked for only where there is one: columns have
/// names of their own, so as many members as columns that have one are all known.
fn unknown<'a>(
    members: &'a Map<String, Value>,
    columns: &'a [Column],
) -> impl Iterator<Item = &'a String> {
    let known = columns.iter().filter(|column| members.contains_key(&column.name)).count();
    let names = (known < members.len()).then(|| members.keys());
    let is_unknown = |name: &&String| !columns.iter().any(|column| column.name == **name);
    names.into_iter().flatten().filter(is_unknown)
}

/// Whether an object fits, or where it does not and why.
pub(super) fn check_members(
    members: &Map<String, Value>,
    columns: &[Column],
) -> Result<(), String> {
    if let Some(name) = unknown(members, columns).next() {
        return Err(format!("'{name}' is not in the schema"));
    }
    columns.iter().try_for_each(|column| check(members.get(&column.name), column))
}

/// Whether a value fits its column.
fn check(value: Option<&Value>, column: &Column) -> Result<(), String> {
    let within = |why: String| format!("{}: {why}", column.name);
    let (value, kind) = match (value.unwrap_or(&Value::Null), &column.kind) {
        (Value::Null, _) if column.required => return Err(within("it is required".into())),
        (Value::Null, _) => return Ok(()),
        (value, kind) => (value, kind),
    };
    let what = match (kind, value) {
        (Kind::Json, _) | (Kind::Boolean, Value::Bool(_)) | (Kind::Text, Value::String(_)) => {
            return Ok(());
        }
        (Kind::Float | Kind::Double, Value::Number(_)) => return Ok(()),
        (Kind::Int64, value) if value.is_i64() => return Ok(()),
        (Kind::Int32, value) if int32(value).is_some() => return Ok(()),
        (Kind::Date, value) if days(value).is_some() => return Ok(()),
        (Kind::Timestamp { unit, utc }, value) if instant(value, *unit, *utc).is_some() => {
            return Ok(());
        }
        (Kind::List(element), Value::Array(values)) => {
            return values.iter().try_for_each(|value| check(Some(value), element)).map_err(within);
        }
        (Kind::Group(columns), Value::Object(members)) => {
            return check_members(members, columns).map_err(within);
        }
        (Kind::Boolean, _) => "a boolean",
        (Kind::Int32, _) => "an integer of 32 bits",
        (Kind::Int64, _) => "an integer of 64 bits",
        (Kind::Float | Kind::Double, _) => "a number",
        (Kind::Text, _) => "a string",
        (Kind::Date, _) => "a date as 2026-11-28",
        (Kind::Timestamp { utc: true, .. }, _) => "a time as 2026-11-28T09:30:00Z",
        (Kind::Timestamp { .. }, _) => "a time without an offset, as 2026-11-28T09:30:00",
        (Kind::List(_), _) => "an array",
        (Kind::Group(_), _) => "an object",
    };
    Err(within(format!("it is {}, the schema wants {what}", kind_of(value))))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(super) fn int32(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|integer| i32::try_from(integer).ok())
}

/// Days since 1970.
pub(super) fn days(value: &Value) -> Option<i32> {
    let Value::String(text) = value else {
        return int32(value);
    };
    // The parser takes a time behind the date, too, which would be lost.
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == *text)?;
    let since = date.since((Unit::Day, Date::constant(1970, 1, 1))).ok()?;
    Some(since.get_days())
}

/// Units since 1970.
pub(super) fn instant(value: &Value, unit: TimeUnit, utc: bool) -> Option<i64> {
    let Value::String(text) = value else {
        return value.as_i64();
    };
    let time = match utc {
        true => text.parse::<Timestamp>().ok()?,
        // What has an offset is another kind of time: the parser would pass over it.
        false if text.parse::<Timestamp>().is_ok() => return None,
        false => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    match unit {
        TimeUnit::Second => Some(time.as_second()),
        TimeUnit::Millisecond => Some(time.as_millisecond()),
        TimeUnit::Microsecond => Some(time.as_microsecond()),
        TimeUnit::Nanosecond => i64::try_from(time.as_nanosecond()).ok(),
    }
}
