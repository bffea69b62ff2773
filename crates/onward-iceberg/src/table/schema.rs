//! Schemas: that every field has an id of its own and a type that clients know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Invalid;
use super::json::{Object, a_text, an_integer, flag, integers, list, object};

/// How deep types may lie in each other.
const DEPTH_MAX: usize = 32;

/// What others ask a schema for.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Full names (`a.b.element`) by the ids of fields.
    pub names: BTreeMap<i64, String>,
    /// The first thing in it that takes a newer version of the format, and which.
    newer: Option<(u8, String)>,
}

impl Fields {
    /// The highest id; 0 where there are no fields.
    pub(super) fn highest(&self) -> i64 {
        self.names.keys().next_back().copied().unwrap_or(0)
    }

    /// The id of the field of a full name.
    pub(super) fn id_of(&self, name: &str) -> Option<i64> {
        self.names.iter().find(|(_, known)| known.as_str() == name).map(|(id, _)| *id)
    }

    /// Whether a table of this version of the format may have the schema.
    pub(super) fn fit(&self, version: u8) -> Result<(), Invalid> {
        match &self.newer {
            Some((least, what)) if *least > version => Err(Invalid::new(format!(
                "schema: {what} takes format version {least}, and the table has {version}"
            ))),
            _ => Ok(()),
        }
    }

    fn add(&mut self, id: i64, name: String) -> Result<(), Invalid> {
        if id < 0 {
            return Err(Invalid::new(format!("schema: field '{name}' has the id {id}")));
        }
        match self.names.insert(id, name.clone()) {
            None => Ok(()),
            Some(other) => {
                let message = format!("schema: '{other}' and '{name}' have the same id {id}");
                Err(Invalid::new(message))
            }
        }
    }

    fn of_struct(&mut self, of: &Object, path: &str, depth: usize) -> Result<(), Invalid> {
        let mut names = BTreeSet::new();
        for field in list(of, "fields", "schema")? {
            let field = object(field, "schema: a field")?;
            let name = a_text(field, "name", "schema: a field")?;
            if !names.insert(name) {
                return Err(Invalid::new(format!("schema: two fields '{path}{name}'")));
            }
            let full = format!("{path}{name}");
            let what = format!("schema: field '{full}'");
            if flag(field, "required", &what)?.is_none() {
                return Err(Invalid::new(format!("{what} has no 'required'")));
            }
            self.add(an_integer(field, "id", &what)?, full.clone())?;
            if field.get("initial-default").is_some_and(|value| !value.is_null()) {
                self.newer.get_or_insert((3, format!("the default of '{full}'")));
            }
            self.of_type(field.get("type"), &full, depth)?;
        }
        Ok(())
    }

    fn of_type(&mut self, of: Option<&Value>, path: &str, depth: usize) -> Result<(), Invalid> {
        if depth >= DEPTH_MAX {
            let message = format!("schema: '{path}' lies deeper than {DEPTH_MAX} types");
            return Err(Invalid::new(message));
        }
        match of {
            Some(Value::String(name)) => self.of_primitive(name, path),
            Some(Value::Object(nested)) => self.of_nested(nested, path, depth + 1),
            _ => Err(Invalid::new(format!("schema: field '{path}' has no type"))),
        }
    }

    fn of_nested(&mut self, of: &Object, path: &str, depth: usize) -> Result<(), Invalid> {
        let what = format!("schema: the type of '{path}'");
        match a_text(of, "type", &what)? {
            "struct" => self.of_struct(of, &format!("{path}."), depth),
            "list" => self.of_part(of, path, "element", depth),
            "map" => {
                self.of_part(of, path, "key", depth)?;
                self.of_part(of, path, "value", depth)
            }
            other => Err(Invalid::new(format!("{what} is unknown: '{other}'"))),
        }
    }

