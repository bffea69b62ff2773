//! The schema of Parquet files: given as Parquet writes it, or inferred from records.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use onward::{Error, Result};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type::INT96;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::schema::parser::parse_message_type;
use parquet::schema::printer::print_schema;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type};

use super::infer;
pub(super) use super::infer::{PLACE, REST};
use crate::record::Record;

/// The longest schema, in bytes of its text.
const TEXT_LEN_MAX: usize = 256 * 1024;

/// Columns of a schema, those within groups counted alone.
const LEAVES_MAX: usize = 4096;

/// What is in [`PLACE`].
const PLACE_TYPE: &str = "message place { required group _kafka {
    required int32 partition; required int64 offset; optional int64 timestamp (TIMESTAMP(MILLIS,true));
    optional binary key;
    required group headers (LIST) { repeated group list { required group element {
        required binary name (STRING); optional binary value; } } } } }";

/// A schema in the language of Parquet's own tools:
///
/// ```
/// let schema: onward_kafka::format::parquet::Schema = "message order {
///     required int64 id;
///     optional double amount;
///     optional binary customer (STRING);
///     optional int64 at (TIMESTAMP(MICROS,true));
///     optional group tags (LIST) { repeated group list { optional binary element (STRING); } }
///     optional binary _rest (JSON);
/// }".parse()?;
/// # Ok::<(), onward::Error>(())
/// ```
///
/// | column | a value that fits |
/// |---|---|
/// | `boolean` | `true`, `false` |
/// | `int32`, `int64` | an integer within its range, written without a fraction |
/// | `float`, `double` | a number |
/// | `binary (STRING)` | a string |
/// | `binary (JSON)` | anything; its JSON is kept as text |
/// | `int32 (DATE)` | `"2026-11-28"`, or days since 1970 |
/// | `int64 (TIMESTAMP(MILLIS\|MICROS\|NANOS,true))` | RFC 3339, or an integer in that unit since 1970; finer digits are cut off |
/// | `int64 (TIMESTAMP(…,false))` | the same without an offset from UTC |
/// | `group` | an object |
/// | `group (LIST)` | an array |
///
/// An optional column takes null and what is not there. A member that the schema does not have goes to the
/// column `_rest`, as JSON, where the schema has that as `optional binary _rest (JSON)`; otherwise, and inside
/// of lists, such a record does not fit. Of a name that comes twice in an object the last one counts.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Arc<Type>,
    descriptor: Arc<SchemaDescriptor>,
    arrow: SchemaRef,
    pub(super) columns: Vec<Column>,
    pub(super) takes_rest: bool,
    pub(super) has_place: bool,
}

/// A column, or a member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    Text,
    Json,
    Date,
    Timestamp { unit: TimeUnit, utc: bool },
    List(Box<Column>),
    Group(Vec<Column>),
}

impl Schema {
    /// The schema that all of these records fit, by their values alone: what is no JSON object is passed over.
    ///
    /// Integers, numbers, strings, booleans, arrays and objects become columns of their kind. What is now of one
    /// kind and now of another becomes a column of JSON, and so does what is always null or empty. Strings
    /// stay strings, whatever they look like. All columns are optional, and `_rest` takes what comes later.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: none of them is a JSON object.
    pub fn infer<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self> {
        infer::message(records)?.parse()
    }

    /// This schema with a column `_kafka` more, of each record's place, time, key and headers.
    pub(super) fn with_place(&self) -> Result<Self> {
        let place = parse_message_type(PLACE_TYPE).map_err(internal)?;
        let fields = self.root.get_fields().iter().chain(place.get_fields()).cloned();
        let root = Type::group_type_builder(self.root.name())
            .with_fields(fields.collect())
            .build()
            .map_err(internal)?;
        Self::of(root, true)
    }

