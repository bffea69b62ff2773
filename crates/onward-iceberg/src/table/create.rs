//! A new table.

use serde_json::Value;
use uuid::Uuid;

use super::{Invalid, Metadata};

/// What the specification's `CreateTableRequest` asks for.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// The name of the table in its namespace.
    pub name: String,
    /// The folder that the client wants; none for the catalog's choice.
    pub location: Option<String>,
    /// Whether the table is made by a commit that follows.
    pub stage: bool,
}

impl CreateTable {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Where it says something that is no table.
    pub fn from_json(_request: &Value) -> Result<Self, Invalid> {
        todo!()
    }
}

/// The first metadata of a table in the folder `location`, with fresh ids for its fields.
///
/// # Errors
///
/// Where what is asked for is no table.
pub fn create(
    _request: &CreateTable,
    _uuid: Uuid,
    _location: &str,
    _now_ms: i64,
) -> Result<Metadata, Invalid> {
    todo!()
}
