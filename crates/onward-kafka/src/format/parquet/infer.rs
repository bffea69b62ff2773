//! What the first records say about the schema of all.

use std::collections::BTreeMap;
use std::fmt::Write;

use onward::{Error, Result};
use serde_json::Value;

use crate::record::Record;

/// The column that has the record's place, time, key and headers.
pub(super) const PLACE: &str = "_kafka";

/// The column that takes, as a JSON object, what the schema has no column for.
pub(super) const REST: &str = "_rest";

/// Members of an object; one with more is a map of names that mean something, and becomes JSON.
const MEMBERS_MAX: usize = 100;

/// Columns at the top; what else there is goes to the rest.
const COLUMNS_MAX: usize = 1000;

/// Objects and arrays within each other; what is deeper becomes JSON.
const DEPTH_MAX: usize = 8;

/// Integers up to this are numbers that a double has, too.
const EXACT_MAX: u64 = 1 << 53;

/// What was seen at one place of the records.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Nothing,
    Boolean,
    /// Integers, and whether each is exact as a double.
    Integer(bool),
    Number,
    Text,
    List(Box<Seen>),
    Group(BTreeMap<String, Seen>),
    /// Now this and now that.
    Mixed,
}

/// The text of the schema that these records fit.
pub(super) fn message<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<String> {
    let mut all = BTreeMap::new();
    let mut objects = 0_u64;
    for record in records {
        let value = record.value.as_deref().map(serde_json::from_slice::<Value>);
        if let Some(Ok(Value::Object(members))) = value {
            objects += 1;
            for (name, value) in members {
                let seen = all.entry(name).or_insert(Seen::Nothing);
                *seen = std::mem::replace(seen, Seen::Nothing).and(value);
            }
        }
    }
    if objects == 0 {
        return Err(Error::invalid(
            "no schema can be inferred: none of the first records is a JSON object; give a schema",
        ));
    }
    let mut text = "message record {\n".to_owned();
    let named =
        all.iter().filter(|(name, _)| can_be_written(name) && *name != REST && *name != PLACE);
    for (name, seen) in named.take(COLUMNS_MAX) {
        column(name, seen, 1, &mut text);
    }
    let _ = writeln!(text, "  optional binary {REST} (JSON);\n}}");
    Ok(text)
}

impl Seen {
    /// With one more value at this place.
    fn and(self, value: Value) -> Self {
        let value = match value {
            Value::Null => return self,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => {
                let size = number.as_i64().map_or(u64::MAX, i64::unsigned_abs);
                Self::Integer(size <= EXACT_MAX)
            }
            // Beyond what a column of integers holds.
            Value::Number(number) if number.is_u64() => Self::Mixed,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(elements) => {
                let (before, others) = match self {
                    Self::List(before) => (*before, Self::Nothing),
                    other => (Self::Nothing, other),
                };
                let list = Self::List(Box::new(elements.into_iter().fold(before, Self::and)));
                return others.or(list);
            }
            Value::Object(members) => {
                let (mut group, others) = match self {
                    Self::Group(before) => (before, Self::Nothing),
                    other => (BTreeMap::new(), other),
                };
                for (name, value) in members {
                    let seen = group.remove(&name).unwrap_or(Self::Nothing);
                    group.insert(name, seen.and(value));
                }
                return others.or(Self::Group(group));
            }
        };
        self.or(value)
    }

    /// What is of both kinds.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) => other,
            (Self::Integer(a), Self::Integer(b)) => Self::Integer(a && b),
            (Self::Integer(true), Self::Number) | (Self::Number, Self::Integer(true)) => {
                Self::Number
            }
            (one, other) if one == other => one,
            _ => Self::Mixed,
        }
    }
}

/// Writes one column.
fn column(name: &str, seen: &Seen, depth: usize, text: &mut String) {
    let _ = write!(text, "{:1$}optional ", "", 2 * depth);
    let _ = match seen {
        Seen::Boolean => writeln!(text, "boolean {name};"),
        Seen::Integer(_) => writeln!(text, "int64 {name};"),
        Seen::Number => writeln!(text, "double {name};"),
        Seen::Text => writeln!(text, "binary {name} (STRING);"),
        Seen::List(element) if depth < DEPTH_MAX => {
            let _ = writeln!(text, "group {name} (LIST) {{ repeated group list {{");
            column("element", element, depth + 1, text);
            writeln!(text, "{:1$}}} }}", "", 2 * depth)
        }
        Seen::Group(members) if depth < DEPTH_MAX && is_group(members) => {
            let _ = writeln!(text, "group {name} {{");
            for (name, seen) in members {
                column(name, seen, depth + 1, text);
            }
            writeln!(text, "{:1$}}}", "", 2 * depth)
        }
        Seen::Nothing | Seen::Mixed | Seen::List(_) | Seen::Group(_) => {
            writeln!(text, "binary {name} (JSON);")
        }
    };
}

fn is_group(members: &BTreeMap<String, Seen>) -> bool {
    !members.is_empty()
        && members.len() <= MEMBERS_MAX
        && members.keys().all(|name| can_be_written(name))
}

/// Whether a name can stand in the text of a schema.
fn can_be_written(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|char| char.is_whitespace() || char.is_control() || ";{}()=,".contains(char))
}