    /// The schema whose last column is that of records' places, or which has none.
    fn of(root: Type, has_place: bool) -> Result<Self> {
        let root = Arc::new(root);
        let descriptor = SchemaDescriptor::new(root.clone());
        let leaves = descriptor.num_columns();
        if leaves == 0 || leaves > LEAVES_MAX {
            return Err(wrong(&format!("it has {leaves} columns, 1 to {LEAVES_MAX} are possible")));
        }
        let arrow = parquet_to_arrow_schema(&descriptor, None)
            .map_err(|error| wrong(&error.to_string()))?;
        // To readers of Arrow these are times; written they would be numbers.
        if let Some(old) = descriptor.columns().iter().find(|leaf| leaf.physical_type() == INT96) {
            return Err(unfit(old.name()));
        }
        let mut leaves = descriptor.columns().iter().map(|leaf| is_json(leaf));
        let fields = match arrow.fields().split_last() {
            Some((_, others)) if has_place => others,
            _ => arrow.fields(),
        };
        let columns = columns(fields, &mut leaves)?;
        let rest = columns.iter().find(|column| column.name == REST);
        let takes_rest = rest.is_some();
        if rest.is_some_and(|rest| rest.kind != Kind::Json || rest.required) {
            return Err(wrong("its column _rest is not 'optional binary _rest (JSON)'"));
        }
        Ok(Self {
            root,
            descriptor: Arc::new(descriptor),
            arrow: Arc::new(arrow),
            columns,
            takes_rest,
            has_place,
        })
    }

    pub(super) fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }

    pub(super) fn descriptor(&self) -> &SchemaDescriptor {
        &self.descriptor
    }
}

impl FromStr for Schema {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > TEXT_LEN_MAX {
            return Err(wrong(&format!(
                "it has {} bytes, the limit is {TEXT_LEN_MAX}",
                text.len()
            )));
        }
        let root = parse_message_type(text).map_err(|error| wrong(&error.to_string()))?;
        let schema = Self::of(root, false)?;
        match schema.columns.iter().any(|column| column.name == PLACE) {
            true => Err(wrong(&format!("the column {PLACE} is that of records' places"))),
            false => Ok(schema),
        }
    }
}

/// As it can be read again.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        print_schema(&mut text, &self.root);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

fn is_json(column: &ColumnDescriptor) -> bool {
    column.logical_type_ref() == Some(&LogicalType::Json)
        || column.converted_type() == ConvertedType::JSON
}

/// The columns of a group; `leaves` says of each leaf, in their order, whether it is JSON.
fn columns(fields: &[FieldRef], leaves: &mut dyn Iterator<Item = bool>) -> Result<Vec<Column>> {
    let mut names = BTreeSet::new();
    let twice = fields.iter().find(|field| !names.insert(field.name()));
    if let Some(field) = twice {
        return Err(wrong(&format!("it has the name '{}' twice in one group", field.name())));
    }
    fields.iter().map(|field| column(field, leaves)).collect()
}

fn column(field: &Field, leaves: &mut dyn Iterator<Item = bool>) -> Result<Column> {
    let kind = match field.data_type() {
        DataType::List(element) => Kind::List(Box::new(column(element, leaves)?)),
        DataType::Struct(fields) => Kind::Group(columns(fields, leaves)?),
        leaf => {
            let is_json = leaves.next().unwrap_or_default();
            match leaf {
                DataType::Boolean => Kind::Boolean,
                DataType::Int32 => Kind::Int32,
                DataType::Int64 => Kind::Int64,
                DataType::Float32 => Kind::Float,
                DataType::Float64 => Kind::Double,
                DataType::Utf8 if is_json => Kind::Json,
                DataType::Utf8 => Kind::Text,
                DataType::Date32 => Kind::Date,
                DataType::Timestamp(unit, zone) => {
                    Kind::Timestamp { unit: *unit, utc: zone.is_some() }
                }
                _ => return Err(unfit(field.name())),
            }
        }
    };
    Ok(Column { name: field.name().clone(), required: !field.is_nullable(), kind })
}

fn unfit(name: &str) -> Error {
    wrong(&format!(
        "its column '{name}' is of a type that JSON does not become; those that it does are boolean, int32, int64, float, double, binary (STRING), binary (JSON), int32 (DATE), int64 (TIMESTAMP), groups and LIST"
    ))
}

fn wrong(why: &str) -> Error {
    Error::invalid(format!(
        "the schema cannot be used: {why}; it looks like 'message order {{ required int64 id; optional binary name (STRING); }}'"
    ))
}

pub(super) fn internal(error: parquet::errors::ParquetError) -> Error {
    Error::internal("a Parquet file cannot be made").with_source(error)
}
