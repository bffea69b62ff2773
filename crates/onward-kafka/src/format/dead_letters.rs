//! Dead letters: the records that a format refuses, whole, with the reason.

use onward::Result;

use super::packing::{Packed, Packing};
use super::text::{member, place, string};
use crate::file::Content;
use crate::record::Record;

/// JSON lines of what was refused: `{"reason", "topic", "partition", "offset", "timestamp_ms", "key", "headers",
/// "value"}`. Nothing of a record is lost: what is not UTF-8 is in base64, as `key_base64` and `value_base64`;
/// the value of a tombstone is null.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    packing: Packing,
    extension: String,
}

impl DeadLetters {
    /// Dead letters in files that are packed like this.
    pub fn new(packing: Packing) -> Self {
        Self { packing, extension: format!("jsonl{}", packing.ending()) }
    }

    /// The ending of its files' names.
    pub fn extension(&self) -> &str {
        &self.extension
    }

    /// The media type of its files.
    pub fn content_type(&self) -> &str {
        self.packing.content_type().unwrap_or("application/jsonl")
    }

    /// Begins a file.
    pub fn begin(&self) -> Result<DeadLetterFile> {
        Ok(DeadLetterFile { packed: Packed::begin(self.packing)?, records: 0, line: Vec::new() })
    }
}

/// A file of dead letters in the making.
pub struct DeadLetterFile {
    packed: Packed,
    records: u64,
    line: Vec<u8>,
}

impl DeadLetterFile {
    /// Adds a record, with the reason why it was refused.
    pub fn push(&mut self, record: &Record, reason: &str) -> Result<()> {
        self.line.clear();
        self.line.extend_from_slice(b"{\"reason\":");
        string(reason, &mut self.line)?;
        self.line.push(b',');
        place(record, &mut self.line)?;
        self.line.push(b',');
        member("value", record.value.as_ref(), &mut self.line)?;
        self.line.extend_from_slice(b"}\n");
        self.packed.add(&self.line)?;
        self.records += 1;
        Ok(())
    }

    /// The size of the file so far, in bytes.
    pub fn size(&self) -> u64 {
        self.packed.len()
    }

    /// What it holds in memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.packed.memory() + self.line.capacity() as u64
    }

    /// Records that were added.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Ends the file.
    pub fn finish(self) -> Result<Content> {
        self.packed.finish()
    }
}
