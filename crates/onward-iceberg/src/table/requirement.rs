//! What a commit asserts of the table.

use serde_json::Value;

use super::json::{Object, a_text, an_integer, integer, number, object};
use super::{Failed, Invalid, Metadata};

/// One assertion of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// There is no table yet.
    Create,
    /// The table has this uuid.
    TableUuid(String),
    /// A branch or tag names this snapshot, or is not there.
    RefSnapshotId {
        /// The branch or tag.
        name: String,
        /// The snapshot; none where it must not be there.
        snapshot_id: Option<i64>,
    },
    /// The highest id given to a field.
    LastAssignedFieldId(i64),
    /// The current schema.
    CurrentSchemaId(i64),
    /// The highest id given to a field of a partition.
    LastAssignedPartitionId(i64),
    /// The default partition spec.
    DefaultSpecId(i64),
    /// The default sort order.
    DefaultSortOrderId(i64),
}

impl Requirement {
    /// Reads a requirement of the REST specification.
    ///
    /// # Errors
    ///
    /// Where it is unknown: an assertion that is not checked must not be passed over.
    pub fn from_json(value: &Value) -> Result<Self, Invalid> {
        let of = object(value, "a requirement")?;
        let kind = a_text(of, "type", "a requirement")?;
        let whole = |key| an_integer(of, key, kind);
        Ok(match kind {
            "assert-create" => Self::Create,
            "assert-table-uuid" => Self::TableUuid(a_text(of, "uuid", kind)?.to_owned()),
            "assert-ref-snapshot-id" => Self::RefSnapshotId {
                name: a_text(of, "ref", kind)?.to_owned(),
                snapshot_id: integer(of, "snapshot-id", kind)?,
            },
            "assert-last-assigned-field-id" => {
                Self::LastAssignedFieldId(whole("last-assigned-field-id")?)
            }
            "assert-current-schema-id" => Self::CurrentSchemaId(whole("current-schema-id")?),
            "assert-last-assigned-partition-id" => {
                Self::LastAssignedPartitionId(whole("last-assigned-partition-id")?)
            }
            "assert-default-spec-id" => Self::DefaultSpecId(whole("default-spec-id")?),
            "assert-default-sort-order-id" => {
                Self::DefaultSortOrderId(whole("default-sort-order-id")?)
            }
            other => return Err(Invalid::new(format!("unknown requirement '{other}'"))),
        })
    }

    /// Whether it holds for a table, or for there being none.
    ///
    /// # Errors
    ///
    /// Where it does not; the message says what was required and what there is.
    pub fn check(&self, table: Option<&Metadata>) -> Result<(), Failed> {
        self.holds(table.and_then(|table| table.json().as_object()))
    }

    /// Whether it holds for metadata in its present form.
    pub(super) fn holds(&self, table: Option<&Object>) -> Result<(), Failed> {
        let Some(table) = table else {
            return match self {
                Self::Create | Self::RefSnapshotId { snapshot_id: None, .. } => Ok(()),
                _ => Err(Failed::new("there is no such table")),
            };
        };
        let same = |what: &str, key: &str, asked: i64| {
            let found = table.get(key).and_then(Value::as_i64).unwrap_or(-1);
            differ(found != asked, || format!("{what} changed: expected id {asked} != {found}"))
        };
        match self {
            Self::Create => differ(true, || "table already exists".to_owned()),
            Self::TableUuid(uuid) => {
                let found = table.get("table-uuid").and_then(Value::as_str).unwrap_or_default();
                differ(!found.eq_ignore_ascii_case(uuid), || {
                    format!("UUID does not match: expected {uuid} != {found}")
                })
            }
            Self::RefSnapshotId { name, snapshot_id } => {
                let found =
                    table.get("refs").and_then(|refs| number(refs.get(name)?, "snapshot-id"));
                let say = |id: Option<i64>| id.map_or("not there".to_owned(), |id| id.to_string());
                differ(found != *snapshot_id, || {
                    format!(
                        "branch or tag {name} changed: expected {} != {}",
                        say(*snapshot_id),
                        say(found)
                    )
                })
            }
            Self::LastAssignedFieldId(id) => same("last assigned field id", "last-column-id", *id),
            Self::CurrentSchemaId(id) => same("current schema", "current-schema-id", *id),
            Self::LastAssignedPartitionId(id) => {
                same("last assigned partition id", "last-partition-id", *id)
            }
            Self::DefaultSpecId(id) => same("default partition spec", "default-spec-id", *id),
            Self::DefaultSortOrderId(id) => {
                same("default sort order", "default-sort-order-id", *id)
            }
        }
    }
}

fn differ(differs: bool, say: impl FnOnce() -> String) -> Result<(), Failed> {
    if differs { Err(Failed::new(say())) } else { Ok(()) }
}
