//! From rows to the bytes of a file.

mod csv;
mod json_lines;
mod parquet;
mod parquet_column;
#[cfg(test)]
mod tests;

use onward::Result;

use super::cell::Row;
use super::column::Schema;
use super::format::Format;

/// Bytes of lines that are gathered before they are given out.
const LINES_LEN: usize = 64 * 1024;

/// A file in the making.
pub trait Encoder: Send {
    /// Takes a row, of which it may keep the values until it is asked for bytes.
    fn push(&mut self, row: Row) -> Result<()>;

    /// Whether as much is gathered as may be.
    fn is_full(&self) -> bool;

    /// The bytes of what was gathered.
    fn take(&mut self) -> Result<Vec<u8>>;

    /// The bytes of what was gathered, and of the end of the file.
    fn end(self: Box<Self>) -> Result<Vec<u8>>;
}

/// Begins a file of these columns. Parquet says there what it is `about`.
pub fn begin(
    format: Format,
    schema: Schema,
    about: &[(&'static str, String)],
) -> Result<Box<dyn Encoder>> {
    Ok(match format {
        Format::Parquet => Box::new(parquet::Groups::begin(schema, about)?),
        Format::Csv => Box::new(csv::Records::begin(schema)?),
        Format::JsonLines => Box::new(json_lines::Lines::begin(schema)),
    })
}
