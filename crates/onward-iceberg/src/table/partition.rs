//! Partition specs and sort orders: lists of fields that name a column and a transform.

use serde_json::Value;

use super::Invalid;
use super::json::{Object, a_text, an_integer, integer, integers, list, number, object};
use super::schema::Fields;

/// The id below the first that a field of a partition may have.
pub(super) const PARTITION_IDS_FROM: i64 = 999;

/// The columns that a field stands on: `source-id`, or from version 3 on `source-ids`.
fn sources(field: &Object, what: &str) -> Result<Vec<i64>, Invalid> {
    let several = integers(field, "source-ids", what)?;
    if !several.is_empty() {
        return Ok(several);
    }
    Ok(vec![an_integer(field, "source-id", what)?])
}

/// Checks a partition spec and returns the highest id of its fields, [`PARTITION_IDS_FROM`] without any.
pub(super) fn spec(spec: &Value) -> Result<i64, Invalid> {
    let what = "partition spec";
    let mut ids = std::collections::BTreeSet::new();
    for field in list(object(spec, what)?, "fields", what)? {
        let field = object(field, "partition spec: a field")?;
        let name = a_text(field, "name", "partition spec: a field")?;
        let what = format!("partition spec: field '{name}'");
        a_text(field, "transform", &what)?;
        sources(field, &what)?;
        if !ids.insert(an_integer(field, "field-id", &what)?) {
            return Err(Invalid::new(format!("{what} has the id of another")));
        }
    }
    Ok(ids.last().copied().unwrap_or(PARTITION_IDS_FROM))
}

/// Checks a sort order.
pub(super) fn order(order: &Value) -> Result<(), Invalid> {
    let what = "sort order";
    let order = object(order, what)?;
    let fields = list(order, "fields", what)?;
    for field in fields {
        let field = object(field, "sort order: a field")?;
        sources(field, "sort order: a field")?;
        a_text(field, "transform", "sort order: a field")?;
        if !matches!(a_text(field, "direction", what)?, "asc" | "desc") {
            return Err(Invalid::new("sort order: a direction is 'asc' or 'desc'"));
        }
        if !matches!(a_text(field, "null-order", what)?, "nulls-first" | "nulls-last") {
            return Err(Invalid::new("sort order: a null-order is 'nulls-first' or 'nulls-last'"));
        }
    }
    if (an_integer(order, "order-id", what)? == 0) != fields.is_empty() {
        return Err(Invalid::new(
            "sort order: the id 0 is of the order without fields, and of it alone",
        ));
    }
    Ok(())
}

/// Checks that all columns that a spec or an order stands on are in a schema. A `void` field may stand on one that
/// is gone.
pub(super) fn fits(of: &Value, fields: &Fields, what: &str) -> Result<(), Invalid> {
    for field in list(object(of, what)?, "fields", what)? {
        let field = object(field, what)?;
        if field.get("transform").and_then(Value::as_str) == Some("void") {
            continue;
        }
        for source in sources(field, what)? {
            if !fields.names.contains_key(&source) {
                return Err(Invalid::new(format!("{what}: no column has the id {source}")));
            }
        }
    }
    Ok(())
}

/// Gives ids above `last` to fields of a spec that have none, and returns the highest.
pub(super) fn give_ids(spec: &mut Value, mut last: i64) -> i64 {
    let Some(Value::Array(fields)) = spec.get_mut("fields") else {
        return last;
    };
    last = fields.iter().filter_map(|field| number(field, "field-id")).fold(last, i64::max);
    for field in fields.iter_mut().filter_map(Value::as_object_mut) {
        if !matches!(integer(field, "field-id", ""), Ok(Some(_))) {
            last = last.saturating_add(1);
            field.insert("field-id".to_owned(), last.into());
        }
    }
    last
}

/// Whether two specs part rows alike under the same names, or two orders sort them alike.
pub(super) fn alike(one: &Value, other: &Value) -> bool {
    let parts = |of: &Value| {
        let fields = of.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
        let without_ids = |mut field: Value| {
            if let Some(field) = field.as_object_mut() {
                field.remove("field-id");
            }
            field
        };
        fields.into_iter().map(without_ids).collect::<Vec<_>>()
    };
    parts(one) == parts(other)
}

/// A spec or an order on the columns of the same names in another schema.
pub(super) fn moved(of: &Value, from: &Fields, to: &Fields) -> Result<Value, Invalid> {
    let mut moved = of.clone();
    let Some(Value::Array(fields)) = moved.get_mut("fields") else {
        return Ok(moved);
    };
    let there = |id: &Value| {
        let name = id.as_i64().and_then(|id| from.names.get(&id));
        let new = name.and_then(|name| to.id_of(name));
        new.map(Value::from).ok_or_else(|| Invalid::new(format!("no column has the id {id}")))
    };
    for field in fields.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(source) = field.get_mut("source-id") {
            *source = there(source)?;
        }
        if let Some(Value::Array(sources)) = field.get_mut("source-ids") {
            for source in sources {
                *source = there(source)?;
            }
        }
    }
    Ok(moved)
}
