//! The one form that metadata is kept in: what older versions say in an older way is said in the present way
//! besides, so that nothing else has to know of both.

use serde_json::{Value, json};

use super::Invalid;
use super::json::{Object, an_integer, integer, list, number, object};
use super::partition::{PARTITION_IDS_FROM, give_ids};

/// Brings metadata into the present form.
pub(super) fn form(metadata: &mut Object) -> Result<(), Invalid> {
    let version = an_integer(metadata, "format-version", "metadata")?;
    if version == 1 {
        schemas(metadata);
        specs(metadata);
    }
    if list(metadata, "sort-orders", "metadata")?.is_empty() && version == 1 {
        metadata.insert("sort-orders".to_owned(), json!([{"order-id": 0, "fields": []}]));
        metadata.insert("default-sort-order-id".to_owned(), 0.into());
    }
    current_snapshot(metadata)?;
    for key in ["snapshots", "snapshot-log", "metadata-log", "statistics", "partition-statistics"] {
        absent(metadata, key, || json!([]));
    }
    absent(metadata, "properties", || json!({}));
    Ok(())
}

/// What only version 1 has besides: the current schema and the default spec once more.
pub(super) fn lone_ones(metadata: &mut Object) {
    let chosen = |lists: &str, id: &str, chosen: &str| {
        let all = metadata.get(lists)?.as_array()?;
        let wanted = metadata.get(chosen)?.as_i64();
        all.iter().find(|one| number(one, id) == wanted).cloned()
    };
    let schema = chosen("schemas", "schema-id", "current-schema-id");
    let spec = chosen("partition-specs", "spec-id", "default-spec-id");
    metadata.remove("schema");
    metadata.remove("partition-spec");
    if metadata.get("format-version").and_then(Value::as_i64) == Some(1) {
        metadata.extend(schema.map(|schema| ("schema".to_owned(), schema)));
        let fields = spec.and_then(|spec| spec.get("fields").cloned());
        metadata.extend(fields.map(|fields| ("partition-spec".to_owned(), fields)));
    }
}

fn is_there(metadata: &Object, key: &str) -> bool {
    metadata.get(key).is_some_and(|value| !value.is_null())
}

fn absent(metadata: &mut Object, key: &str, value: impl FnOnce() -> Value) {
    if !is_there(metadata, key) {
        metadata.insert(key.to_owned(), value());
    }
}

fn schemas(metadata: &mut Object) {
    let lone = metadata.get("schema").filter(|_| !is_there(metadata, "schemas")).cloned();
    if let Some(mut schema) = lone {
        let id = number(&schema, "schema-id").unwrap_or(0);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("schema-id".to_owned(), id.into());
        }
        metadata.insert("schemas".to_owned(), json!([schema]));
        metadata.insert("current-schema-id".to_owned(), id.into());
    }
}

fn specs(metadata: &mut Object) {
    let absent_specs = !is_there(metadata, "partition-specs");
    if let Some(fields) = metadata.get("partition-spec").filter(|_| absent_specs).cloned() {
        metadata.insert("partition-specs".to_owned(), json!([{"spec-id": 0, "fields": fields}]));
        metadata.insert("default-spec-id".to_owned(), 0.into());
    }
    // The oldest tables number the fields of a spec from 1000 on, without saying so.
    let mut last = PARTITION_IDS_FROM;
    if let Some(Value::Array(specs)) = metadata.get_mut("partition-specs") {
        for spec in specs {
            last = last.max(give_ids(spec, PARTITION_IDS_FROM));
        }
    }
    absent(metadata, "last-partition-id", || last.into());
}

/// No current snapshot is said by no number, and `main` is among the branches.
fn current_snapshot(metadata: &mut Object) -> Result<(), Invalid> {
    let current = integer(metadata, "current-snapshot-id", "metadata")?.filter(|id| *id != -1);
    if current.is_none() {
        metadata.remove("current-snapshot-id");
    }
    absent(metadata, "refs", || json!({}));
    let refs = object(metadata.get("refs").unwrap_or(&Value::Null), "'refs'")?;
    if let (Some(id), None) = (current, refs.get("main")) {
        let main = json!({"snapshot-id": id, "type": "branch"});
        if let Some(Value::Object(refs)) = metadata.get_mut("refs") {
            refs.insert("main".to_owned(), main);
        }
    }
    Ok(())
}
