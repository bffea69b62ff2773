//! Parquet: rows are gathered by columns, and put down as row groups. The low-level writer is enough for columns that
//! are known beforehand, and spares the program Arrow.

use std::fmt::Write;
use std::sync::Arc;

use onward::{Error, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result as Encoded};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Encoder;
use super::parquet_column::Gathered;
use crate::cell::Row;
use crate::column::{Column, Kind, Schema};

/// Rows of a row group, at most.
const ROWS_MAX: usize = 65_536;

/// What the rows of a group take in memory, in bytes, at most, and a row more.
const MEMORY_MAX: usize = 16 << 20;

/// Bytes of the smallest and largest text of a row group that the end of the file has: it is kept until then.
const BOUND_LEN: usize = 64;

/// Row groups in the making.
pub struct Groups {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Gathered>,
    rows: usize,
    memory: usize,
}

impl Groups {
    /// Begins a file that says what it is about.
    pub fn begin(schema: Schema, about: &[(&'static str, String)]) -> Result<Self> {
        let said = [("onward.schema", format!("{}/{}", schema.name, schema.version))];
        let said = said.iter().chain(about);
        let said = said.map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Java reads the bounds of texts only where it can read who wrote them.
            .set_created_by(concat!("onward version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(said.collect()))
            // An index of pages would be kept until the end, however many there are.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_statistics_truncate_length(Some(BOUND_LEN))
            .build();
        let message = parse_message_type(&message_type(schema)).map_err(failed)?;
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(message), Arc::new(properties));
        Ok(Self {
            writer: writer.map_err(failed)?,
            columns: schema.columns.iter().map(Gathered::of).collect(),
            rows: 0,
            memory: 0,
        })
    }

    /// Puts what was gathered down as a row group.
    fn put_down(&mut self) -> Encoded<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            column.put_down(&mut group)?;
        }
        group.close()?;
        (self.rows, self.memory) = (0, 0);
        Ok(())
    }

    /// The bytes that were written since the last time.
    fn written(&mut self) -> Encoded<Vec<u8>> {
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }
}

impl Encoder for Groups {
    fn push(&mut self, row: Row) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            self.memory += cell.memory();
            column.push(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.memory >= MEMORY_MAX
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        self.put_down().and_then(|()| self.written()).map_err(failed)
    }

    fn end(mut self: Box<Self>) -> Result<Vec<u8>> {
        self.put_down()
            .and_then(|()| self.writer.finish())
            .and_then(|_| self.written())
            .map_err(failed)
    }
}

/// The columns in Parquet's own words.
fn message_type(schema: Schema) -> String {
    let mut text = format!("message {} {{", schema.name);
    for Column { name, kind, is_optional } in schema.columns {
        let is = if *is_optional { "optional" } else { "required" };
        let column = match kind {
            Kind::Text => format!("{is} binary {name} (STRING);"),
            Kind::Number => format!("{is} int64 {name};"),
            Kind::Moment => format!("{is} int64 {name} (TIMESTAMP(MILLIS,true));"),
            Kind::Texts => format!(
                "{is} group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
            ),
            Kind::Pairs => format!(
                "{is} group {name} (MAP) {{ repeated group key_value {{ required binary key (STRING); required binary value (STRING); }} }}"
            ),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, " {column}");
    }
    text + " }"
}

/// Writing to memory does not fail, and rows have the columns of their schema.
pub fn failed(error: ParquetError) -> Error {
    Error::internal("rows cannot be written as Parquet").with_source(error)
}
