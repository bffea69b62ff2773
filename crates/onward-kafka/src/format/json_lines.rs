//! JSON lines: each record's value on a line of its own, as it was sent.

use onward::Result;
use serde::de::IgnoredAny;

use super::packing::{Packed, Packing};
use super::text::place;
use crate::file::{Content, FileWriter, Format, Refused};
use crate::record::Record;

/// JSON lines. A value must be one JSON document in UTF-8; it is written as it is, without the line breaks
/// between its tokens, so that numbers keep their digits and members their order.
///
/// Wrapped, a line is `{"topic", "partition", "offset", "timestamp_ms", "key", "headers", "value"}`: the time
/// in milliseconds since 1970 or null, headers as `[{"name", "value"}]` in their order, keys and values of
/// headers as text. Where they are not UTF-8 they are in base64, as `key_base64` and `value_base64`.
#[derive(Debug, Clone)]
pub struct JsonLines {
    packing: Packing,
    wraps: bool,
    extension: String,
}

impl JsonLines {
    /// Lines of values alone.
    pub fn new(packing: Packing) -> Self {
        Self { packing, wraps: false, extension: format!("jsonl{}", packing.ending()) }
    }

    /// With keys, headers and times beside the values.
    pub fn wrapped(self) -> Self {
        Self { wraps: true, ..self }
    }
}

impl Format for JsonLines {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn content_type(&self) -> &str {
        self.packing.content_type().unwrap_or("application/jsonl")
    }

    fn begin(&self) -> Result<Box<dyn FileWriter>> {
        let packed = Packed::begin(self.packing)?;
        Ok(Box::new(Lines { packed, wraps: self.wraps, records: 0, line: Vec::new() }))
    }
}

/// A file of lines.
struct Lines {
    packed: Packed,
    wraps: bool,
    records: u64,
    line: Vec<u8>,
}

impl FileWriter for Lines {
    fn push(&mut self, record: &Record) -> Result<(), Refused> {
        self.line.clear();
        if self.wraps {
            self.line.push(b'{');
            place(record, &mut self.line)?;
            self.line.extend_from_slice(b",\"value\":");
        }
        match &record.value {
            Some(value) => {
                check(value).map_err(Refused::Unparsable)?;
                on_one_line(value, &mut self.line);
            }
            None if self.wraps => self.line.extend_from_slice(b"null"),
            None => {
                return Err(Refused::Unparsable(
                    "it is a tombstone (a null value), for which there is a line only where records are wrapped".into(),
                ));
            }
        }
        if self.wraps {
            self.line.push(b'}');
        }
        self.line.push(b'\n');
        self.packed.add(&self.line)?;
        self.records += 1;
        Ok(())
    }

    fn size(&self) -> u64 {
        self.packed.len()
    }

    fn memory(&self) -> u64 {
        self.packed.memory() + self.line.capacity() as u64
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn finish(self: Box<Self>) -> Result<Content> {
        self.packed.finish()
    }
}

/// Whether a value is one JSON document in UTF-8, or why not.
fn check(value: &[u8]) -> Result<(), String> {
    let text =
        std::str::from_utf8(value).map_err(|error| format!("its value is not JSON: {error}"))?;
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| format!("its value is not JSON: {error}"))
}

/// A line break in a JSON document stands between tokens, where it means nothing: strings have it escaped.
fn on_one_line(value: &[u8], line: &mut Vec<u8>) {
    let start = line.len();
    line.extend_from_slice(value.trim_ascii());
    for byte in line.iter_mut().skip(start) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
