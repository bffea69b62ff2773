//! A JSON object on each line, its members in the order of the columns.

use onward::{Error, Result};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Encoder, LINES_LEN};
use crate::cell::Row;
use crate::column::{Column, Schema};

/// Lines in the making.
pub struct Lines {
    columns: &'static [Column],
    bytes: Vec<u8>,
}

impl Lines {
    /// Begins without a line.
    pub fn begin(schema: Schema) -> Self {
        Self { columns: schema.columns, bytes: Vec::new() }
    }
}

impl Encoder for Lines {
    fn push(&mut self, row: Row) -> Result<()> {
        let line = Line { columns: self.columns, row };
        serde_json::to_writer(&mut self.bytes, &line).map_err(|error| {
            Error::internal("a row cannot be written as JSON").with_source(error)
        })?;
        self.bytes.push(b'\n');
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= LINES_LEN
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        Ok(std::mem::take(&mut self.bytes))
    }

    fn end(self: Box<Self>) -> Result<Vec<u8>> {
        Ok(self.bytes)
    }
}

/// A row by the names of its columns.
struct Line {
    columns: &'static [Column],
    row: Row,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(&self.row) {
            members.serialize_entry(column.name, cell)?;
        }
        members.end()
    }
}
