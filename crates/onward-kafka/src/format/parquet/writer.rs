//! Parquet files in the making: rows are gathered, encoded a thousand at a time, and put down as row groups
//! that stay small enough for as many files as a process has partitions.

use std::str::FromStr;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{ArrayBuilder, StructBuilder};
use onward::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use super::append::{append_members, append_place};
use super::fits::{check_members, take_rest};
use super::schema::{REST, Schema, internal};
use crate::file::{Content, FileWriter, Format, Refused};
use crate::format::spool::{Spool, unwritable};
use crate::record::Record;

/// Rows that are encoded together.
const BATCH_ROWS: usize = 1024;

/// Bytes of values that are encoded together, where rows are large.
const BATCH_LEN: usize = 1 << 20;

/// What a row group takes in memory before it is put down, in bytes, unless told otherwise.
const ROW_GROUP_MEMORY: usize = 1 << 20;

/// How the pages of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Not at all.
    None,
    /// Snappy, which every reader has.
    Snappy,
    /// Zstandard, smaller than Snappy and nearly as fast.
    #[default]
    Zstd,
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "snappy" => Ok(Self::Snappy),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::invalid(format!(
                "'{text}' is no compression of Parquet: it is none, snappy or zstd"
            ))),
        }
    }
}

/// Parquet files of one schema.
#[derive(Debug, Clone)]
pub struct Parquet {
    schema: Arc<Schema>,
    codec: Codec,
    row_group_memory: usize,
}

impl Parquet {
    /// Files of this schema.
    pub fn new(schema: Schema, codec: Codec) -> Self {
        Self { schema: Arc::new(schema), codec, row_group_memory: ROW_GROUP_MEMORY }
    }

    /// With a column `_kafka` of each record's partition, offset, time, key and headers. A tombstone is then a
    /// row whose other columns are null.
    ///
    /// # Errors
    ///
    /// `Internal`, where the column cannot be added.
    pub fn wrapped(self) -> Result<Self> {
        Ok(Self { schema: Arc::new(self.schema.with_place()?), ..self })
    }

    /// With row groups of about so many bytes in memory, 64 KiB at least; 1 MiB unless told otherwise. Larger
    /// ones are read faster, and each partition has one in memory.
    pub fn row_group_memory(self, bytes: usize) -> Self {
        Self { row_group_memory: bytes.max(64 * 1024), ..self }
    }
}

impl Format for Parquet {
    fn extension(&self) -> &str {
        "parquet"
    }

    fn content_type(&self) -> &str {
        "application/vnd.apache.parquet"
    }

    fn begin(&self) -> Result<Box<dyn FileWriter>> {
        let compression = match self.codec {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Snappy => Compression::SNAPPY,
            Codec::Zstd => Compression::ZSTD(ZstdLevel::default()),
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            // Java reads the bounds of texts only where it can read who wrote them.
            .set_created_by(concat!("onward-kafka version ", env!("CARGO_PKG_VERSION")).to_owned())
            // The writer would end row groups by its own count of rows.
            .set_max_row_group_row_count(None)
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(self.schema.descriptor().clone());
        let arrow = self.schema.arrow();
        let writer = ArrowWriter::try_new_with_options(Spool::default(), arrow.clone(), options)
            .map_err(internal)?;
        Ok(Box::new(Rows {
            schema: self.schema.clone(),
            gathered: StructBuilder::from_fields(arrow.fields().clone(), BATCH_ROWS),
            gathered_len: 0,
            writer,
            row_group_memory: self.row_group_memory,
            encoded_memory: 0,
            size: 0,
            records: 0,
        }))
    }
}

/// A file of rows.
struct Rows {
    schema: Arc<Schema>,
    gathered: StructBuilder,
    /// Bytes of the records in there.
    gathered_len: usize,
    writer: ArrowWriter<Spool>,
    row_group_memory: usize,
    /// What the row group in the making holds, and the size of the file: asked for once a batch.
    encoded_memory: u64,
    size: u64,
    records: u64,
}

impl FileWriter for Rows {
    fn push(&mut self, record: &Record) -> Result<(), Refused> {
        let value = self.read(record).map_err(Refused::Unparsable)?;
        let columns = &self.schema.columns;
        let builders = self.gathered.field_builders_mut();
        append_members(value.as_object(), columns, builders)?;
        if self.schema.has_place
            && let Some(place) = builders.get_mut(columns.len())
        {
            append_place(record, place)?;
        }
        self.gathered.append(true);
        self.gathered_len += usize::try_from(record.memory()).unwrap_or(usize::MAX);
        self.records += 1;
        if self.gathered.len() >= BATCH_ROWS || self.gathered_len >= BATCH_LEN {
            self.encode()?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn memory(&self) -> u64 {
        // Columns are a copy of what the records had, and grow by doubling.
        2 * self.gathered_len as u64 + self.encoded_memory
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn finish(mut self: Box<Self>) -> Result<Content> {
        self.encode()?;
        self.writer.into_inner().map_err(failed)?.finish()
    }
}

impl Rows {
    /// The value of a record as it fits the schema, or why it does not.
    fn read(&self, record: &Record) -> Result<Value, String> {
        let columns = &self.schema.columns;
        let Some(bytes) = &record.value else {
            return match self.schema.has_place && columns.iter().all(|column| !column.required) {
                true => Ok(Value::Null),
                false => Err("it is a tombstone (a null value), for which there is a row only where records are wrapped and all columns are optional".into()),
            };
        };
        let value = serde_json::from_slice::<Value>(bytes)
            .map_err(|error| format!("its value is not JSON: {error}"))?;
        let Value::Object(mut members) = value else {
            return Err("its value is not a JSON object".into());
        };
        let rest = match self.schema.takes_rest {
            true => take_rest(&mut members, columns),
            false => serde_json::Map::new(),
        };
        check_members(&members, columns)
            .map_err(|why| format!("its value does not fit the schema: {why}"))?;
        if !rest.is_empty() {
            members.insert(REST.to_owned(), Value::Object(rest));
        }
        Ok(Value::Object(members))
    }

    /// Encodes the rows that were gathered, and puts the row group down if it is large enough.
    fn encode(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let columns = self.gathered.finish();
        self.gathered_len = 0;
        let rows = RecordBatch::try_new(self.schema.arrow().clone(), columns.columns().to_vec())
            .map_err(|error| Error::internal("rows that fit are none").with_source(error))?;
        self.writer.write(&rows).map_err(failed)?;
        if self.writer.memory_size() >= self.row_group_memory {
            self.writer.flush().map_err(failed)?;
        }
        let in_progress = self.writer.in_progress_size() as u64;
        self.encoded_memory = self.writer.memory_size() as u64 + self.writer.inner().memory();
        self.size = self.writer.inner().len() + in_progress;
        Ok(())
    }
}

/// What is told where a file cannot be written: nearly always for lack of room.
fn failed(error: ParquetError) -> Error {
    unwritable(std::io::Error::other(error))
}