    fn of_part(
        &mut self,
        of: &Object,
        path: &str,
        part: &str,
        depth: usize,
    ) -> Result<(), Invalid> {
        let full = format!("{path}.{part}");
        self.add(
            an_integer(of, &format!("{part}-id"), &format!("schema: '{path}'"))?,
            full.clone(),
        )?;
        self.of_type(of.get(part), &full, depth)
    }

    fn of_primitive(&mut self, name: &str, path: &str) -> Result<(), Invalid> {
        let head = name.split(['(', '[']).next().unwrap_or(name).trim();
        match head {
            "boolean" | "int" | "long" | "float" | "double" | "decimal" | "date" | "time"
            | "timestamp" | "timestamptz" | "string" | "uuid" | "fixed" | "binary" => Ok(()),
            "timestamp_ns" | "timestamptz_ns" | "unknown" | "variant" | "geometry"
            | "geography" => {
                self.newer.get_or_insert((3, format!("the type {head} of '{path}'")));
                Ok(())
            }
            _ => Err(Invalid::new(format!("schema: '{path}' has an unknown type '{name}'"))),
        }
    }
}

/// What a schema has, if it is one.
pub(super) fn fields(schema: &Value) -> Result<Fields, Invalid> {
    let schema = object(schema, "schema")?;
    if a_text(schema, "type", "schema")? != "struct" {
        return Err(Invalid::new("schema: its type is not 'struct'"));
    }
    let mut fields = Fields::default();
    fields.of_struct(schema, "", 0)?;
    for id in integers(schema, "identifier-field-ids", "schema")? {
        if !fields.names.contains_key(&id) {
            return Err(Invalid::new(format!("schema: no field has the identifier's id {id}")));
        }
    }
    Ok(fields)
}

/// Whether two schemas say the same, whatever ids they have themselves.
pub(super) fn alike(one: &Value, other: &Value) -> bool {
    let identifier = |schema: &Value| {
        let ids = schema.get("identifier-field-ids").and_then(Value::as_array);
        let ids = ids.map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_i64).collect::<BTreeSet<_>>()
    };
    one.get("fields") == other.get("fields") && identifier(one) == identifier(other)
}

/// A schema with ids from 1 on, given as the reference implementations do: those of all fields of a struct before
/// those within them. `schema` is one that [`fields`] has seen.
pub(super) fn renumbered(schema: &Value) -> Value {
    let mut fresh = schema.clone();
    let mut last = 0;
    let mut given = BTreeMap::new();
    number_struct(&mut fresh, &mut last, &mut given);
    if let Some(object) = fresh.as_object_mut() {
        object.insert("schema-id".to_owned(), 0.into());
        if let Some(Value::Array(ids)) = object.get_mut("identifier-field-ids") {
            for id in ids {
                let new = id.as_i64().and_then(|old| given.get(&old)).copied();
                *id = new.map_or(Value::Null, Value::from);
            }
        }
    }
    fresh
}

fn number_struct(of: &mut Value, last: &mut i64, given: &mut BTreeMap<i64, i64>) {
    let Some(Value::Array(fields)) = of.get_mut("fields") else {
        return;
    };
    for field in fields.iter_mut() {
        number_one(field, "id", last, given);
    }
    for field in fields {
        if let Some(nested) = field.get_mut("type") {
            number_type(nested, last, given);
        }
    }
}

fn number_one(of: &mut Value, key: &str, last: &mut i64, given: &mut BTreeMap<i64, i64>) {
    *last += 1;
    if let Some(id) = of.get_mut(key) {
        if let Some(old) = id.as_i64() {
            given.insert(old, *last);
        }
        *id = (*last).into();
    }
}

fn number_type(of: &mut Value, last: &mut i64, given: &mut BTreeMap<i64, i64>) {
    number_struct(of, last, given);
    for part in ["element", "key", "value"] {
        if of.get(part).is_some() {
            number_one(of, &format!("{part}-id"), last, given);
        }
    }
    for part in ["element", "key", "value"] {
        if let Some(nested) = of.get_mut(part) {
            number_type(nested, last, given);
        }
    }
}
