//! A new table.

use serde_json::{Value, json};
use uuid::Uuid;

use super::draft::Draft;
use super::json::{Object, a_text, flag, needed, object, text, texts, within};
use super::{Invalid, Metadata, NotApplied, Update, partition, schema};

/// The version of the format of a table that asks for none.
const FORMAT_VERSION: i64 = 2;

/// What the specification's `CreateTableRequest` asks for.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// The name of the table in its namespace.
    pub name: String,
    /// The folder that the client wants; none for the catalog's choice.
    pub location: Option<String>,
    /// Whether the table is made by a commit that follows.
    pub stage: bool,
    schema: Value,
    spec: Option<Value>,
    order: Option<Value>,
    properties: Object,
}

impl CreateTable {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Where it says something that is no table.
    pub fn from_json(request: &Value) -> Result<Self, Invalid> {
        let what = "the request";
        let of = object(request, what)?;
        let one = |key| Ok(within(of, key, what)?.cloned().map(Value::Object));
        let schema = needed(one("schema"), "schema", what)?;
        schema::fields(&schema)?;
        let properties = within(of, "properties", what)?.cloned().unwrap_or_default();
        texts(&properties, "properties")?;
        Ok(Self {
            name: a_text(of, "name", what)?.to_owned(),
            location: text(of, "location", what)?.map(str::to_owned),
            stage: flag(of, "stage-create", what)?.unwrap_or(false),
            schema,
            spec: one("partition-spec")?,
            order: one("write-order")?,
            properties,
        })
    }

    /// The version of the format that the properties ask for.
    fn format_version(&self) -> Result<i64, Invalid> {
        let Some(asked) = self.properties.get("format-version").and_then(Value::as_str) else {
            return Ok(FORMAT_VERSION);
        };
        let wrong = || Invalid::new(format!("property 'format-version': '{asked}' is no version"));
        asked.parse().map_err(|_| wrong())
    }
}

/// The first metadata of a table in the folder `location`. Its fields have ids from 1 on, those of its partitions
/// from 1000 on, whatever ids the request gives, as with the reference implementations.
///
/// # Errors
///
/// Where what is asked for is no table.
pub fn create(
    request: &CreateTable,
    uuid: Uuid,
    location: &str,
    now_ms: i64,
) -> Result<Metadata, Invalid> {
    let asked = schema::fields(&request.schema)?;
    let schema = schema::renumbered(&request.schema);
    let given = schema::fields(&schema)?;
    let none = json!({"fields": []});
    let moved = |of: &Option<Value>, what: &str| {
        let moved = partition::moved(of.as_ref().unwrap_or(&none), &asked, &given);
        moved.map_err(|error| Invalid::new(format!("{what}: {error}")))
    };
    let mut spec = moved(&request.spec, "partition-spec")?;
    if let Some(Value::Array(fields)) = spec.get_mut("fields") {
        fields.iter_mut().filter_map(Value::as_object_mut).for_each(|field| {
            field.remove("field-id");
        });
    }
    let properties = request.properties.iter().filter(|(name, _)| *name != "format-version");
    let pair = |(name, value): (&String, &Value)| {
        (name.clone(), value.as_str().unwrap_or_default().to_owned())
    };
    let updates = [
        Update::AssignUuid(uuid.to_string()),
        Update::UpgradeFormatVersion(request.format_version()?),
        Update::AddSchema(schema),
        Update::SetCurrentSchema(-1),
        Update::AddSpec(spec),
        Update::SetDefaultSpec(-1),
        Update::AddSortOrder(moved(&request.order, "write-order")?),
        Update::SetDefaultSortOrder(-1),
        Update::SetLocation(location.to_owned()),
        Update::SetProperties(properties.map(pair).collect()),
    ];
    let mut draft = Draft::of(None, now_ms);
    match draft.apply(&updates) {
        Ok(()) => draft.finish(None),
        Err(NotApplied::Invalid(invalid)) => Err(invalid),
        Err(NotApplied::Stale(failed)) => Err(Invalid::new(failed.message())),
    }
}
