//! Comma-separated values by RFC 4180: lines end with CR LF, and the first has the names.

use csv::{Terminator, Writer, WriterBuilder};
use onward::{Error, Result};

use super::{Encoder, LINES_LEN};
use crate::cell::Row;
use crate::column::Schema;

/// Records in the making.
pub struct Records {
    writer: Writer<Vec<u8>>,
    /// Bytes of their fields.
    len: usize,
}

impl Records {
    /// Begins with the names.
    pub fn begin(schema: Schema) -> Result<Self> {
        let mut writer = writer();
        writer.write_record(schema.columns.iter().map(|column| column.name)).map_err(failed)?;
        Ok(Self { writer, len: 0 })
    }
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

impl Encoder for Records {
    fn push(&mut self, row: Row) -> Result<()> {
        for cell in &row {
            let field = cell.as_field().map_err(failed)?;
            self.writer.write_field(field.as_bytes()).map_err(failed)?;
            self.len += field.len() + 1;
        }
        // Ends the record.
        self.writer.write_record(None::<&[u8]>).map_err(failed)
    }

    fn is_full(&self) -> bool {
        self.len >= LINES_LEN
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        self.len = 0;
        let written = std::mem::replace(&mut self.writer, writer());
        written.into_inner().map_err(|error| failed(error.into_error()))
    }

    fn end(mut self: Box<Self>) -> Result<Vec<u8>> {
        self.take()
    }
}

/// Writing to memory does not fail, and every record has the columns of the first.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("a row cannot be written as CSV").with_source(error)
}
